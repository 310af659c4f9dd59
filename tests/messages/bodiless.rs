//! Responses without a body: HEAD, 204, 304 (RFC 9112 §6.3).

use crate::harness::{Conversation, Setup, Upstream, ok};

#[test]
fn responses_to_head_have_a_length_and_no_body() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            match (request.method(), request.target()) {
                ("HEAD", "/length") => conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
                ("HEAD", _) => conversation.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                _ => conversation.send(ok("body")),
            }
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for (target, length) in [("/length", Some("1000")), ("/chunked", None), ("/length", Some("1000"))] {
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let response = client.response_to_head();
        assert_eq!((response.status, response.field("content-length")), (200, length), "{:?}", response.head);
        assert_eq!(client.get("/").text(), "body", "nothing stands between the responses");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn errors_and_fixed_responses_to_head_have_no_body() {
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream)
        .route("{ path: /fixed, respond: { status: 200, body: fixed } }")
        .route("{ path: /moved, redirect: { to: \"https://elsewhere/\" } }")
        .route("{ path: /app, to: app }");
    let fulcrum = setup.start();
    let mut client = fulcrum.connect();
    for (target, status) in [("/fixed", 200), ("/moved", 308), ("/nowhere", 404)] {
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(client.response_to_head().status, status);
        assert_eq!(client.get("/app").text(), "app", "nothing stands between the responses");
    }
}

#[test]
fn statuses_without_a_body_have_none() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            let head = match request.target() {
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/204-length" => "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 1000\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            };
            conversation.send(head);
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for target in ["/204", "/204-length", "/304"] {
        let response = client.get(target);
        assert_eq!(response.head.word(1), &target[1..4]);
        if response.status == 204 {
            // RFC 9110 §8.6.
            assert!(!response.head.has("content-length"), "{:?}", response.head);
        } else {
            assert_eq!(response.field("etag"), Some("\"a\""));
        }
        assert!(!response.head.has("transfer-encoding"), "{:?}", response.head);
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(upstream.connections(), 1);
}

/// Whoever announces a body where there is none may send one: its connection is not used again (RFC 9112 §6.1).
#[test]
fn a_bodiless_response_that_announces_chunks_ends_its_connection() {
    for status in ["204 No Content", "304 Not Modified"] {
        let upstream =
            Upstream::answering(format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n"));
        let fulcrum = Setup::new(&upstream).start();
        let mut client = fulcrum.connect();
        for count in 1..=3 {
            let response = client.get("/");
            assert_eq!(response.head.word(1), &status[..3]);
            assert!(!response.head.has("transfer-encoding"), "{:?}", response.head);
            assert_eq!(upstream.connections(), count, "{status}");
        }
    }
}

#[test]
fn a_body_of_a_response_to_head_is_nobodys_response() {
    let poison = ok("poison");
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            conversation.send(match request.method() {
                "HEAD" => {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", poison.len());
                    [head.as_bytes(), &poison].concat()
                }
                _ => ok("body"),
            });
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for count in 1..=3 {
        client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.response_to_head().status, 200);
        assert_eq!(client.get("/").text(), "body");
        // The GET's connection is kept for the next HEAD.
        assert_eq!(upstream.connections(), count + 1);
    }
}
