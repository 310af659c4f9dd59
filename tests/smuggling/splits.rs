//! Requests mean the same however they are split into packets.

use std::time::Duration;

use crate::harness::{Setup, Upstream, chunked, hold};

#[test]
fn good_requests_split_anywhere_reach_the_upstream_the_same() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let body = chunked(b"one two three", &[3, 1, 9]);
    let head = "POST /split HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let request = [head.as_bytes(), &body].concat();
    let mut client = fulcrum.connect();
    client.send_byte_by_byte(&request);
    assert_eq!(client.response().text(), "app");
    for at in 1..request.len() {
        client.send(&request[..at]);
        // The pieces are separate packets: nothing else is promised, and nothing else is needed.
        client.send(&request[at..]);
        assert_eq!(client.response().text(), "app", "split at {at}");
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), request.len());
    assert!(requests.iter().all(|request| request.body == b"one two three" && request.target() == "/split"));
}

#[test]
fn refused_requests_split_anywhere_are_refused_the_same() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let request = "GET /offending HTTP/1.1\r\nHost: test\nX-A: b\r\n\r\n";
    for at in (1..request.len()).step_by(3) {
        let mut client = fulcrum.connect();
        client.send(&request[..at]);
        client.send(&request[at..]);
        assert_eq!(client.response().status, 400, "split at {at}");
        client.assert_closed();
    }
    hold("nothing reaches the upstream", Duration::from_millis(20), || upstream.text().is_empty());
}
