//! Upgraded connections (RFC 9110 §7.8): bytes pass both ways until both sides have ended.

use std::thread;
use std::time::Duration;

use crate::harness::{Client, Conversation, Failure, Fulcrum, Setup, Upstream, eventually, pattern};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Receives the request, switches, and goes on as told.
fn switching(script: impl Fn(Conversation) + Send + Sync + 'static) -> Upstream {
    Upstream::new(move |mut conversation| {
        if conversation.request().is_some() {
            conversation.send(SWITCHING);
            script(conversation);
        }
    })
}

/// Everything back, until the other side ends its direction.
fn echo(mut conversation: Conversation) {
    while let Ok(bytes) = conversation.wire.some() {
        conversation.send(bytes);
    }
}

/// A client whose upgrade has been accepted.
#[track_caller]
fn upgraded(fulcrum: &Fulcrum) -> Client {
    let mut client = fulcrum.connect();
    client.send(UPGRADE);
    assert_eq!(client.wire.head().expect("a head").word(1), "101");
    client
}

#[test]
fn an_upgrade_reaches_the_upstream_and_its_answer_the_client() {
    let upstream = switching(echo);
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send(UPGRADE);
    let head = client.wire.head().expect("a head");
    assert_eq!(head.first_line, "HTTP/1.1 101 Switching Protocols");
    assert!(head.lists("connection", "upgrade"), "{head:?}");
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(!head.has("content-length") && !head.has("transfer-encoding"), "{head:?}");
    let request = upstream.only_request();
    assert!(request.head.lists("connection", "upgrade"), "{:?}", request.head);
    assert_eq!(request.field("upgrade"), Some("websocket"));
    assert_eq!(request.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    for word in ["ping", "\0\u{1}\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        client.send(word);
        assert_eq!(client.wire.exactly(word.len()), Ok(word.as_bytes().to_vec()));
    }
}

#[test]
fn bytes_right_behind_the_heads_are_not_lost() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        if conversation.request().is_some() {
            conversation.send(format!("{SWITCHING}server first"));
            echo(conversation);
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send(format!("{UPGRADE}client first"));
    assert_eq!(client.wire.head().expect("a head").word(1), "101");
    assert_eq!(client.wire.exactly(12), Ok(b"server first".to_vec()));
    assert_eq!(client.wire.exactly(12), Ok(b"client first".to_vec()));
}

#[test]
fn large_streams_pass_both_ways_at_once() {
    let upstream = switching(echo);
    let fulcrum = Setup::new(&upstream).start();
    let mut client = upgraded(&fulcrum);
    let bytes = pattern(16 << 20);
    let mut sender = crate::harness::Wire::new(client.wire.socket.try_clone());
    let sent = bytes.clone();
    let sending = thread::spawn(move || sender.send(&sent));
    let received = client.wire.exactly(bytes.len()).expect("all of it");
    sending.join().expect("no panic").expect("all of it");
    assert!(received == bytes, "bytes differ");
}

#[test]
fn each_direction_ends_by_itself() {
    // The client ends first; the upstream has more to say.
    let upstream = switching(|mut conversation| {
        let (bytes, failure) = conversation.wire.until_end();
        assert_eq!(failure, Failure::Closed);
        conversation.send([b"you said ", &bytes[..]].concat());
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = upgraded(&fulcrum);
    client.send("bye");
    client.end_sending();
    assert_eq!(client.wire.until_end(), (b"you said bye".to_vec(), Failure::Closed));

    // The upstream ends first; the client has more to say.
    let upstream = switching(|mut conversation| {
        conversation.send("bye");
        conversation.wire.socket.shutdown(std::net::Shutdown::Write);
        conversation.until_closed();
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = upgraded(&fulcrum);
    assert_eq!(client.wire.until_end(), (b"bye".to_vec(), Failure::Closed));
    client.send("one more thing");
    eventually("it arrives", || upstream.text().ends_with("one more thing").then_some(()));
    drop(client);
    eventually("both are closed", || (upstream.open_connections() == 0).then_some(()));
}

#[test]
fn closing_either_side_closes_the_other() {
    let upstream = switching(|mut conversation| {
        conversation.until_closed();
    });
    let fulcrum = Setup::new(&upstream).start();
    drop(upgraded(&fulcrum));
    eventually("the upstream's side is closed", || (upstream.open_connections() == 0).then_some(()));

    let upstream = switching(drop);
    let fulcrum = Setup::new(&upstream).start();
    let mut client = upgraded(&fulcrum);
    assert_eq!(client.wire.until_end(), (Vec::new(), Failure::Closed));
    client.end_sending();
    fulcrum.await_metric("fulcrum_http_connections", &[("listener", "web")], 0.0);
}

#[test]
fn a_reset_is_not_turned_into_a_clean_end() {
    let upstream = switching(|mut conversation| {
        conversation.wire.exactly(4).expect("a word");
        conversation.reset();
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = upgraded(&fulcrum);
    client.send("ping");
    assert_eq!(client.wire.until_end().1, Failure::Reset);
}

#[test]
fn a_tunnel_is_logged_when_it_ends_with_what_it_carried() {
    let upstream = switching(echo);
    let fulcrum = Setup::new(&upstream).start();
    let mut client = upgraded(&fulcrum);
    client.send("0123456789");
    client.wire.exactly(10).expect("an echo");
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[("listener", "web")], 1.0);
    assert_eq!(fulcrum.log_lines().len(), 0, "it has not ended");
    drop(client);
    let record = fulcrum.record_of("/chat");
    assert_eq!(record["status"], 101, "{record}");
    assert_eq!(record["reason"], "ok", "{record}");
    assert_eq!((&record["bytes_in"], &record["bytes_out"]), (&10.into(), &10.into()), "{record}");
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[("listener", "web")], 0.0);
}

#[test]
fn an_idle_tunnel_is_closed() {
    let upstream = switching(echo);
    let setup = Setup::new(&upstream)
        .listener("timeouts: { keep_alive: 100ms, header: 100ms, body_idle: 100ms }")
        .service("timeouts: { stream_idle: 600ms, response_idle: 100ms, response_header: 5s }");
    let fulcrum = setup.start();
    let mut client = upgraded(&fulcrum);
    // The limits of requests do not apply, and every byte is progress.
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(200));
        client.send("a");
        assert_eq!(client.wire.exactly(1), Ok(b"a".to_vec()));
    }
    assert_ne!(client.wire.until_end().1, Failure::Silent);
    eventually("the upstream's side is closed", || (upstream.open_connections() == 0).then_some(()));
    assert_eq!(fulcrum.record_of("/chat")["reason"], "stream_idle_timeout");
}

#[test]
fn a_declined_upgrade_is_an_ordinary_answer() {
    let upstream = Upstream::named("declined");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for _ in 0..2 {
        assert_eq!(client.ask(UPGRADE).text(), "declined");
        assert_eq!(client.get("/").text(), "declined");
    }
    assert_eq!(upstream.connections(), 1);
}
