//! Connections that are kept, and for how long.

use std::thread;
use std::time::Duration;

use crate::harness::{Client, Conversation, Setup, Upstream, eventually, ok};

#[test]
fn sequential_requests_share_one_connection() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "app");
    }
    // Another client too.
    assert_eq!(fulcrum.get("/").text(), "app");
    assert_eq!((upstream.connections(), upstream.requests().len()), (1, 11));
    let labels = [("service", "app"), ("endpoint", upstream.address())];
    fulcrum.await_metric("fulcrum_upstream_connections_total", &labels, 1.0);
    fulcrum.await_metric("fulcrum_upstream_connections_reused_total", &labels, 10.0);
    fulcrum.await_metric("fulcrum_upstream_connections_idle", &labels, 1.0);
}

#[test]
fn concurrent_requests_never_share_a_connection() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while conversation.request().is_some() {
            thread::sleep(Duration::from_millis(100));
            conversation.send(ok("app"));
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut clients: Vec<Client> = (0..5).map(|_| fulcrum.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "app");
    }
    assert_eq!(upstream.connections(), 5);
}

#[test]
fn pool_limits_hold() {
    let check = |pool: &str, requests: usize, connections: usize| {
        let upstream = Upstream::named("app");
        let fulcrum = Setup::new(&upstream).service(&format!("pool: {{ {pool} }}")).start();
        let mut client = fulcrum.connect();
        for _ in 0..requests {
            assert_eq!(client.get("/").text(), "app");
        }
        assert_eq!(upstream.connections(), connections, "{pool}");
    };
    check("max_idle: 0", 3, 3);
    check("max_requests: 2", 6, 3);
    check("max_idle: 1", 3, 1);
}

#[test]
fn unused_connections_are_closed_in_time() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).service("pool: { idle: 300ms }").start();
    assert_eq!(fulcrum.get("/").text(), "app");
    assert_eq!(upstream.open_connections(), 1);
    eventually("the pooled connection is closed", || (upstream.open_connections() == 0).then_some(()));
    fulcrum.await_metric("fulcrum_upstream_connections_idle", &[], 0.0);
    assert_eq!(fulcrum.get("/").text(), "app");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn old_connections_are_not_used_again() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).service("pool: { max_age: 200ms }").start();
    assert_eq!(fulcrum.get("/").text(), "app");
    thread::sleep(Duration::from_millis(250));
    assert_eq!(fulcrum.get("/").text(), "app");
    assert_eq!(upstream.connections(), 2);
}
