//! What the daemon knew before it ended, it knows when it is back.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{await_shares, start, yaml};
use crate::harness::{Client, DEADLINE, Fulcrum, Socket, Upstream, Wire};

/// Three registrations: one in its second epoch, one under an order, one that drains.
#[track_caller]
fn populate(fulcrum: &Fulcrum, upstream: &Upstream) {
    fulcrum.register("web/a", upstream.address(), json!({ "incarnation": "one" }));
    fulcrum.register("web/a", upstream.address(), json!({ "incarnation": "two", "meta": { "k": "v" } }));
    fulcrum.register("web/b", "127.77.0.1:1", json!({}));
    fulcrum.order("web/b", &json!({ "state": "maintenance", "weight": 7, "reason": "disk" }));
    fulcrum.register("web/c", "127.77.0.1:2", json!({}));
    fulcrum.leave("web/c", "?drain=1h");
    // Gone, but its number is not given out again.
    fulcrum.register("web/d", "127.77.0.1:3", json!({ "incarnation": "one" }));
    fulcrum.leave("web/d", "");
}

#[track_caller]
fn list(fulcrum: &Fulcrum) -> Value {
    fulcrum.ask_registry("GET", "/v1/services/web/instances", "").json()["instances"].clone()
}

#[track_caller]
fn check_restart(mut end: impl FnMut(&mut Fulcrum)) {
    let upstream = Upstream::named("a");
    let mut fulcrum = start("");
    populate(&fulcrum, &upstream);
    await_shares(&fulcrum, [("a", 5)]);
    let before = list(&fulcrum);
    let services = fulcrum.ask_registry("GET", "/v1/services", "").json();
    end(&mut fulcrum);
    fulcrum.restart();
    // The very first request after it says that it is ready.
    assert_eq!((fulcrum.get("/").status, fulcrum.get("/").text()), (200, "a".to_owned()));
    assert_eq!(list(&fulcrum), before);
    let after = fulcrum.ask_registry("GET", "/v1/services", "").json();
    assert_eq!(after["store_epoch"], services["store_epoch"], "it is the same history");
    assert!(after["index"].as_u64() >= services["index"].as_u64(), "{after} {services}");

    assert_eq!(fulcrum.beat("web/a", &1.into()).status, 409, "replaced long ago");
    assert_eq!(fulcrum.beat("web/a", &2.into()).status, 200, "nobody has to register again");
    assert_eq!(fulcrum.register("web/a", upstream.address(), json!({ "incarnation": "three" }))["epoch"], 3);
    assert_eq!(fulcrum.register("web/d", "127.77.0.1:3", json!({ "incarnation": "two" }))["epoch"], 2);
    let sequence = fulcrum.instance("web/d").expect("it is there")["sequence"].as_u64();
    assert!(sequence > services["index"].as_u64(), "numbers never go back");
}

#[test]
fn a_restart_keeps_what_is_registered() {
    check_restart(|fulcrum| assert_eq!(fulcrum.stop(), Some(0)));
}

#[test]
fn a_killed_daemon_has_kept_what_it_answered() {
    check_restart(|fulcrum| {
        fulcrum.child.signal(Signal::KILL);
        assert_eq!(fulcrum.child.exit_code(), None);
    });
}

/// What a client is told that connects as soon as anyone listens.
#[track_caller]
fn first_answer(address: &str) -> (u16, String) {
    let start = Instant::now();
    let socket = loop {
        match Socket::connect(address) {
            Ok(socket) => break socket,
            Err(error) => assert!(start.elapsed() < DEADLINE, "{address}: {error}"),
        }
    };
    let response = Client { wire: Wire::new(socket) }.get("/");
    (response.status, response.text())
}

/// Not even the first request fails because its service has no endpoints yet.
#[test]
fn whoever_connects_first_is_served() {
    let upstream = Upstream::named("a");
    let port = std::net::TcpListener::bind("127.0.0.2:0").and_then(|listener| listener.local_addr());
    // Free a moment ago: clients that wait for the daemon have to know it before. Not 127.0.0.1: whoever connects from
    // there again and again meets itself one day.
    let address = port.expect("a free port").to_string();
    let listener = format!("web: {{ bind: \"{address}\" }}");
    let mut fulcrum = Fulcrum::start(&yaml("", "").replace("web: { bind: \"127.0.0.1:0\" }", &listener));
    fulcrum.register("web/a", upstream.address(), json!({}));
    await_shares(&fulcrum, [("a", 1)]);
    for _ in 0..5 {
        assert_eq!(fulcrum.stop(), Some(0));
        let address = address.clone();
        let client = std::thread::spawn(move || first_answer(&address));
        fulcrum.restart();
        assert_eq!(client.join().expect("see above"), (200, "a".to_owned()));
    }
}

/// Whoever comes back with the last event that it has seen goes on from there, or is told to begin anew; it never
/// misses anything without knowing.
#[test]
fn a_watcher_comes_back_after_a_restart() {
    let mut fulcrum = start("");
    fulcrum.register("web/a", "127.77.0.1:1", json!({}));
    let watch = |fulcrum: &Fulcrum, last: &str| {
        let mut watcher = Client::connect(fulcrum.registry());
        watcher.send(format!("GET /v1/watch HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last}\r\n\r\n"));
        assert_eq!(watcher.wire.head().expect("a head").word(1), "200");
        watcher
    };
    let read = |watcher: &mut Client, until: &str| {
        let mut text = String::new();
        while !text.contains(until) {
            text += &String::from_utf8_lossy(&watcher.wire.some().expect("more"));
        }
        text
    };
    let text = read(&mut watch(&fulcrum, ""), "\nid: ");
    let (_, id) = text.rsplit_once("\nid: ").expect("an id");
    let id = id.trim().to_owned();
    assert_eq!(fulcrum.stop(), Some(0));
    fulcrum.restart();
    fulcrum.register("web/b", "127.77.0.1:2", json!({}));
    let text = read(&mut watch(&fulcrum, &id), "\"id\":\"b\"");
    assert!(
        text.contains("event: reset") && text.contains("\"id\":\"a\"") || text.contains("event: put"),
        "{text}"
    );
}
