//! Connections that break, and which requests may then be sent again (RFC 9110 §9.2.2).

use std::fs;
use std::net::SocketAddrV4;
use std::thread;
use std::time::Duration;

use crate::harness::{Conversation, REFUSED, Setup, Upstream, eventually, ok};

/// Answers the first request of each connection, then ends the connection as told, at once.
fn answers_once(reset: bool) -> Upstream {
    Upstream::new(move |mut conversation: Conversation| {
        if conversation.request().is_some() {
            conversation.send(ok("once"));
            if reset {
                // The answer shall arrive before the reset.
                thread::sleep(Duration::from_millis(50));
                conversation.reset();
            }
        }
    })
}

#[test]
fn a_pooled_connection_that_the_upstream_closed_costs_nothing() {
    for reset in [false, true] {
        let upstream = answers_once(reset);
        let fulcrum = Setup::new(&upstream).start();
        let mut client = fulcrum.connect();
        for count in 1..=5 {
            // Nothing of it was sent before: even a POST is safe.
            let request = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";
            assert_eq!(client.ask(request).text(), "once");
            eventually("the upstream has closed", || (upstream.open_connections() == 0).then_some(()));
            await_word_of_closing(upstream.address());
            assert_eq!(upstream.requests().len(), count, "none was sent twice");
        }
        assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
    }
}

/// Waits until no connection to an address looks open to the one who made it: a busy kernel passes that on a little later, and
/// until then a POST is sent there, for good.
fn await_word_of_closing(address: &str) {
    let address: SocketAddrV4 = address.parse().expect("an address");
    let remote = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    eventually("the proxy can know that the upstream has closed", || {
        let table = fs::read_to_string("/proc/net/tcp").expect("Linux has it");
        let is_open = |line: &str| {
            let mut fields = line.split_whitespace().skip(2);
            fields.next() == Some(&remote) && fields.next() == Some(ESTABLISHED)
        };
        (!table.lines().any(is_open)).then_some(())
    });
}

/// As the kernel writes it.
const ESTABLISHED: &str = "01";

/// Answers the first request of each connection; drops the connection on receiving the second one.
fn drops_the_second(reset: bool) -> Upstream {
    Upstream::new(move |mut conversation: Conversation| {
        if conversation.request().is_some() {
            conversation.send(ok("first"));
            if conversation.request().is_some() && reset {
                conversation.reset();
            }
        }
    })
}

#[test]
fn an_idempotent_request_is_repeated_when_a_reused_connection_breaks() {
    let body = "Content-Length: 5\r\n\r\nhello";
    for reset in [false, true] {
        for (method, rest) in [("GET", "\r\n"), ("HEAD", "\r\n"), ("DELETE", "\r\n"), ("PUT", body)] {
            let upstream = drops_the_second(reset);
            let fulcrum = Setup::new(&upstream).start();
            let mut client = fulcrum.connect();
            assert_eq!(client.get("/warm-up").text(), "first");
            client.send(format!("{method} /again HTTP/1.1\r\nHost: test\r\n{rest}"));
            let response = client.try_response(method).expect("an answer");
            assert_eq!(response.status, 200, "{method}: {}", response.text());
            let requests = upstream.requests();
            assert_eq!(requests.len(), 3, "{method}: {requests:?}");
            assert!(requests[1..].iter().all(|request| request.method() == method));
            assert_eq!(requests[1].body, requests[2].body, "{method} is repeated whole");
            fulcrum.await_metric("fulcrum_upstream_retries_total", &[("service", "app")], 1.0);
            assert_eq!(fulcrum.record_of("/again")["attempts"], 2);
        }
    }
}

#[test]
fn a_post_is_never_executed_twice() {
    for (reset, reason) in [(false, "upstream_closed"), (true, "upstream_reset")] {
        let upstream = drops_the_second(reset);
        let fulcrum = Setup::new(&upstream).endpoint(REFUSED).service("balance: round_robin").start();
        let mut client = fulcrum.connect();
        assert_eq!(client.get("/warm-up").text(), "first");
        let response = client.ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(response.status, 502);
        assert!(response.text().contains(&format!("reason: {reason}\n")), "{}", response.text());
        assert_eq!(upstream.requests().iter().filter(|request| request.method() == "POST").count(), 1);
        fulcrum.await_errors(reason, 1);
    }
}

#[test]
fn a_first_request_that_the_upstream_drops_is_not_repeated() {
    // On a fresh connection it has perhaps been executed, whatever its method.
    for (reset, reason) in [(false, "upstream_closed"), (true, "upstream_reset")] {
        let upstream = Upstream::new(move |mut conversation: Conversation| {
            if conversation.request().is_some() && reset {
                conversation.reset();
            }
        });
        let fulcrum = Setup::new(&upstream).start();
        let mut client = fulcrum.connect();
        let response = client.get("/");
        assert_eq!(response.status, 502);
        assert!(response.text().contains(&format!("reason: {reason}\n")), "{}", response.text());
        assert_eq!(upstream.requests().len(), 1);
        assert_eq!(client.get("/").status, 502, "the client's connection goes on");
        let labels = [("service", "app"), ("endpoint", upstream.address()), ("reason", reason)];
        fulcrum.await_metric("fulcrum_upstream_errors_total", &labels, 2.0);
        fulcrum.await_errors(reason, 2);
    }
}

#[test]
fn an_upstream_that_gives_up_in_mid_upload_is_a_bad_gateway() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        let Some(head) = conversation.head() else { return };
        if head.word(1) == "/next" {
            return conversation.send(ok("next"));
        }
        let _ = conversation.wire.exactly(5);
        conversation.reset();
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(client.response().status, 502);
    // The rest of the body is no request: it is read to its end, and what stands behind it is one.
    client.send("worldGET /next HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.response().text(), "next");
    assert_eq!(fulcrum.records(2)[0]["reason"], "upstream_reset");
    assert!(!upstream.text().contains("world"), "{}", upstream.text());
}
