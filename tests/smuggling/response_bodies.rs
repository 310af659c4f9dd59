//! S18: where a response ends, and what stands behind it.

use std::time::Duration;

use crate::harness::{Client, Conversation, Failure, Fulcrum, Setup, Upstream, ok};

use super::SMUGGLED;

#[test]
fn s18_bytes_behind_a_response_never_become_the_next_one() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        let mut count = 0;
        while let Some(request) = conversation.request() {
            count += 1;
            let own = format!("{} {count}", request.target());
            conversation.send([ok(&own), poison.into()].concat());
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for target in ["/a", "/b", "/c"] {
        assert_eq!(client.get(target).text(), format!("{target} 1"), "a connection of its own for each");
    }
    assert_eq!(upstream.connections(), 3);
}

#[test]
fn s18_bytes_that_come_later_never_become_the_next_response() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            conversation.send(ok(request.target()));
            if request.target() == "/first" {
                // Long after the response: the connection lies in the pool.
                std::thread::sleep(Duration::from_millis(100));
                conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
                conversation.until_closed();
            }
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    assert_eq!(client.get("/first").text(), "/first");
    crate::harness::eventually("the poisoned connection is closed", || {
        (upstream.open_connections() == 0).then_some(())
    });
    assert_eq!(client.get("/second").text(), "/second");
}

#[test]
fn s18_bytes_behind_a_response_without_body_are_not_its_body() {
    for status in ["204 No Content", "304 Not Modified"] {
        let first = format!("HTTP/1.1 {status}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        let upstream = Upstream::answering(first);
        let fulcrum = Setup::new(&upstream).start();
        let mut client = fulcrum.connect();
        for _ in 0..2 {
            let response = client.get("/");
            assert_eq!((response.head.word(1), response.text().as_str()), (&status[..3], ""), "{response:?}");
        }
        assert_eq!(upstream.connections(), 2);
    }
}

#[test]
fn s18_a_response_body_cut_short_has_no_clean_end() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwor",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let upstream = closing_upstream(response);
        let fulcrum = Setup::new(&upstream).start();
        check_no_clean_end(&fulcrum, "truncated_response", response);
    }
}

#[test]
fn s18_a_response_body_with_broken_chunks_has_no_clean_end() {
    for chunk in [
        "+5\r\nworld",
        "0x5\r\nworld",
        "5 \r\nworld",
        "5\nworld",
        "g\r\nworld",
        "fffffffffffffffff\r\nworld",
        "5\r\nworld!",
    ] {
        let response = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n{chunk}\r\n0\r\n\r\n"
        );
        let upstream = closing_upstream(&response);
        let fulcrum = Setup::new(&upstream).start();
        check_no_clean_end(&fulcrum, "invalid_response", &response);
    }
}

/// Nothing of the response has gone out when its first chunk shows what it is: it is taken back.
#[test]
fn s18_a_broken_chunk_that_comes_with_the_head_is_a_bad_gateway() {
    for chunk in ["g\r\nworld\r\n", "+5\r\nworld\r\n", "5 \r\nworld\r\n", "-1\r\n", "\r\n"] {
        let response = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Own: yes\r\n\r\n{chunk}");
        let upstream = Upstream::answering(response);
        let fulcrum = Setup::new(&upstream).start();
        let mut client = fulcrum.connect();
        let response = client.get("/broken");
        assert_eq!((response.status, response.head.has("x-own")), (502, false), "{chunk:?}: {response:?}");
        assert!(response.text().contains("reason: invalid_response\n"), "{chunk:?}: {}", response.text());
        let record = fulcrum.record_of("/broken");
        assert_eq!(
            (&record["status"], &record["reason"]),
            (&502.into(), &"invalid_response".into()),
            "{record}"
        );
        assert_eq!(client.get("/again").status, 502, "{chunk:?}: the client's connection is fine");
        fulcrum.await_errors("invalid_response", 2);
        assert_eq!(upstream.connections(), 2, "{chunk:?}: the upstream's is not");
    }
}

/// Answers with these bytes and closes.
fn closing_upstream(response: &str) -> Upstream {
    let response = response.to_owned();
    Upstream::new(move |mut conversation: Conversation| {
        if conversation.request().is_some() {
            conversation.send(&response);
        }
    })
}

/// The body begins with `hello`, then the client sees that something is wrong.
#[track_caller]
fn check_no_clean_end(fulcrum: &Fulcrum, reason: &str, what: &str) {
    let mut client: Client = fulcrum.connect();
    client.send(SMUGGLED);
    match client.try_response("GET") {
        Ok(response) if response.status == 200 => {
            assert!(matches!(response.end, Err(Failure::Closed | Failure::Reset)), "{what}: {response:?}");
        }
        // Nothing had been sent yet: an honest error is as good.
        Ok(response) => assert_eq!(response.status, 502, "{what}"),
        // The reset overtook the head.
        Err(failure) => assert_eq!(failure, Failure::Reset, "{what}"),
    }
    let record = fulcrum.record_of("/smuggled");
    assert_eq!(record["reason"], reason, "{what}: {record}");
    fulcrum.await_errors(reason, 1);
}
