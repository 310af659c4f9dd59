//! Instances that are replaced: a new process registers under an id of its own, and the one before it leaves.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::wire::Connection;

/// When each registration was acknowledged, by the number of its event.
pub(crate) type Acknowledged = Vec<(u64, Instant)>;

/// Replaces one instance per `interval`, from the last one downwards, until it is over.
pub(crate) fn run(
    address: SocketAddr,
    fleet: &Fleet,
    interval: Duration,
    is_over: &AtomicBool,
) -> io::Result<Acknowledged> {
    let mut connection = Connection::open(address)?;
    let mut acknowledged = Vec::new();
    let began = Instant::now();
    for (turn, slot) in (0u32..).zip((0..fleet.len()).rev().cycle()) {
        let due = began + interval * turn;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        acknowledged.push(replace(&mut connection, fleet, slot)?);
    }
    Ok(acknowledged)
}

fn replace(connection: &mut Connection, fleet: &Fleet, slot: usize) -> io::Result<(u64, Instant)> {
    let before = fleet.path(slot);
    fleet.replace(slot);
    let answer = connection.ask("PUT", &fleet.path(slot), &fleet.registration(slot))?;
    let at = Instant::now();
    let sequence = answer.number("sequence").filter(|_| answer.status == 201);
    let sequence = sequence.ok_or_else(|| answer.wrong())?;
    let answer = connection.ask("DELETE", &before, "")?;
    if answer.status == 204 { Ok((sequence, at)) } else { Err(answer.wrong()) }
}
