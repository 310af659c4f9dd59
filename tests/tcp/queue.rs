//! Connections that wait for a place, in order, within bounds.

use std::time::Duration;

use crate::harness::{Failure, Fulcrum, Upstream, eventually};

use super::{await_errors, check_echo, connect, echo, in_front_of, standing};

/// Waits until so many connections are open at the listener.
#[track_caller]
fn await_connections(fulcrum: &Fulcrum, count: u32) {
    fulcrum.await_metric("fulcrum_tcp_connections", &[("listener", "db")], count.into());
}

#[test]
fn who_finds_no_place_waits_until_someone_leaves() {
    let upstream = Upstream::new(echo);
    let fulcrum =
        in_front_of(&[&upstream], ", limits: { max_connections: 2, queue: { max: 1, timeout: 1m } }");
    let first = standing(&fulcrum);
    let mut second = standing(&fulcrum);
    let mut third = connect(&fulcrum);
    // What it says meanwhile is not lost.
    third.send("early");
    third.assert_silent(Duration::from_millis(200));
    await_connections(&fulcrum, 3);
    // There is room for one who waits.
    assert_eq!(connect(&fulcrum).wire.until_end().1, Failure::Reset);
    await_errors(&fulcrum, "queue_full", 1);
    assert_eq!(upstream.connections(), 2);
    drop(first);
    assert_eq!(third.wire.exactly(5), Ok(b"early".to_vec()));
    check_echo(&mut second);
    check_echo(&mut third);
    assert_eq!(upstream.connections(), 3);
    drop((second, third));
    await_connections(&fulcrum, 0);
    assert_eq!(fulcrum.metric("fulcrum_upstream_requests_in_flight", &[]), 0.0, "every place is free again");
}

#[test]
fn nobody_waits_for_ever() {
    let upstream = Upstream::new(echo);
    let fulcrum = in_front_of(&[&upstream], ", limits: { max_requests: 1, queue: { timeout: 300ms } }");
    let mut first = standing(&fulcrum);
    assert_eq!(connect(&fulcrum).wire.until_end(), (Vec::new(), Failure::Reset));
    await_errors(&fulcrum, "queue_timeout", 1);
    check_echo(&mut first);
}

#[test]
fn who_breaks_off_while_waiting_leaves_the_line() {
    let upstream = Upstream::new(echo);
    let fulcrum =
        in_front_of(&[&upstream], ", limits: { max_connections: 1, queue: { max: 1, timeout: 1m } }");
    let first = standing(&fulcrum);
    let gone = connect(&fulcrum);
    await_connections(&fulcrum, 2);
    gone.wire.socket.reset_on_close();
    drop(gone);
    await_errors(&fulcrum, "client_closed", 1);
    let mut next = connect(&fulcrum);
    next.send("ping");
    await_connections(&fulcrum, 2);
    drop(first);
    assert_eq!(next.wire.exactly(4), Ok(b"ping".to_vec()));
    eventually("the line is empty", || (upstream.connections() == 2).then_some(()));
}
