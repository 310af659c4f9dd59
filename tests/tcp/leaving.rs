//! Reloads, drains and the end of the daemon: a connection goes on for as long as it may.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Failure, Upstream, hold};

use super::{await_errors, check_echo, connect, echo, in_front_of, standing, yaml};

#[test]
fn a_reload_does_not_touch_a_connection() {
    let (old, new) = (Upstream::new(echo), Upstream::new(echo));
    let fulcrum = in_front_of(&[&old], "");
    let mut client = standing(&fulcrum);
    fulcrum.change(&yaml(&[new.address()], ""));
    check_echo(&mut client);
    let mut next = standing(&fulcrum);
    assert_eq!((old.connections(), new.connections()), (1, 1));
    // Neither does the end of the listener.
    let other = yaml(&[new.address()], "").replace("db:", "other:");
    fulcrum.change(&other);
    check_echo(&mut client);
    check_echo(&mut next);
    // And it holds no old configuration.
    fulcrum.await_metric("fulcrum_config_generations_alive", &[], 1.0);
}

#[test]
fn a_removed_endpoint_loses_its_connections_after_a_while() {
    let (old, new) = (Upstream::new(echo), Upstream::new(echo));
    let fulcrum = in_front_of(&[&old], ", drain: { timeout: 1s }");
    let mut client = standing(&fulcrum);
    let left = Instant::now();
    fulcrum.change(&yaml(&[new.address()], ", drain: { timeout: 1s }"));
    check_echo(&mut client);
    let mut stays = standing(&fulcrum);
    assert_eq!(client.wire.until_end(), (Vec::new(), Failure::Reset));
    assert!(left.elapsed() >= Duration::from_secs(1), "{:?}", left.elapsed());
    await_errors(&fulcrum, "drain_timeout", 1);
    assert_eq!(fulcrum.records(1)[0]["reason"], "drain_timeout");
    check_echo(&mut stays);
}

#[test]
fn a_drained_endpoint_keeps_its_connections_for_as_long_as_it_is_told() {
    let (leaving, staying) = (Upstream::new(echo), Upstream::new(echo));
    let yaml = |state: &str, timeout: &str| {
        let first = format!("{{ address: \"{}\", state: {state} }}", leaving.address());
        yaml(
            &["FIRST", staying.address()],
            &format!(", balance: round_robin, drain: {{ timeout: {timeout} }}"),
        )
        .replace("\"FIRST\"", &first)
    };
    let fulcrum = crate::harness::Fulcrum::start(&yaml("up", "none"));
    let mut clients = [standing(&fulcrum), standing(&fulcrum)];
    assert_eq!((leaving.connections(), staying.connections()), (1, 1));
    fulcrum.change(&yaml("drain", "none"));
    hold("both go on", Duration::from_millis(2500), || {
        clients.iter_mut().for_each(check_echo);
        true
    });
    (0..4).for_each(|_| drop(standing(&fulcrum)));
    assert_eq!(leaving.connections(), 1, "nothing new goes there");
    // The time that is in force counts, not that of the connection's beginning.
    fulcrum.change(&yaml("drain", "1s"));
    await_errors(&fulcrum, "drain_timeout", 1);
    let alive = clients.iter_mut().filter_map(|client| {
        client.send("ping");
        client.wire.exactly(4).ok()
    });
    assert_eq!(alive.count(), 1);
}

#[test]
fn the_end_of_the_daemon_waits_for_connections_until_its_deadline() {
    let upstream = Upstream::new(echo);
    let config = yaml(&[upstream.address()], "") + "shutdown: { deadline: 2s }\n";
    let mut fulcrum = crate::harness::Fulcrum::start(&config);
    let mut client = standing(&fulcrum);
    let told = Instant::now();
    fulcrum.child.signal(Signal::TERM);
    hold("it goes on", Duration::from_secs(1), || {
        check_echo(&mut client);
        true
    });
    assert_eq!(client.wire.until_end(), (Vec::new(), Failure::Reset));
    assert!(told.elapsed() >= Duration::from_secs(2), "{:?}", told.elapsed());
    fulcrum.child.end();
}

#[test]
fn the_daemon_ends_with_its_last_connection() {
    let upstream = Upstream::new(echo);
    let mut fulcrum = in_front_of(&[&upstream], "");
    let mut client = standing(&fulcrum);
    fulcrum.child.signal(Signal::TERM);
    check_echo(&mut client);
    assert!(fulcrum.child.is_running());
    drop(client);
    assert_eq!(fulcrum.child.exit_code(), Some(0));
    assert_eq!(fulcrum.records(1)[0]["reason"], "ok");
}

#[test]
fn one_who_has_connected_and_said_nothing_is_served_during_a_drain() {
    let upstream = Upstream::new(echo);
    let mut fulcrum = in_front_of(&[&upstream], "");
    let mut client = connect(&fulcrum);
    fulcrum.await_metric("fulcrum_tcp_connections", &[("listener", "db")], 1.0);
    fulcrum.child.signal(Signal::TERM);
    check_echo(&mut client);
    drop(client);
    assert_eq!(fulcrum.child.exit_code(), Some(0));
}
