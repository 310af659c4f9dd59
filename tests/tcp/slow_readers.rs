//! Readers that stop again and again: every byte arrives, and nobody keeps those that are waiting.

use std::fs;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::harness::{Conversation, Fulcrum, Socket, Upstream, eventually};

use super::{connect, in_front_of};

/// What passes in each direction, and how long its reader stops at each of [`STOPS`] points of the first half.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) bytes: u64,
    pub(crate) stop: Duration,
}

const STOPS: u64 = 3;
const BLOCK: usize = 64 << 10;
/// What the daemon may need for two connections of bulk: a buffer each, and what an allocator rounds up to.
const GROWTH: u64 = 4 << 20;
/// How far one direction has come.
#[derive(Debug, Default)]
struct Progress {
    written: AtomicU64,
    read: AtomicU64,
    /// What was under way at the end of each stop.
    held: Mutex<Vec<u64>>,
}

/// Both directions, each on a connection of its own, at the same time. The most that the daemon has grown by.
#[track_caller]
pub(crate) fn run(transfer: Transfer) -> u64 {
    let progress = Arc::new([Progress::default(), Progress::default()]);
    let theirs = Arc::clone(&progress);
    let upstream = Upstream::new(move |conversation: Conversation| {
        let mut socket = patient(&conversation.wire.socket);
        let mut direction = [0];
        socket.read_exact(&mut direction).expect("a word that tells the direction");
        match direction[0] {
            b'u' => read_with_stops(&mut socket, transfer, &theirs[0]),
            _ => write_all(&mut socket, transfer, &theirs[1]),
        }
    });
    let fulcrum = in_front_of(&[&upstream], "");
    let before = fulcrum.resident();
    let [up, down] = [connect(&fulcrum), connect(&fulcrum)].map(|client| patient(&client.wire.socket));
    let mut most = 0;
    thread::scope(|scope| {
        let ends = [
            scope.spawn(|| upload(up, transfer, &progress[0])),
            scope.spawn(|| download(down, transfer, &progress[1])),
        ];
        while ends.iter().any(|end| !end.is_finished()) {
            most = most.max(fulcrum.resident());
            thread::sleep(Duration::from_millis(10));
        }
    });
    check(&fulcrum, transfer, &progress);
    let grown = most.saturating_sub(before);
    assert!(grown < GROWTH, "the daemon has grown by {grown} bytes");
    grown
}

/// Everything has passed, nothing else, and readers that stopped have stopped their writers.
#[track_caller]
fn check(fulcrum: &Fulcrum, transfer: Transfer, progress: &[Progress; 2]) {
    let kernel = 2 * (most_buffered("tcp_wmem") + most_buffered("tcp_rmem"));
    for direction in progress {
        assert_eq!(direction.read.load(Ordering::Relaxed), transfer.bytes);
        let held = direction.held.lock().expect("nobody panics with it").clone();
        assert!(
            held.len() as u64 == STOPS && held.iter().all(|held| (1..kernel + GROWTH).contains(held)),
            "{held:?}"
        );
    }
    let listener = [("listener", "db")];
    fulcrum.await_metric("fulcrum_tcp_connections", &listener, 0.0);
    // One byte more on each connection: that of the direction.
    fulcrum.await_metric("fulcrum_tcp_received_bytes_total", &listener, transfer.bytes as f64 + 2.0);
    fulcrum.await_metric("fulcrum_tcp_sent_bytes_total", &listener, transfer.bytes as f64);
    assert_eq!(fulcrum.metric("fulcrum_tcp_errors_total", &[]), 0.0);
}

/// The most that the kernel keeps in one socket's buffer.
fn most_buffered(direction: &str) -> u64 {
    let path = format!("/proc/sys/net/ipv4/{direction}");
    let limits = fs::read_to_string(path).expect("the kernel tells its limits");
    limits.split_whitespace().last().and_then(|most| most.parse().ok()).expect("a number")
}

fn upload(mut socket: Socket, transfer: Transfer, progress: &Progress) {
    socket.write_all(b"u").expect("room for a byte");
    write_all(&mut socket, transfer, progress);
    // The reader ends its direction when it has seen our end.
    assert_eq!(socket.read(&mut [0]).expect("a clean end"), 0);
}

fn download(mut socket: Socket, transfer: Transfer, progress: &Progress) {
    socket.write_all(b"d").expect("room for a byte");
    read_with_stops(&mut socket, transfer, progress);
}

/// Another handle, which waits for longer than any reader stops.
fn patient(socket: &Socket) -> Socket {
    let socket = socket.try_clone();
    socket.set_read_timeout(Duration::from_secs(60));
    socket.set_write_timeout(Duration::from_secs(60));
    socket
}

fn write_all(socket: &mut Socket, transfer: Transfer, progress: &Progress) {
    let mut block = vec![0; BLOCK];
    for offset in (0..transfer.bytes).step_by(BLOCK) {
        fill(&mut block, offset);
        socket.write_all(&block).expect("the reader stops for a while, never for good");
        progress.written.fetch_add(BLOCK as u64, Ordering::Relaxed);
    }
    socket.shutdown(std::net::Shutdown::Write);
}

/// Reads to the end and compares every byte with what belongs at its place.
fn read_with_stops(socket: &mut Socket, transfer: Transfer, progress: &Progress) {
    let (mut found, mut expected) = (vec![0; BLOCK], vec![0; BLOCK]);
    let half = transfer.bytes / 2 / BLOCK as u64;
    for number in 0..transfer.bytes / BLOCK as u64 {
        if number < half && number % (half / STOPS) == 0 && number / (half / STOPS) < STOPS {
            stop(transfer, progress);
        }
        socket.read_exact(&mut found).expect("there is more");
        fill(&mut expected, number * BLOCK as u64);
        assert!(found == expected, "bytes differ within {BLOCK} from {}", number * BLOCK as u64);
        progress.read.fetch_add(BLOCK as u64, Ordering::Relaxed);
    }
    assert_eq!(socket.read(&mut [0]).expect("a clean end"), 0, "bytes behind the last one");
    socket.shutdown(std::net::Shutdown::Write);
}

/// Does not read, until the writer stands and for a while.
fn stop(transfer: Transfer, progress: &Progress) {
    let mut last = u64::MAX;
    eventually("the writer stands", || {
        thread::sleep(Duration::from_millis(50));
        let written = progress.written.load(Ordering::Relaxed);
        (std::mem::replace(&mut last, written) == written && written > 0).then_some(())
    });
    thread::sleep(transfer.stop);
    let held = progress.written.load(Ordering::Relaxed) - progress.read.load(Ordering::Relaxed);
    progress.held.lock().expect("nobody panics with it").push(held);
}

/// The bytes from `offset` on: each eight of them are a number that no other place has (splitmix64, Steele 2014).
fn fill(block: &mut [u8], offset: u64) {
    for (number, word) in (offset / 8..).zip(block.chunks_exact_mut(8)) {
        let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
}

#[test]
fn readers_that_stop_get_every_byte_and_cost_no_memory() {
    run(Transfer { bytes: 64 << 20, stop: Duration::from_millis(300) });
}
