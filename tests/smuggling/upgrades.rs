//! S17: upgrades that nobody asked for, or asked for wrongly.

use std::time::Duration;

use crate::harness::{Failure, Setup, Upstream, ok};

use super::{SMUGGLED, check_refused, post, refused};

#[test]
fn s17_a_101_that_nobody_asked_for_is_a_bad_gateway() {
    let upgraded =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nbytes";
    let upstream = Upstream::answering(upgraded);
    let fulcrum = Setup::new(&upstream).start();
    let requests = [
        "GET / HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ];
    for (count, request) in (1..).zip(requests) {
        let response = fulcrum.connect().ask(request);
        assert_eq!(response.status, 502, "{request:?}");
        assert!(response.text().contains("reason: unexpected_upgrade\n"), "{}", response.text());
        fulcrum.await_errors("unexpected_upgrade", count);
    }
    assert_eq!(upstream.connections(), requests.len(), "such a connection is not used again");
}

#[test]
fn s17_an_upgrade_with_a_body_is_refused() {
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    let requests = [
        post(&format!("{upgrade}Content-Length: 5\r\n"), "hello"),
        post(&format!("{upgrade}Transfer-Encoding: chunked\r\n"), "5\r\nhello\r\n0\r\n\r\n"),
    ];
    check_refused(&refused("unsupported_upgrade", &requests));
}

#[test]
fn s17_bytes_behind_an_upgrade_wait_for_the_101() {
    let upstream = Upstream::new(|mut conversation| {
        while let Some(head) = conversation.head() {
            conversation.wire.socket.set_read_timeout(Duration::from_millis(150));
            assert_eq!(conversation.wire.fill(), Err(Failure::Silent), "bytes came before the 101");
            assert_eq!(conversation.wire.unread(), b"");
            conversation.wire.socket.set_read_timeout(crate::harness::DEADLINE);
            assert_eq!(head.word(1), "/chat");
            conversation.send(ok("declined"));
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    let upgrade = "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send(format!("{upgrade}\u{1}\u{2}EARLY\r\n\r\n{SMUGGLED}"));
    assert_eq!(client.response().text(), "declined");
    // The upgrade was declined: what follows is HTTP again, and not good HTTP.
    assert_eq!(client.response().status, 400);
    client.assert_closed();
    assert!(
        !upstream.text().contains("EARLY") && !upstream.text().contains("/smuggled"),
        "{}",
        upstream.text()
    );
}
