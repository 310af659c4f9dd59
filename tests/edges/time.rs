//! E1, E2: slow heads and slow bodies.

use std::time::{Duration, Instant};

use crate::harness::{Conversation, Failure, Setup, Upstream, ok};

#[test]
fn e01_a_trickled_head_is_cut_off_after_the_total_time() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("timeouts: { header: 300ms }").start();
    let mut client = fulcrum.connect();
    let start = Instant::now();
    // Each byte is progress, and none of them buys time.
    client.trickle("GET /slow HTTP/1.1\r\nHost: test", Duration::from_millis(20));
    let response = client.response();
    assert_eq!(response.status, 408);
    assert!(response.head.lists("connection", "close"), "{:?}", response.head);
    assert!(response.text().contains("reason: header_timeout\n"), "{}", response.text());
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    client.assert_closed();
    fulcrum.await_errors("header_timeout", 1);
    assert_eq!(upstream.text(), "");
}

#[test]
fn e01_a_connection_without_a_byte_is_closed_silently() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("timeouts: { header: 300ms }").start();
    let mut client = fulcrum.connect();
    let start = Instant::now();
    let (bytes, failure) = client.wire.until_end();
    assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), failure), ("", Failure::Closed));
    assert!(start.elapsed() >= Duration::from_millis(290), "{:?}", start.elapsed());
    fulcrum.await_metric("fulcrum_http_idle_closed_total", &[], 1.0);
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
    assert_eq!(fulcrum.log_lines(), [""; 0], "no request, no record");
}

#[test]
fn e01_the_header_clock_starts_anew_with_each_request() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("timeouts: { header: 400ms, keep_alive: 10s }").start();
    let mut client = fulcrum.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 200);
        client.assert_silent(Duration::from_millis(200));
    }
    client.send("GET /half");
    let response = client.response();
    assert_eq!(response.status, 408);
    client.assert_closed();
    fulcrum.await_errors("header_timeout", 1);
}

#[test]
fn e01_an_idle_kept_connection_is_closed_silently() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("timeouts: { keep_alive: 300ms }").start();
    let mut client = fulcrum.connect();
    assert_eq!(client.get("/").status, 200);
    let start = Instant::now();
    client.assert_closed();
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
}

#[test]
fn e02_a_stalled_body_times_out() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("timeouts: { body_idle: 300ms }").start();
    for framing in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut client = fulcrum.connect();
        client.send(format!("POST /stalled HTTP/1.1\r\nHost: test\r\n{framing}"));
        let response = client.response();
        assert_eq!(response.status, 408, "{framing:?}");
        assert!(response.text().contains("reason: body_timeout\n"), "{}", response.text());
        client.assert_closed();
    }
    fulcrum.await_errors("body_timeout", 2);
    assert_eq!(upstream.requests().len(), 0, "no whole request");
    assert_eq!(fulcrum.record_of("/stalled")["reason"], "body_timeout");
}

#[test]
fn e02_a_slow_body_that_makes_progress_arrives() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("timeouts: { body_idle: 1s }").start();
    let mut client = fulcrum.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n");
    let start = Instant::now();
    client.trickle("0123456789", Duration::from_millis(150));
    assert!(start.elapsed() > Duration::from_secs(1), "longer than the limit in all");
    assert_eq!(client.response().text(), "app");
    assert_eq!(upstream.only_request().body, b"0123456789");
}

#[test]
fn e02_no_time_out_for_a_client_that_we_block_ourselves() {
    // The upstream takes nothing for longer than the client's limit: the client is not to blame.
    let upstream = Upstream::new(|mut conversation: Conversation| {
        let head = conversation.head().expect("a head");
        std::thread::sleep(Duration::from_millis(900));
        let body = conversation.body(&head);
        conversation.send(ok(&body.bytes.len().to_string()));
    });
    let fulcrum = Setup::new(&upstream).listener("timeouts: { body_idle: 300ms }").start();
    let mut client = fulcrum.connect();
    // More than all socket buffers on the way hold, so that it is still being sent then.
    let length = 24 << 20;
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n"));
    client.send(vec![b'a'; length]);
    assert_eq!(client.response().text(), length.to_string());
}
