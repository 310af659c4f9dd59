//! What is kept of a body for a second delivery is let go with its request.

use crate::harness::{Client, Fulcrum, Setup, Upstream, pattern};

/// As much as is kept of a body, almost.
const BODY: usize = 15 * 1024;

/// A connection that has sent a body which could have been sent again, and stays.
#[track_caller]
fn after_a_put(fulcrum: &Fulcrum, request: &[u8]) -> Client {
    let mut client = fulcrum.connect();
    assert_eq!(client.ask(request).text(), "app");
    client
}

#[test]
fn idle_connections_keep_nothing_of_their_last_body() {
    const IDLE: usize = 300;
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let head = format!("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: {BODY}\r\n\r\n");
    let request = [head.as_bytes(), &pattern(BODY)].concat();
    // What is needed once, whatever comes then.
    let warm: Vec<Client> = (0..20).map(|_| after_a_put(&fulcrum, &request)).collect();
    let before = fulcrum.resident();
    let idle: Vec<Client> = (0..IDLE).map(|_| after_a_put(&fulcrum, &request)).collect();
    fulcrum.await_metric("fulcrum_http_connections", &[], (warm.len() + idle.len()) as f64);
    let grown = fulcrum.resident().saturating_sub(before) as usize / IDLE;
    assert!(grown < 8 * 1024, "{grown} bytes for each idle connection");
}
