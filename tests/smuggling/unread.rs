//! S15, S16: bodies where none may be, and bodies that nobody reads.

use crate::harness::{Conversation, Setup, Upstream, ok};

use super::{SMUGGLED, check_refused, refused};

#[test]
fn s15_a_body_on_get_head_or_delete_in_http_1_0_is_refused() {
    let request =
        |method: &str| format!("{method} /offending HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello").into_bytes();
    let requests = ["GET", "DELETE"].map(request);
    check_refused(&refused("body_not_allowed", &requests));
}

#[test]
fn s15_a_body_on_head_in_http_1_0_is_refused() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send(format!("HEAD /offending HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello{SMUGGLED}"));
    let response = client.try_response("HEAD").expect("a head without a body");
    assert_eq!(response.status, 400);
    client.assert_closed();
    fulcrum.await_errors("body_not_allowed", 1);
    assert_eq!(upstream.text(), "");
}

/// Answers the head of a request at once and waits for the end of the connection.
fn answer_early(mut conversation: Conversation) {
    while conversation.head().is_some() {
        conversation.send(ok("early"));
        conversation.until_closed();
    }
}

#[test]
fn s16_an_unread_body_never_becomes_a_request() {
    let upstream = Upstream::new(answer_early);
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send(format!("POST /early HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", SMUGGLED.len()));
    assert_eq!(client.response().text(), "early");
    // Drained or closed: either is right, a second meaning for these bytes is not.
    client.send(SMUGGLED);
    client.end_sending();
    client.assert_closed();
    assert_eq!(upstream.connections(), 1, "one request, one connection: {}", upstream.text());
}

#[test]
fn s16_an_upstream_connection_with_an_unsent_body_is_not_used_again() {
    let upstream = Upstream::new(answer_early);
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("POST /early HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nbeginning");
    assert_eq!(client.response().text(), "early");
    drop(client);
    assert_eq!(fulcrum.get("/next").text(), "early");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn s16_the_body_of_a_request_we_answer_ourselves_is_no_request() {
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream)
        .route("{ path: /fixed, respond: { status: 200, body: fixed } }")
        .route("{ path: /moved, redirect: { to: \"https://elsewhere/x\" } }")
        .route("{ host: known, to: app }");
    let fulcrum = setup.start();
    for (target, status) in [("/fixed", 200), ("/moved", 308), ("/nowhere", 404)] {
        let mut client = fulcrum.connect();
        let lines = format!("Host: test\r\nContent-Length: {}\r\n", SMUGGLED.len());
        client.send(format!("POST {target} HTTP/1.1\r\n{lines}\r\n{SMUGGLED}"));
        assert_eq!(client.response().status, status);
        client.send("GET /fixed HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_eq!(client.response().text(), "fixed", "{target}: the body was drained");
        client.assert_closed();
    }
    assert_eq!(upstream.text(), "");
}
