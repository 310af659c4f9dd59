//! Which endpoint a connection goes to, and where it goes when that one fails.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Child, Client, Failure, Fulcrum, REFUSED, Upstream, eventually};

use super::{await_errors, connect, echo, in_front_of, standing, yaml};

#[test]
fn a_refused_connection_goes_elsewhere_at_once() {
    for balance in ["round_robin", "least_request", "random", "ring", "maglev"] {
        let upstream = Upstream::new(echo);
        let fulcrum = Fulcrum::start(&yaml(&[upstream.address(), REFUSED], &format!(", balance: {balance}")));
        (0..20).for_each(|_| drop(standing(&fulcrum)));
        assert_eq!(upstream.connections(), 20, "{balance}");
        let records = fulcrum.records(20);
        assert!(records.iter().all(|record| record["reason"] == "ok"), "{balance}: {records:?}");
        let metrics = fulcrum.metrics();
        assert_eq!(metrics.value("fulcrum_tcp_errors_total", &[]), 0.0, "{balance}: no client sees it");
        let refused = metrics.value("fulcrum_upstream_errors_total", &[("reason", "connect_refused")]);
        assert_eq!(metrics.value("fulcrum_upstream_retries_total", &[]), refused, "{balance}");
        let is_hashed = matches!(balance, "ring" | "maglev");
        assert!(refused >= 1.0 || is_hashed, "{balance}: it was tried, and counted");
    }
}

#[test]
fn a_reset_before_the_first_byte_goes_elsewhere() {
    let broken = Upstream::new(|conversation| {
        // Not so soon that the connection seems never to have been made.
        thread::sleep(Duration::from_millis(50));
        conversation.reset();
    });
    let greeting = Upstream::new(|mut conversation| {
        conversation.send("hello");
        conversation.until_closed();
    });
    let fulcrum = in_front_of(&[&broken, &greeting], ", balance: round_robin, outlier: none");
    for _ in 0..6 {
        assert_eq!(connect(&fulcrum).wire.exactly(5), Ok(b"hello".to_vec()));
    }
    assert!(broken.connections() >= 2, "it was tried");
    assert_eq!(greeting.connections(), 6);
    assert_eq!(fulcrum.metric("fulcrum_tcp_errors_total", &[]), 0.0);

    // Nowhere to go.
    let fulcrum = in_front_of(&[&broken], "");
    assert_eq!(connect(&fulcrum).wire.until_end(), (Vec::new(), Failure::Reset));
    await_errors(&fulcrum, "upstream_reset", 1);
}

#[test]
fn without_retries_the_first_failure_is_the_end() {
    let upstream = Upstream::new(echo);
    let fulcrum =
        Fulcrum::start(&yaml(&[upstream.address(), REFUSED], ", balance: round_robin, retry: none"));
    let is_reset = |_: &u32| {
        let mut client = connect(&fulcrum);
        client.send("ping");
        client.wire.exactly(4).is_err()
    };
    let reset = (0..4).filter(is_reset).count();
    assert!(reset >= 1, "some go to the one that refuses");
    await_errors(&fulcrum, "connect_refused", reset.try_into().expect("at most four"));
    assert_eq!(fulcrum.metric("fulcrum_upstream_retries_total", &[]), 0.0);
}

#[test]
fn where_nobody_accepts_the_client_is_reset() {
    let fulcrum = Fulcrum::start(&yaml(&[REFUSED, "127.77.0.2:1"], ""));
    assert_eq!(connect(&fulcrum).wire.until_end(), (Vec::new(), Failure::Reset));
    await_errors(&fulcrum, "connect_refused", 1);
    let record = &fulcrum.records(1)[0];
    assert_eq!((&record["attempts"], &record["reason"]), (&2.into(), &"connect_refused".into()), "{record}");
}

#[test]
fn connections_that_stand_are_balanced() {
    let upstreams = [Upstream::new(echo), Upstream::new(echo)];
    let fulcrum = in_front_of(&[&upstreams[0], &upstreams[1]], "");
    // Of two drawn candidates the one with fewer connections is taken; with two endpoints both are always drawn.
    let clients: Vec<Client> = (0..20).map(|_| standing(&fulcrum)).collect();
    assert_eq!([upstreams[0].connections(), upstreams[1].connections()], [10, 10]);
    drop(clients);
}

#[test]
fn a_client_keeps_its_endpoint_where_the_source_is_hashed() {
    let upstreams: Vec<Upstream> = (0..4).map(|_| Upstream::new(echo)).collect();
    let fulcrum = in_front_of(
        &upstreams.iter().collect::<Vec<_>>(),
        ", balance: { policy: maglev, key: source }, outlier: none",
    );
    (0..12).for_each(|_| drop(standing(&fulcrum)));
    let mut counts: Vec<usize> = upstreams.iter().map(Upstream::connections).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 0, 12]);
}

/// A backend in a process of its own, which can be killed.
fn backend(name: &str, directory: &tempfile::TempDir) -> (Child, String) {
    let arguments = ["demo-backend", "--bind", "127.0.0.1:0", "--name", name];
    let child = Child::start(&arguments, directory.path().join(name));
    let ready: Value = serde_json::from_str(&child.line()).expect("JSON");
    (child, ready["address"].as_str().expect("an address").to_owned())
}

#[test]
fn a_killed_endpoint_ends_its_own_connections_only() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let (mut blue, blue_address) = backend("blue", &directory);
    let (_green, green_address) = backend("green", &directory);
    let fulcrum = Fulcrum::start(&yaml(&[&blue_address, &green_address], ""));
    let mut clients: Vec<Client> = (0..8).map(|_| connect(&fulcrum)).collect();
    let at_blue: Vec<bool> =
        clients.iter_mut().map(|client| client.get("/").text().contains("blue")).collect();
    assert_eq!(at_blue.iter().filter(|is_there| **is_there).count(), 4);
    blue.signal(Signal::KILL);
    blue.end();
    for (client, at_blue) in clients.iter_mut().zip(at_blue) {
        match at_blue {
            true => client.assert_closed(),
            false => assert_eq!(client.get("/").status, 200),
        }
    }
    for _ in 0..10 {
        assert!(connect(&fulcrum).get("/").text().contains("green"), "new ones go to the living");
    }
}

#[test]
fn a_listener_may_change_what_it_speaks() {
    let upstream = Upstream::named("app");
    let tcp = yaml(&[upstream.address()], "");
    let http = tcp.replace(", protocol: tcp, to: app", "") + "routes: [{ to: app }]\n";
    let fulcrum = Fulcrum::start(&http);
    let mut client = connect(&fulcrum);
    assert_eq!(client.get("/").text(), "app");
    fulcrum.change(&tcp);
    // By the engine: the listener speaks no HTTP any more, so that this is the last answer.
    assert_eq!(client.get("/").field("connection"), Some("close"));
    client.assert_closed();
    assert_eq!(connect(&fulcrum).get("/").text(), "app");
    eventually("it is counted", || {
        (fulcrum.metric("fulcrum_tcp_connections_total", &[("listener", "db")]) == 1.0).then_some(())
    });
    fulcrum.change(&http);
    assert_eq!(connect(&fulcrum).get("/").text(), "app");
    let metrics = fulcrum.metrics();
    assert!(!metrics.has("fulcrum_tcp_connections_total", &[]), "no listener is for connections");
}
