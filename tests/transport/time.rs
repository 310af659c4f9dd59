//! Upstreams that are slow: clocks run only while we wait for them.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Conversation, Setup, Upstream, eventually};

#[test]
fn an_upstream_that_does_not_answer_in_time_is_a_gateway_timeout() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        conversation.request();
        conversation.until_closed();
    });
    let fulcrum = Setup::new(&upstream).service("timeouts: { response_header: 300ms }").start();
    let mut client = fulcrum.connect();
    let start = Instant::now();
    let response = client.get("/");
    assert_eq!(response.status, 504);
    assert!(response.text().contains("reason: response_header_timeout\n"), "{}", response.text());
    // Workers count time in ticks of 50 ms: one that was kept from running for longer begins in the past.
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    fulcrum.await_errors("response_header_timeout", 1);
    assert_eq!(upstream.requests().len(), 1, "it may be at work: nothing is repeated");
    eventually("its connection is closed", || (upstream.open_connections() == 0).then_some(()));
}

#[test]
fn the_response_header_clock_starts_at_the_end_of_the_request() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).service("timeouts: { response_header: 400ms }").start();
    let mut client = fulcrum.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n");
    client.trickle("0123456789", Duration::from_millis(100));
    assert_eq!(client.response().text(), "app");
}

#[test]
fn a_response_that_stops_in_its_body_times_out() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        conversation.request();
        conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        conversation.until_closed();
    });
    let fulcrum = Setup::new(&upstream).service("timeouts: { response_idle: 300ms }").start();
    let mut client = fulcrum.connect();
    client.send("GET /stalled HTTP/1.1\r\nHost: test\r\n\r\n");
    let response = client.try_response("GET").expect("it had begun");
    assert_eq!(response.text(), "hello");
    assert!(response.end.is_err(), "no clean end");
    fulcrum.await_errors("response_idle_timeout", 1);
    assert_eq!(fulcrum.record_of("/stalled")["reason"], "response_idle_timeout");
}

#[test]
fn a_slow_response_that_makes_progress_arrives() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        conversation.request();
        conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
        for byte in b"progress" {
            thread::sleep(Duration::from_millis(100));
            conversation.send([*byte]);
        }
    });
    let fulcrum =
        Setup::new(&upstream).service("timeouts: { response_idle: 600ms, response_header: 600ms }").start();
    assert_eq!(fulcrum.get("/").text(), "progress");
}

#[test]
fn a_client_that_does_not_read_does_not_time_the_upstream_out() {
    let length = 32 << 20;
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        conversation.request();
        conversation.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        conversation.send(vec![b'a'; length]);
    });
    let fulcrum = Setup::new(&upstream).service("timeouts: { response_idle: 200ms }").start();
    let mut client = fulcrum.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    thread::sleep(Duration::from_millis(800));
    assert_eq!(client.response().body.len(), length);
}

#[test]
fn an_event_stream_may_be_quiet_for_longer() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        conversation.request();
        conversation.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n");
        thread::sleep(Duration::from_millis(700));
        conversation.send("data: two\n\n");
    });
    let fulcrum =
        Setup::new(&upstream).service("timeouts: { response_idle: 200ms, stream_idle: 10s }").start();
    let mut client = fulcrum.connect();
    client.send("GET /events HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.wire.head().expect("a head").field("content-type"), Some("text/event-stream"));
    // Each event comes when it happens, as a chunk of its own.
    assert_eq!(client.wire.exactly(16), Ok(b"b\r\ndata: one\n\n\r\n".to_vec()));
    assert_eq!(client.wire.exactly(16), Ok(b"b\r\ndata: two\n\n\r\n".to_vec()));
    assert_eq!(client.wire.exactly(5), Ok(b"0\r\n\r\n".to_vec()));
}
