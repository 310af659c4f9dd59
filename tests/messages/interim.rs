//! 1xx responses and the expectation of one (RFC 9110 §10.1.1, §15.2).

use std::thread;
use std::time::Duration;

use crate::harness::{Conversation, Setup, Upstream, eventually, ok};

#[test]
fn continue_comes_from_the_upstream() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while let Some(head) = conversation.head() {
            assert!(head.lists("expect", "100-continue"), "{head:?}");
            assert_eq!(conversation.wire.unread(), b"", "the client waits");
            conversation.send("HTTP/1.1 100 Continue\r\n\r\n");
            let body = conversation.body(&head);
            conversation.send(ok(&String::from_utf8_lossy(&body.bytes)));
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for body in ["first", "again"] {
        client.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(client.wire.head().expect("an interim response").first_line, "HTTP/1.1 100 Continue");
        client.send(body);
        let response = client.response();
        assert_eq!((response.text().as_str(), response.interim.len()), (body, 0));
    }
    assert_eq!(upstream.connections(), 1);
}

/// Until the upstream says 100 the client waits for us: that is no time of its own.
#[test]
fn a_late_continue_takes_no_time_from_the_client() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        let head = conversation.head().expect("a head");
        thread::sleep(Duration::from_millis(900));
        conversation.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = conversation.body(&head);
        conversation.send(ok(&String::from_utf8_lossy(&body.bytes)));
    });
    let fulcrum = Setup::new(&upstream).listener("timeouts: { body_idle: 500ms }").start();
    let mut client = fulcrum.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.wire.head().expect("an interim response").first_line, "HTTP/1.1 100 Continue");
    thread::sleep(Duration::from_millis(200));
    let response = client.ask("hello");
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
}

#[test]
fn a_final_answer_instead_of_continue_ends_the_matter() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        if conversation.head().is_some() {
            conversation.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
            conversation.until_closed();
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str(), response.interim.len()), (401, "no", 0));
    // Whether the body comes after all nobody can know: the next bytes must not be taken for a request.
    client.send("GET /");
    client.assert_closed();
    eventually("neither connection is used again", || (upstream.open_connections() == 0).then_some(()));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_body_sent_without_waiting_for_continue_arrives() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    let request = "POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(client.ask(request).text(), "app");
    assert_eq!(upstream.only_request().body, b"hello");
    assert_eq!(client.get("/").text(), "app");
}

#[test]
fn an_expectation_in_http_1_0_is_ignored() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let request = "POST / HTTP/1.0\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
    let response = fulcrum.connect().ask(request);
    assert_eq!((response.text().as_str(), response.interim.len()), ("app", 0));
    assert_eq!(upstream.only_request().body, b"hello");
}

#[test]
fn other_expectations_fail() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    for expectation in ["200-ok", "100-continue, gold", "100-continued", ""] {
        let mut client = fulcrum.connect();
        let response = client.ask(format!("GET / HTTP/1.1\r\nHost: test\r\nExpect: {expectation}\r\n\r\n"));
        assert_eq!(response.status, 417, "{expectation}");
        assert!(response.text().contains("reason: unsupported_expectation\n"), "{}", response.text());
    }
    fulcrum.await_errors("unsupported_expectation", 4);
    assert_eq!(upstream.text(), "");
}

#[test]
fn early_hints_pass_in_order() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n\
                 HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\n";
    let upstream = Upstream::answering([hints.as_bytes(), &ok("page")].concat());
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for _ in 0..2 {
        let response = client.get("/");
        let links: Vec<_> =
            response.interim.iter().map(|head| head.field("link").unwrap_or_default()).collect();
        assert_eq!(links, ["</a.css>; rel=preload", "</b.css>; rel=preload"]);
        assert!(response.interim.iter().all(|head| !head.has("content-length")));
        assert_eq!((response.status, response.text().as_str()), (200, "page"));
    }
    // RFC 9110 §15.2: never to a client of HTTP/1.0.
    let response = fulcrum.connect().ask("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
    assert_eq!((response.interim.len(), response.text().as_str()), (0, "page"));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn interim_responses_without_end_are_a_bad_gateway() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        conversation.request();
        while conversation.wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").is_ok() {}
    });
    let fulcrum = Setup::new(&upstream).start();
    let response = fulcrum.get("/");
    assert_eq!(response.status, 502);
    assert!(response.interim.len() < 1000, "{}", response.interim.len());
    fulcrum.await_errors("invalid_response", 1);
}
