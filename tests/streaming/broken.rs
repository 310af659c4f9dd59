//! Bodies that end too early.

use std::thread;
use std::time::Duration;

use crate::harness::{Conversation, Failure, Setup, Upstream};

/// Answers with the beginning of a body that only the end of the connection ends, then ends it as told.
fn close_delimited(reset: bool) -> Upstream {
    Upstream::new(move |mut conversation: Conversation| {
        if conversation.request().is_none() {
            return;
        }
        conversation.send("HTTP/1.0 200 OK\r\nX-Old: yes\r\n\r\nall of it");
        if reset {
            // The bytes shall arrive before the reset.
            thread::sleep(Duration::from_millis(100));
            conversation.reset();
        }
    })
}

#[test]
fn a_body_up_to_the_close_passes() {
    let upstream = close_delimited(false);
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!(
            (response.text().as_str(), response.is_chunked()),
            ("all of it", true),
            "{:?}",
            response.head
        );
        assert_eq!(response.field("x-old"), Some("yes"));
    }
    client.send("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.text().as_str(), response.is_until_close()),
        ("all of it", true),
        "{:?}",
        response.head
    );
    assert!(fulcrum.records(3).iter().all(|record| record["reason"] == "ok"));
}

#[test]
fn a_reset_is_not_the_clean_end_of_a_body_up_to_the_close() {
    let upstream = close_delimited(true);
    let fulcrum = Setup::new(&upstream).start();
    for (count, version) in [(1, "1.1"), (2, "1.0")] {
        let mut client = fulcrum.connect();
        client.send(format!("GET / HTTP/{version}\r\nHost: test\r\n\r\n"));
        let response = client.try_response("GET").expect("the head had come");
        let broken = match version {
            // Chunks say how they end; without them only a reset can say that this is no end.
            "1.1" => matches!(response.end, Err(Failure::Closed | Failure::Reset)),
            _ => response.end == Err(Failure::Reset),
        };
        assert!(broken, "{version}: {response:?}");
        let records = fulcrum.records(count);
        let reason = records[count - 1]["reason"].as_str().unwrap_or_default();
        assert!(["upstream_reset", "truncated_response"].contains(&reason), "{reason}");
        fulcrum.await_metric("fulcrum_http_errors_total", &[("reason", reason)], count as f64);
    }
}

#[test]
fn a_truncated_body_ends_the_connection_and_is_counted() {
    for (body, arrives) in [
        ("Content-Length: 10\r\n\r\nhello", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\nwor", "hellowor"),
    ] {
        for reset in [false, true] {
            let response = format!("HTTP/1.1 200 OK\r\n{body}");
            let upstream = Upstream::new(move |mut conversation: Conversation| {
                if conversation.request().is_some() {
                    conversation.send(&response);
                    thread::sleep(Duration::from_millis(100));
                    if reset {
                        conversation.reset();
                    }
                }
            });
            let fulcrum = Setup::new(&upstream).start();
            let mut client = fulcrum.connect();
            client.send("GET /cut HTTP/1.1\r\nHost: test\r\n\r\nGET /next HTTP/1.1\r\nHost: test\r\n\r\n");
            let response = client.try_response("GET").expect("the head had come");
            assert_eq!((response.status, response.text().as_str()), (200, arrives), "{body:?}");
            assert!(matches!(response.end, Err(Failure::Closed | Failure::Reset)), "{body:?}: {response:?}");
            fulcrum.await_errors("truncated_response", 1);
            assert_eq!(fulcrum.record_of("/cut")["reason"], "truncated_response");
            let labels = [("service", "app"), ("reason", "truncated_response")];
            fulcrum.await_metric("fulcrum_upstream_errors_total", &labels, 1.0);
            assert!(!upstream.text().contains("/next"), "the connection cannot go on");
        }
    }
}
