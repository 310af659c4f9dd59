//! A fleet that registers: everyone at once, over so many connections.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::wire::Connection;

/// Registers all of them, and says how long that took.
pub(crate) fn all(address: SocketAddr, fleet: &Fleet) -> io::Result<Duration> {
    let next = &AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS.min(fleet.len()))
            .map(|_| {
                let small = thread::Builder::new().stack_size(STACK);
                small.spawn_scoped(scope, || some(address, fleet, next))
            })
            .collect::<io::Result<_>>()?;
        let mut ends = threads.into_iter().map(|thread| thread.join().expect("a client does not panic"));
        ends.try_for_each(|end| end)
    })?;
    Ok(began.elapsed())
}

fn some(address: SocketAddr, fleet: &Fleet, next: &AtomicUsize) -> io::Result<()> {
    let mut connection = Connection::open(address)?;
    loop {
        let slot = next.fetch_add(1, Ordering::Relaxed);
        if slot >= fleet.len() {
            return Ok(());
        }
        let answer = connection.ask("PUT", &fleet.path(slot), &fleet.registration(slot))?;
        if answer.status != 201 {
            return Err(answer.wrong());
        }
    }
}

/// As many as share a commit.
const CONNECTIONS: usize = 512;

/// Of a thread, which has next to nothing to keep.
const STACK: usize = 128 << 10;
