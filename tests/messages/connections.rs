//! How long a connection goes on: keep-alive, HTTP/1.0, pipelining (RFC 9112 §9).

use std::thread;
use std::time::Duration;

use crate::harness::{Conversation, Setup, Upstream, ok};

#[test]
fn http_1_0_clients_keep_a_connection_only_if_they_ask() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    assert_eq!(client.ask("GET / HTTP/1.0\r\nHost: test\r\n\r\n").text(), "app");
    client.assert_closed();

    let mut client = fulcrum.connect();
    for _ in 0..2 {
        let response = client.ask("GET / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!((response.text().as_str(), response.field("content-length")), ("app", Some("3")));
        assert!(response.head.lists("connection", "keep-alive"), "{:?}", response.head);
    }
    assert_eq!(client.ask("GET / HTTP/1.0\r\nHost: test\r\n\r\n").text(), "app");
    client.assert_closed();
    assert!(upstream.requests().iter().all(|request| request.head.first_line == "GET / HTTP/1.1"));
}

#[test]
fn http_1_0_clients_need_no_host_and_get_no_chunks() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    );
    let fulcrum = Setup::new(&upstream).start();
    for lines in ["", "Host: test\r\n", "Connection: keep-alive\r\n"] {
        let mut client = fulcrum.connect();
        let response = client.ask(format!("GET / HTTP/1.0\r\n{lines}\r\n"));
        assert_eq!((response.text().as_str(), response.is_until_close()), ("hello world", true), "{lines:?}");
        assert!(!response.head.lists("connection", "keep-alive"), "{:?}", response.head);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn connection_close_is_each_sides_own() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for count in 1..=3 {
        let response = client.get("/");
        assert!(!response.head.lists("connection", "close"), "{:?}", response.head);
        assert_eq!(upstream.connections(), count);
    }
    let response = client.ask("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert!(response.head.lists("connection", "close"), "{:?}", response.head);
    client.assert_closed();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            if request.target() == "/0" {
                thread::sleep(Duration::from_millis(100));
            }
            let body = String::from_utf8_lossy(&request.body).into_owned();
            conversation.send(ok(&format!("{} {} {body}", request.method(), request.target())));
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    let mut requests = String::new();
    for number in 0..30 {
        requests += &match number % 3 {
            0 => format!("GET /{number} HTTP/1.1\r\nHost: test\r\n\r\n"),
            1 => format!("POST /{number} HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"),
            _ => format!(
                "PUT /{number} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
            ),
        };
    }
    client.send(requests);
    for number in 0..30 {
        let expected = match number % 3 {
            0 => format!("GET /{number} "),
            1 => format!("POST /{number} hello"),
            _ => format!("PUT /{number} hello"),
        };
        assert_eq!(client.response().text(), expected);
    }
}

#[test]
fn pipelined_errors_come_in_order_and_end_it() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).route("{ path: /app, to: app }").start();
    let mut client = fulcrum.connect();
    client.send("GET /app HTTP/1.1\r\nHost: test\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n");
    client.send(
        "GET /app/2 HTTP/1.1\r\nHost: test\r\n\r\nbroken\r\n\r\nGET /app/3 HTTP/1.1\r\nHost: test\r\n\r\n",
    );
    let statuses = [(); 4].map(|()| client.response().status);
    assert_eq!(statuses, [200, 404, 200, 400]);
    client.assert_closed();
    assert!(!upstream.text().contains("/app/3"), "{}", upstream.text());
}

#[test]
fn requests_behind_connection_close_are_not_looked_at() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    for first in ["GET /last HTTP/1.1\r\nHost: test\r\nConnection: close", "GET /last HTTP/1.0\r\nHost: test"]
    {
        let mut client = fulcrum.connect();
        client.send(format!("{first}\r\n\r\nGET /behind HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(client.response().text(), "app");
        client.assert_closed();
    }
    assert!(upstream.requests().iter().all(|request| request.target() == "/last"), "{}", upstream.text());
}

/// Old clients end a body with a line end that is no part of it (RFC 9112 §2.2): the connection is as idle as without.
#[test]
fn an_empty_line_behind_a_request_begins_no_other() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("timeouts: { header: 200ms, keep_alive: 10s }").start();
    for behind in ["\r\n", "\r"] {
        let mut client = fulcrum.connect();
        let request = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello{behind}");
        assert_eq!(client.ask(request).text(), "app");
        client.assert_silent(Duration::from_millis(500));
        client.send(&"\r\n"[behind.len()..]);
        assert_eq!(client.get("/next").text(), "app", "{behind:?}");
    }
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
}
