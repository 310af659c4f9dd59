//! Clients that end their direction, and clients that are gone.

use std::thread;
use std::time::Duration;

use crate::harness::{Conversation, Setup, Upstream, eventually, ok};

#[test]
fn a_client_that_has_ended_its_direction_still_gets_its_answer() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            // The end of the client's direction is there before the answer.
            thread::sleep(Duration::from_millis(150));
            conversation.send(ok(request.target()));
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("GET /one HTTP/1.1\r\nHost: test\r\n\r\nGET /two HTTP/1.1\r\nHost: test\r\n\r\n");
    client.end_sending();
    assert_eq!(client.response().text(), "/one");
    assert_eq!(client.response().text(), "/two");
    client.assert_closed();
    assert!(fulcrum.records(2).iter().all(|record| record["reason"] == "ok"));
}

#[test]
fn a_client_that_aborts_takes_the_upstream_connection_with_it() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        let Some(request) = conversation.request() else { return };
        match request.target() {
            "/waiting" => {}
            _ => conversation.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        }
        conversation.until_closed();
    });
    let fulcrum = Setup::new(&upstream).start();
    for (count, target) in [(1, "/waiting"), (2, "/streaming")] {
        let mut client = fulcrum.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        upstream.await_requests(count);
        if target == "/streaming" {
            client.wire.head().expect("it has begun");
        }
        client.wire.socket.reset_on_close();
        drop(client);
        eventually("the upstream connection is closed", || (upstream.open_connections() == 0).then_some(()));
        let record = fulcrum.record_of(target);
        assert_eq!(record["reason"], "client_closed", "{record}");
        let status = if target == "/waiting" { 499 } else { 200 };
        assert_eq!(record["status"], status, "{record}");
    }
    fulcrum.await_errors("client_closed", 2);
    assert_eq!(fulcrum.metric("fulcrum_upstream_errors_total", &[]), 0.0, "no endpoint is to blame");
}

#[test]
fn a_client_that_aborts_its_upload_leaves_no_whole_request() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    for (count, framing) in
        [(1, "Content-Length: 10\r\n\r\nhello"), (2, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    {
        let mut client = fulcrum.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{framing}"));
        eventually("the body begins to arrive", || {
            (upstream.text().matches("hello").count() == count).then_some(())
        });
        drop(client);
        eventually("the upstream connection is closed", || (upstream.open_connections() == 0).then_some(()));
    }
    assert_eq!(upstream.requests().len(), 0);
    fulcrum.await_errors("client_closed", 2);
}
