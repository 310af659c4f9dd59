//! E3, E9: heads and bodies that are too large, and names that are not welcome.

use crate::harness::{Setup, Upstream};

/// A request of one target and extra lines, with the answer it must get.
#[track_caller]
fn check_sizes(setup: &Setup, rows: &[(String, u16, &str)]) {
    let fulcrum = setup.start();
    for (request, status, reason) in rows {
        let shown = &request[..request.len().min(80)];
        let before = fulcrum.metric("fulcrum_http_errors_total", &[("reason", reason)]);
        let mut client = fulcrum.connect();
        client.send(request);
        let response = client.response();
        assert_eq!(response.status, *status, "{shown:?} of {} bytes: {}", request.len(), response.text());
        if *status != 200 {
            client.assert_closed();
            fulcrum.await_metric("fulcrum_http_errors_total", &[("reason", reason)], before + 1.0);
        }
    }
}

/// `GET` with a request line of so many bytes, without its CRLF.
fn with_line(length: usize) -> String {
    let around = "GET / HTTP/1.1".len();
    format!("GET /{} HTTP/1.1\r\nHost: test\r\n\r\n", "a".repeat(length - around))
}

/// `GET` with one field line of so many bytes, without its CRLF.
fn with_field(length: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: test\r\nX-A: {}\r\n\r\n", "a".repeat(length - "X-A: ".len()))
}

/// `GET` with so many fields.
fn with_fields(count: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: test\r\n{}\r\n", "X-A: b\r\n".repeat(count - 1))
}

/// `GET` with field lines of so many bytes in all, with their CRLFs.
fn with_block(length: usize) -> String {
    let mut block = "Host: test\r\n".to_owned();
    while block.len() < length {
        let line = (length - block.len()).min(8000);
        let line = if (1..8).contains(&(length - block.len() - line)) { line - 8 } else { line };
        block += &format!("X-A: {}\r\n", "a".repeat(line - "X-A: \r\n".len()));
    }
    format!("GET / HTTP/1.1\r\n{block}\r\n")
}

#[test]
fn e03_default_sizes() {
    let upstream = Upstream::named("app");
    check_sizes(
        &Setup::new(&upstream),
        &[
            (with_line(8190), 200, ""),
            (with_line(8193), 414, "request_line_too_long"),
            (format!("GET /{}", "a".repeat(20_000)), 414, "request_line_too_long"),
            (with_fields(100), 200, ""),
            (with_fields(101), 431, "headers_too_large"),
            (with_field(16 * 1024 - 2), 200, ""),
            (with_field(16 * 1024 + 1), 431, "headers_too_large"),
            (
                format!("GET / HTTP/1.1\r\nHost: test\r\nX-A: {}", "a".repeat(20_000)),
                431,
                "headers_too_large",
            ),
            (with_block(64 * 1024 - 8192), 200, ""),
            (with_block(64 * 1024 + 1), 431, "headers_too_large"),
        ],
    );
    assert_eq!(upstream.requests().len(), 4, "the small ones alone");
}

#[test]
fn e03_configured_sizes() {
    let upstream = Upstream::named("app");
    let rules = "http: { request_line: 1KiB, header_field: 2KiB, headers: 4KiB, header_count: 10 }";
    check_sizes(
        &Setup::new(&upstream).listener(rules),
        &[
            (with_line(1022), 200, ""),
            (with_line(1025), 414, "request_line_too_long"),
            (with_fields(10), 200, ""),
            (with_fields(11), 431, "headers_too_large"),
            (with_field(2046), 200, ""),
            (with_field(2049), 431, "headers_too_large"),
        ],
    );
}

#[test]
fn e03_configured_body_size() {
    let upstream = Upstream::named("app");
    let post = |framing: &str| format!("POST / HTTP/1.1\r\nHost: test\r\n{framing}");
    check_sizes(
        &Setup::new(&upstream).listener("http: { body: 10B }"),
        &[
            (post("Content-Length: 10\r\n\r\n0123456789"), 200, ""),
            (post("Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"), 200, ""),
            // Announced: refused before a byte of it came.
            (post("Content-Length: 11\r\n\r\n"), 413, "body_too_large"),
            (post("Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n"), 413, "body_too_large"),
            (
                post("Transfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n"),
                413,
                "body_too_large",
            ),
        ],
    );
    assert_eq!(upstream.requests().len(), 2, "the small ones alone");
}

#[test]
fn e09_underscores_in_field_names() {
    let upstream = Upstream::named("app");
    let request = "GET / HTTP/1.1\r\nHost: test\r\nX_User: evil\r\nX-User: good\r\n\r\n";
    let ask = |rule: &str| Setup::new(&upstream).listener(rule).start().connect().ask(request);

    for rule in ["http: { request_line: 8KiB }", "http: { underscores: reject }"] {
        let response = ask(rule);
        assert_eq!(response.status, 400);
        assert!(response.text().contains("reason: underscore_in_field_name\n"), "{}", response.text());
    }
    assert_eq!(upstream.text(), "");

    assert_eq!(ask("http: { underscores: drop }").status, 200);
    let request = upstream.last_request();
    assert_eq!((request.field("x-user"), request.head.has("x_user")), (Some("good"), false));

    assert_eq!(ask("http: { underscores: allow }").status, 200);
    let request = upstream.last_request();
    assert_eq!((request.field("x-user"), request.field("x_user")), (Some("good"), Some("evil")));
}
