//! Many connections come and go, again and again, and leave nothing behind.

use super::forgetful;
use crate::harness::{Client, Fulcrum, Setup, ok, raise_descriptors};

const CONNECTIONS: u64 = 10_000;
const ROUNDS: u32 = 20;
/// A daemon gives connections 70 % of what remains of its descriptors after a reserve of 256.
const DESCRIPTORS: u64 = CONNECTIONS * 10 / 7 + 300;

/// What the allocator may keep, in bytes, of each connection of the highest tide: it keeps what lies under anything
/// that is still in use.
const KEPT: u64 = 4096;
/// What later tides may add, in bytes: where things lie varies by some mebibytes, and 50 bytes lost with each
/// connection would be more.
const GROWTH: u64 = 8 << 20;

/// Opens all connections, asks once on each, and closes them: every other one with a reset.
#[track_caller]
fn open_and_close(fulcrum: &Fulcrum) {
    let clients: Vec<Client> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = fulcrum.connect();
            assert_eq!(client.get("/").status, 200);
            client
        })
        .collect();
    assert_eq!(fulcrum.metric("fulcrum_http_connections", &[]), CONNECTIONS as f64);
    clients.iter().step_by(2).for_each(|client| client.wire.socket.reset_on_close());
}

#[test]
#[ignore = "opens 200,000 connections, takes a minute"]
fn connections_leave_nothing_behind() {
    raise_descriptors(DESCRIPTORS);
    let upstream = forgetful(|_, _| ok("app"));
    let fulcrum = Setup::new(&upstream).top("log: { access: none }").start();
    assert_eq!(fulcrum.get("/").status, 200);
    fulcrum.await_metric("fulcrum_http_connections", &[], 0.0);
    let descriptors = fulcrum.metric("fulcrum_process_open_fds", &[]);
    let start = fulcrum.resident();
    let mut resident = Vec::new();
    for _ in 0..ROUNDS {
        open_and_close(&fulcrum);
        fulcrum.await_metric("fulcrum_http_connections", &[], 0.0);
        fulcrum.await_metric("fulcrum_process_open_fds", &[], descriptors);
        resident.push(fulcrum.resident());
    }
    let tide = resident[0].saturating_sub(start);
    assert!(tide < CONNECTIONS * KEPT, "the first round left {tide} bytes");
    let grown = resident.iter().max().expect("there were rounds").saturating_sub(resident[0]);
    assert!(grown < GROWTH, "later rounds added {grown} bytes: {resident:?}");
}
