//! What a check asks, and which answers are good ones.

use super::assert_shed;
use super::health::{Patient, checked};
use crate::harness::{Conversation, Setup, Upstream, ok};

/// Whether an endpoint is up that answers its check like this.
#[track_caller]
fn check_expected(keys: &str, answer: &'static str, is_up: bool) {
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            conversation.send(if request.target() == "/healthz" { answer.into() } else { ok("app") });
        }
    });
    let service = format!("panic: {{ then: 503 }}, health: {{ http: /healthz, interval: 100ms{keys} }}");
    let fulcrum = Setup::new(&upstream).service(&service).start();
    let response = fulcrum.get("/first");
    if is_up {
        assert_eq!(response.text(), "app", "{keys} {answer:?}");
    } else {
        assert_shed(&response, &fulcrum, "/first", "no_endpoint");
        assert_eq!(fulcrum.status()["services"][0]["endpoints"][0]["in_flight"], 0);
    }
}

#[test]
fn an_answer_is_judged_by_what_is_expected() {
    const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nall ready\n";
    check_expected("", FINE, true);
    check_expected("", "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", true);
    check_expected("", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false);
    check_expected("", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", false);
    check_expected("", "SSH-2.0-OpenSSH\r\n\r\n", false);
    check_expected(", expect: { status: 204 }", FINE, false);
    check_expected(", expect: { status: [\"500-503\", 200] }", FINE, true);
    check_expected(", expect: { body: ready }", FINE, true);
    check_expected(", expect: { body: read_only }", FINE, false);
    check_expected(", expect: { body: ready }", "HTTP/1.1 200 OK\r\n\r\n", false);
    check_expected(
        ", expect: { body: ready }",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n",
        true,
    );
    check_expected(", method: HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", true);
}

#[test]
fn a_check_says_what_it_is_told_to_say() {
    let (app, health) = (Upstream::named("app"), Patient::new("health", 200));
    let port = health.upstream.address().rsplit(':').next().expect("a port").to_owned();
    let keys = format!(
        "health: {{ http: \"/healthz?full=1\", method: OPTIONS, host: web.internal, port: {port}, \
         headers: {{ x-probe: \"1\" }}, interval: 100ms }}"
    );
    let fulcrum = Setup::new(&app).service(&keys).start();
    assert_eq!(fulcrum.get("/").text(), "app");
    let request = health.upstream.requests().remove(0);
    assert_eq!((request.method(), request.target()), ("OPTIONS", "/healthz?full=1"));
    assert_eq!(request.field("host"), Some("web.internal"));
    assert_eq!(request.field("x-probe"), Some("1"));
    assert_eq!(app.requests().len(), 1, "its own port is not asked");
    assert_eq!(health.served(), 0, "and serves nobody");

    let plain = Patient::new("plain", 200);
    let fulcrum = checked(&[&plain], "").start();
    assert_eq!(fulcrum.get("/").text(), "plain");
    let request = plain.upstream.requests().remove(0);
    assert_eq!((request.method(), request.target()), ("GET", "/healthz"));
    assert_eq!(request.field("host"), Some(plain.upstream.address()));
}

/// Whether an endpoint is up whose other port speaks like this, once it was sent something.
#[track_caller]
fn check_tcp(keys: &str, waits_for: &'static str, says: &'static str, is_up: bool) {
    let app = Upstream::named("app");
    let other = Upstream::new(move |mut conversation: Conversation| {
        if let Ok(sent) = conversation.wire.exactly(waits_for.len()) {
            assert_eq!(String::from_utf8_lossy(&sent), waits_for);
            conversation.send(says);
            conversation.until_closed();
        }
    });
    let port = other.address().rsplit(':').next().expect("a port").to_owned();
    let check = format!("health: {{ tcp: {keys}, port: {port}, interval: 100ms, timeout: 300ms }}");
    let fulcrum = Setup::new(&app).service(&format!("panic: {{ then: 503 }}, {check}")).start();
    let expected = if is_up { 200 } else { 503 };
    assert_eq!(fulcrum.get("/").status, expected, "{keys} {says}");
}

#[test]
fn other_protocols_are_checked_by_what_they_say() {
    check_tcp("connect", "", "", true);
    check_tcp("{ send: \"PING\\r\\n\", expect: \"+PONG\" }", "PING\r\n", "+PONG\r\n", true);
    check_tcp("{ send: \"PING\\r\\n\", expect: \"+PONG\" }", "PING\r\n", "-LOADING\r\n", false);
    check_tcp("{ expect: \"SSH-2\" }", "", "SSH-2.0-OpenSSH\r\n", true);
    check_tcp("{ expect: \"SSH-2\" }", "", "", false);
    check_tcp("{ send: \"hello\" }", "hello", "", true);
}
