//! Large bodies arrive byte for byte, and small pieces at once.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::harness::{Conversation, Setup, Upstream, chunked, pattern};

use super::{LARGE, send_beside};

/// Sizes of chunks and writes: tiny, around powers of two, larger than any buffer.
const SIZES: [usize; 10] = [1, 2, 4095, 4096, 4097, 65_535, 65_537, 100_000, 3, 262_144];

#[test]
fn large_request_bodies_arrive_byte_for_byte() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let body = pattern(LARGE);
    for (framing, bytes, piece) in [
        (format!("Content-Length: {LARGE}"), body.clone(), 65_536),
        (format!("Content-Length: {LARGE}"), body.clone(), 10_007),
        ("Transfer-Encoding: chunked".to_owned(), chunked(&body, &SIZES), 1 << 20),
        ("Transfer-Encoding: chunked".to_owned(), chunked(&body, &[8192]), 8000),
        ("Transfer-Encoding: chunked".to_owned(), chunked(&body, &[LARGE]), 1 << 20),
    ] {
        let mut client = fulcrum.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n"));
        let sender = send_beside(&client, bytes, piece);
        assert_eq!(client.response().text(), "app");
        sender.join().expect("sending does not panic");
        let request = upstream.last_request();
        assert!(request.body == body, "{framing}: {} bytes differ", request.body.len());
        assert_eq!(request.chunked, framing.starts_with("Transfer"));
        assert_eq!(client.get("/next").text(), "app", "the connection goes on");
    }
    assert_eq!(upstream.connections(), 1, "it was never broken");
}

#[test]
fn large_response_bodies_arrive_byte_for_byte() {
    let body = Arc::new(pattern(LARGE));
    let theirs = Arc::clone(&body);
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            let (head, bytes) = match request.target() {
                "/length" => (format!("Content-Length: {LARGE}"), theirs.to_vec()),
                "/chunks" => ("Transfer-Encoding: chunked".to_owned(), chunked(&theirs, &SIZES)),
                "/chunk" => ("Transfer-Encoding: chunked".to_owned(), chunked(&theirs, &[LARGE])),
                _ => ("Connection: close".to_owned(), theirs.to_vec()),
            };
            conversation.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
            conversation.send(bytes);
            if request.target() == "/close" {
                return;
            }
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for target in ["/length", "/chunks", "/chunk", "/close"] {
        let response = client.get(target);
        assert!(response.body == *body, "{target}: {} bytes differ", response.body.len());
        assert_eq!(response.is_chunked(), target != "/length", "{target}: {:?}", response.head);
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(fulcrum.records(4)[0]["bytes_out"], LARGE);
}

/// Sends the body of a request back as it comes, in the response's own framing.
fn echo(mut conversation: Conversation) {
    let head = conversation.head().expect("a head");
    let mut left = usize::try_from(head.content_length().expect("a length")).expect("it fits");
    conversation.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n"));
    while left > 0 {
        let Ok(bytes) = conversation.wire.some() else { return };
        left -= bytes.len();
        conversation.send(bytes);
    }
}

#[test]
fn large_bodies_pass_both_ways_at_once() {
    let upstream = Upstream::new(echo);
    let fulcrum = Setup::new(&upstream).start();
    let body = pattern(LARGE);
    let mut client = fulcrum.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {LARGE}\r\n\r\n"));
    let sender = send_beside(&client, body.clone(), 70_001);
    let response = client.response();
    sender.join().expect("sending does not panic");
    assert!(response.body == body, "{} bytes differ", response.body.len());
}

#[test]
fn a_response_may_begin_before_its_request_ends() {
    let upstream = Upstream::new(echo);
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 12\r\n\r\n");
    let head = client.wire.head().expect("the head comes before any of the body");
    assert_eq!(head.word(1), "200");
    for word in ["ping", "pong", "pang"] {
        client.send(word);
        assert_eq!(client.wire.exactly(4), Ok(word.as_bytes().to_vec()));
    }
}

#[test]
fn chunks_pass_as_they_come() {
    // Each side waits for the other's last piece: anything held back stops both.
    let upstream = Upstream::new(|mut conversation: Conversation| {
        let head = conversation.head().expect("a head");
        assert!(head.lists("transfer-encoding", "chunked"));
        conversation.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for word in ["ping", "pong"] {
            assert_eq!(conversation.wire.exactly(9), Ok(format!("4\r\n{word}\r\n").into_bytes()));
            conversation.send(format!("4\r\n{word}\r\n"));
        }
        assert_eq!(conversation.wire.exactly(5), Ok(b"0\r\n\r\n".to_vec()));
        conversation.send("0\r\n\r\n");
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.wire.head().expect("a head").word(1), "200");
    for word in ["ping", "pong"] {
        client.send(format!("4\r\n{word}\r\n"));
        assert_eq!(client.wire.exactly(9), Ok(format!("4\r\n{word}\r\n").into_bytes()));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.wire.exactly(5), Ok(b"0\r\n\r\n".to_vec()));
}

const TOO_LARGE: &str = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!";

#[test]
fn an_early_answer_reaches_a_client_that_is_still_uploading() {
    type Script = fn(Conversation);
    let scripts: [(&str, Script); 3] = [
        ("answers, then reads nothing", |mut conversation| {
            conversation.head().expect("a head");
            conversation.send(TOO_LARGE);
            thread::sleep(Duration::from_millis(500));
        }),
        ("answers and closes with bytes unread", |mut conversation| {
            conversation.head().expect("a head");
            conversation.send(TOO_LARGE);
        }),
        ("answers and reads on", |mut conversation| {
            conversation.head().expect("a head");
            conversation.send(TOO_LARGE);
            conversation.until_closed();
        }),
    ];
    for (what, script) in scripts {
        let upstream = Upstream::new(script);
        let fulcrum = Setup::new(&upstream).start();
        let mut client = fulcrum.connect();
        client.send(format!("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: {LARGE}\r\n\r\n"));
        let sender = send_beside(&client, vec![b'a'; LARGE], 65_536);
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (413, "no!"), "{what}");
        drop(client);
        sender.join().expect("sending does not panic");
        let record = fulcrum.record_of("/upload");
        assert_eq!((&record["status"], &record["reason"]), (&413.into(), &"ok".into()), "{what}");
    }
}
