//! `fulcrum_process_limit_hits_total`: every limit of the process is counted when it is met.

use std::time::Duration;

use crate::harness::{Client, Fulcrum, Setup, Upstream, hold, pattern};

#[track_caller]
fn await_hits(fulcrum: &Fulcrum, limit: &str, expected: u32) {
    fulcrum.await_metric("fulcrum_process_limit_hits_total", &[("reason", limit)], expected.into());
}

#[test]
fn every_limit_is_there_from_the_start() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let metrics = fulcrum.metrics();
    for limit in ["connections", "listener_connections", "file_descriptors", "pool_idle", "discard"] {
        assert!(metrics.has("fulcrum_process_limit_hits_total", &[("reason", limit)]), "{limit}");
    }
    assert_eq!(metrics.value("fulcrum_process_limit_hits_total", &[]), 0.0);
}

#[test]
fn a_full_listener_lets_others_wait() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("limits: { connections: 2 }").start();
    let mut first = [fulcrum.connect(), fulcrum.connect()];
    first.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    await_hits(&fulcrum, "listener_connections", 1);
    // Who is idle would make room.
    first.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\n"));
    let mut waiting = fulcrum.connect();
    waiting.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    hold("only two connections are served", Duration::from_millis(100), || upstream.requests().len() == 2);
    drop(first);
    assert_eq!(waiting.response().status, 200);
}

#[test]
fn all_listeners_share_the_descriptors() {
    // Of 280 descriptors 256 are reserved; 70 % of the rest, counted in whole tens, are 14 connections.
    let upstream = Upstream::named("app");
    let fulcrum = Fulcrum::start_with_descriptors(&Setup::new(&upstream).yaml(), 280);
    fulcrum.await_metric("fulcrum_process_max_fds", &[], 280.0);
    let mut clients: Vec<Client> = (0..14).map(|_| fulcrum.connect()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    await_hits(&fulcrum, "connections", 1);
    clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\n"));
    let mut waiting = fulcrum.connect();
    waiting.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    hold("only fourteen connections are served", Duration::from_millis(100), || {
        upstream.requests().len() == 14
    });
    drop(clients);
    assert_eq!(waiting.response().status, 200);
}

#[test]
fn a_full_pool_closes_connections() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).service("pool: { max_idle: 0 }").start();
    let mut client = fulcrum.connect();
    (0..3).for_each(|_| drop(client.get("/")));
    await_hits(&fulcrum, "pool_idle", 3);
    assert_eq!(upstream.connections(), 3);
    fulcrum.await_metric("fulcrum_upstream_connections_idle", &[], 0.0);
}

#[test]
fn discarding_has_an_end() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("http: { body: 1KiB }").start();
    let mut client = fulcrum.connect();
    let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", 1 << 20);
    client.send([head.as_bytes(), &pattern(256 * 1024)].concat());
    await_hits(&fulcrum, "discard", 1);
    fulcrum.await_errors("body_too_large", 1);
}
