//! Connections that cannot be made: another endpoint takes the request.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{REFUSED, Setup, Upstream};

#[test]
fn a_refused_endpoint_is_passed_over_at_once() {
    for balance in [
        "round_robin",
        "least_request",
        "random",
        "{ policy: ring, key: path }",
        "{ policy: maglev, key: path }",
    ] {
        let upstream = Upstream::named("app");
        let fulcrum = Setup::new(&upstream).endpoint(REFUSED).service(&format!("balance: {balance}")).start();
        let start = Instant::now();
        for number in 0..20 {
            let body = "x".repeat(number);
            let request =
                format!("POST /{number} HTTP/1.1\r\nHost: test\r\nContent-Length: {number}\r\n\r\n{body}");
            assert_eq!(fulcrum.connect().ask(request).text(), "app", "{balance}");
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{balance}: {:?}", start.elapsed());
        assert_eq!(upstream.requests().len(), 20, "{balance}");
        let metrics = fulcrum.metrics();
        assert_eq!(metrics.value("fulcrum_http_errors_total", &[]), 0.0, "{balance}: no client sees it");
        let labels = [("endpoint", REFUSED), ("reason", "connect_refused")];
        let refused = metrics.value("fulcrum_upstream_errors_total", &labels);
        assert!(refused >= 1.0, "{balance}: it was tried, and counted");
        assert_eq!(metrics.value("fulcrum_upstream_retries_total", &[]), refused, "{balance}");
        assert!(fulcrum.records(20).iter().any(|record| record["attempts"] == 2), "{balance}");
    }
}

#[test]
fn nothing_but_refused_endpoints_is_a_bad_gateway() {
    let fulcrum = Setup::default().endpoint(REFUSED).endpoint("127.77.0.2:1").start();
    let mut client = fulcrum.connect();
    for count in 1..=2 {
        let response = client.get("/");
        assert_eq!(response.status, 502);
        assert!(response.text().contains("reason: connect_refused\n"), "{}", response.text());
        fulcrum.await_errors("connect_refused", count);
    }
    // A body that was never asked for is no obstacle.
    assert_eq!(client.ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello").status, 502);
    let record = &fulcrum.records(3)[0];
    assert_eq!(
        (&record["attempts"], &record["upstream_status"]),
        (&2.into(), &serde_json::Value::Null),
        "{record}"
    );
}

#[test]
fn a_missing_unix_socket_is_a_bad_gateway() {
    let fulcrum = Setup::default().endpoint("unix:@DIR@/nobody.sock").start();
    let response = fulcrum.get("/");
    assert_eq!(response.status, 502);
    assert!(response.text().contains("reason: connect_"), "{}", response.text());
}

/// A listener whose queue is full: whoever connects now waits for an answer.
fn deaf_listener() -> (TcpListener, SocketAddr, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    rustix::net::listen(&listener, 0).expect("a listening socket");
    let address = listener.local_addr().expect("bound");
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue has an end");
    }
    (listener, address, queued)
}

#[test]
fn a_connection_that_is_not_accepted_in_time_is_a_gateway_timeout() {
    let (_listener, address, _queued) = deaf_listener();
    let setup = Setup::default().endpoint(&address.to_string()).service("timeouts: { connect: 300ms }");
    let fulcrum = setup.start();
    let start = Instant::now();
    let response = fulcrum.get("/");
    assert_eq!(response.status, 504, "{}", response.text());
    assert!(response.text().contains("reason: connect_timeout\n"), "{}", response.text());
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    fulcrum.await_errors("connect_timeout", 1);
}

#[test]
fn a_connection_that_is_not_accepted_in_time_is_replaced() {
    let (_listener, address, _queued) = deaf_listener();
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream).endpoint(&address.to_string());
    let fulcrum = setup.service("balance: round_robin, timeouts: { connect: 200ms }").start();
    for _ in 0..4 {
        assert_eq!(fulcrum.get("/").text(), "app");
    }
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
}

/// Nobody waits for the answer any more: no other endpoint is troubled, and none is to blame.
#[test]
fn a_client_that_leaves_while_we_connect_ends_the_attempt() {
    // Both are deaf: whichever is first, the other one would be next.
    let (_listener, address, _queued) = deaf_listener();
    let (_other_listener, other, _other_queued) = deaf_listener();
    let setup = Setup::default().endpoint(&address.to_string()).endpoint(&other.to_string());
    let fulcrum = setup.service("timeouts: { connect: 8s }").start();
    let start = Instant::now();
    let mut client = fulcrum.connect();
    client.send("GET /left HTTP/1.1\r\nHost: test\r\n\r\n");
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[], 1.0);
    client.wire.socket.reset_on_close();
    drop(client);
    let record = fulcrum.record_of("/left");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!((&record["reason"], &record["status"]), (&"client_closed".into(), &499.into()), "{record}");
    assert_eq!(record["attempts"], 1, "{record}");
    fulcrum.await_errors("client_closed", 1);
    assert_eq!(fulcrum.metric("fulcrum_upstream_errors_total", &[]), 0.0, "no endpoint is to blame");
    assert_eq!(fulcrum.metric("fulcrum_upstream_retries_total", &[]), 0.0);
}
