//! S6, S18: responses are parsed as strictly as requests.

use crate::harness::{Setup, Upstream};

#[test]
fn s06_obsolete_fold_in_a_response_is_a_bad_gateway() {
    check_bad_responses(&[
        ("HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\nContent-Length: 2\r\n\r\nok", "space"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\tfolded\r\n\r\nok", "tab"),
        ("HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nok", "first field"),
    ]);
}

/// Responses with broken heads: each is a 502, and its connection is not used again.
#[track_caller]
fn check_bad_responses(rows: &[(&str, &str)]) {
    for (response, what) in rows {
        let upstream = Upstream::answering(*response);
        let fulcrum = Setup::new(&upstream).start();
        let mut client = fulcrum.connect();
        let answer = client.get("/");
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        assert!(answer.text().contains("reason: invalid_response\n"), "{what}: {}", answer.text());
        fulcrum.await_errors("invalid_response", 1);
        assert_eq!(client.get("/again").status, 502, "{what}: the client's connection is fine");
        assert_eq!(upstream.connections(), 2, "{what}: the upstream's is not");
        let labels = [("service", "app"), ("reason", "invalid_response")];
        fulcrum.await_metric("fulcrum_upstream_errors_total", &labels, 2.0);
    }
}

#[test]
fn s18_ambiguous_or_broken_response_heads_are_bad_gateways() {
    check_bad_responses(&[
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "CL, TE"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "TE, CL"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "gzip, chunked"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "xchunked"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "TE in 1.0"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "two lengths"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", "list of lengths"),
        ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "sign"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello", "hexadecimal"),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "empty length"),
    ]);
}

#[test]
fn s18_malformed_response_heads_are_bad_gateways() {
    check_bad_responses(&[
        ("HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello", "bare LF"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\n\nhello", "bare LFs"),
        ("HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 5\r\n\r\nhello", "bare CR"),
        ("HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 5\r\n\r\nhello", "NUL"),
        ("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", "space before the colon"),
        ("HTTP/1.1 200 OK\r\nX A: 1\r\nContent-Length: 5\r\n\r\nhello", "space in a name"),
        ("HTTP/1.1 200 OK\r\nnothing\r\nContent-Length: 5\r\n\r\nhello", "no colon"),
        ("HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", "status 099"),
        ("HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n", "status 600"),
        ("HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n", "status 1000"),
        ("HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", "status abc"),
        ("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "version"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        ("\u{16}\u{3}\u{1}\r\n\r\n", "TLS"),
        ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "empty line before it"),
        ("\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "empty lines before it"),
    ]);
}

#[test]
fn s18_response_heads_over_the_limits_are_bad_gateways() {
    let field = format!("X-A: {}\r\n", "a".repeat(16 * 1024));
    let fields = "X-A: b\r\n".repeat(101);
    let line = "a".repeat(9000);
    let block = format!("X-A: {}\r\n", "a".repeat(8000)).repeat(9);
    // Each part is as large as it may be, up to the last byte that is read.
    let longest = "a".repeat(8 * 1024 - "HTTP/1.1 200 ".len());
    check_bad_responses(&[
        (&format!("HTTP/1.1 200 OK\r\n{field}Content-Length: 0\r\n\r\n"), "field"),
        (&format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n"), "count"),
        (&format!("HTTP/1.1 200 {line}\r\nContent-Length: 0\r\n\r\n"), "line"),
        (&format!("HTTP/1.1 200 OK\r\n{block}Content-Length: 0\r\n\r\n"), "block"),
        (&format!("HTTP/1.1 200 {longest}\r\n{block}Content-Length: 0\r\n\r\n"), "line and block"),
    ]);
}

#[test]
fn s18_identical_response_lengths_collapse_to_one() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello");
    let fulcrum = Setup::new(&upstream).start();
    let response = fulcrum.get("/");
    assert_eq!((response.text().as_str(), response.head.values("content-length")), ("hello", vec!["5"]));
}
