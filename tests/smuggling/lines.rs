//! S6, S7, S12 to S14: request lines, field lines and what ends them.

use crate::harness::{Setup, Upstream};

use super::{Refused, check_refused, refused};

#[test]
fn s06_obsolete_fold_in_a_request_is_refused() {
    let requests = [
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX-A: 1\r\n folded\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX-A: 1\r\n\tfolded\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX-A: 1\r\n \r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\n Host: test\r\n\r\n".to_vec(),
        b"POST /offending HTTP/1.1\r\nHost: test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n".to_vec(),
    ];
    check_refused(&refused("obsolete_fold", &requests));
}

#[test]
fn s07_bare_line_endings_are_refused() {
    let requests = [
        b"GET /offending HTTP/1.1\nHost: test\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX-A: 1\nX-B: 2\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\n\n".to_vec(),
        b"GET /offending HTTP/1.1\nHost: test\n\n".to_vec(),
        b"GET /offending HTTP/1.1\rHost: test\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\r\nHost: test\r\n\r\n".to_vec(),
    ];
    check_refused(&refused("bare_line_ending", &requests));
}

#[test]
fn s07_a_bare_cr_in_a_field_is_refused() {
    let requests = [
        b"GET /offending HTTP/1.1\r\nHost: test\rX-A: 1\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX-A: a\rb\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX-A: \r\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX\rA: b\r\n\r\n".to_vec(),
    ];
    check_refused(&refused("bare_line_ending|malformed_header", &requests));
}

#[test]
fn s07_nul_in_a_field_is_refused() {
    let requests = [
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX-A: a\0b\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX-A: \0\r\n\r\n".to_vec(),
        b"GET /offending HTTP/1.1\r\nHost: test\r\nX-\0A: a\r\n\r\n".to_vec(),
    ];
    check_refused(&refused("malformed_header", &requests));
}

#[test]
fn s12_malformed_fields_are_refused() {
    let fields: [&[u8]; 17] = [
        b"X-A : b",
        b"X-A\t: b",
        b"Content-Length : 5",
        b"Transfer-Encoding : chunked",
        b": b",
        b":",
        b"X A: b",
        b"X(A): b",
        b"X/A: b",
        b"\"X\": b",
        b"X\x01A: b",
        b"X\x7fA: b",
        b"X\xe9: b",
        b"nothing",
        b"X-A: a\x01b",
        b"X-A: a\x1fb",
        b"X-A: a\x7fb",
    ];
    let requests = fields.map(|field| {
        [b"GET /offending HTTP/1.1\r\nHost: test\r\n", field, b"\r\nX-Behind: 1\r\n\r\n"].concat()
    });
    check_refused(&refused("malformed_header", &requests));
}

#[test]
fn s12_values_with_tabs_and_bytes_beyond_ascii_pass() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let request = b"GET / HTTP/1.1\r\nHost: test\r\nX-A: a\tb\xe9 c\r\nX-Empty:\r\nX-Tight:t\r\n\r\n";
    assert_eq!(fulcrum.connect().ask(request).status, 200);
    let request = upstream.only_request();
    assert_eq!(request.field("x-a"), Some("a\tb\u{e9} c"));
    assert_eq!(request.field("x-empty"), Some(""));
    assert_eq!(request.field("x-tight"), Some("t"));
}

#[test]
fn s13_malformed_request_lines_are_refused() {
    let lines: [&[u8]; 19] = [
        b"\r\n\r\nGET / HTTP/1.1",
        b"\r\n\r\n\r\nGET / HTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET /a#b HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /a\tb HTTP/1.1",
        b"GET /a\x01b HTTP/1.1",
        b"GET /a\x7fb HTTP/1.1",
        b"GET /a\x00b HTTP/1.1",
        b"GET /\xc3\xa9 HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET\t/ HTTP/1.1",
        b"GET /",
        b"GET",
        b"G@T / HTTP/1.1",
        b"GET offending HTTP/1.1",
        b"GET * HTTP/1.1",
    ];
    let requests = lines.map(|line| [line, b"\r\nHost: test\r\n\r\n"].concat());
    check_refused(&refused("malformed_request_line", &requests));
}

#[test]
fn s13_unknown_versions_are_refused() {
    let lines = ["GET / HTTP/2.0", "GET / HTTP/1.2", "GET / HTTP/0.9", "GET / HTTP/3.0"];
    let requests = lines.map(|line| format!("{line}\r\nHost: test\r\n\r\n").into_bytes());
    let rows: Vec<_> =
        requests.iter().map(|bytes| Refused { bytes, status: 505, reason: "unsupported_version" }).collect();
    check_refused(&rows);
}

#[test]
fn s13_one_empty_line_before_a_request_is_skipped() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for target in ["/one", "/two"] {
        assert_eq!(client.ask(format!("\r\nGET {target} HTTP/1.1\r\nHost: test\r\n\r\n")).status, 200);
        assert_eq!(upstream.last_request().target(), target);
    }
}

#[test]
fn s14_missing_repeated_or_malformed_host_is_refused() {
    let request = |lines: &str| format!("GET /offending HTTP/1.1\r\n{lines}\r\n").into_bytes();
    let requests = [
        request(""),
        request("X-Host: test\r\n"),
        request("Host: test\r\nHost: test\r\n"),
        request("Host: test\r\nHost: evil\r\n"),
        request("Host:\r\n"),
        request("Host: a b\r\n"),
        request("Host: a/b\r\n"),
        request("Host: a?b\r\n"),
        request("Host: a#b\r\n"),
        request("Host: user@a\r\n"),
        request("Host: a\\b\r\n"),
        request("Host: a,b\r\n"),
        request("Host: a:b\r\n"),
        request("Host: a:80:80\r\n"),
        request("Host: a:99999\r\n"),
        request("Host: [::1\r\n"),
        request("Host: ::1\r\n"),
        request("Host: [zz]\r\n"),
        request("Host: http://a\r\n"),
        b"GET /offending HTTP/1.0\r\nHost: test\r\nHost: test\r\n\r\n".to_vec(),
    ];
    check_refused(&refused("invalid_host", &requests));
}

#[test]
fn s14_an_absolute_target_that_differs_from_host_is_refused() {
    let request =
        |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    let requests = [
        request("http://evil/offending", "test"),
        request("http://test:81/offending", "test"),
        request("http://test/offending", "test:81"),
        request("http://testevil/offending", "test"),
        request("https://evil?offending", "test"),
    ];
    check_refused(&refused("host_mismatch", &requests));
}

#[test]
fn s14_an_absolute_target_that_agrees_with_host_is_forwarded_in_origin_form() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let check = |target: &str, host: &str, forwarded: &str| {
        assert_eq!(
            fulcrum.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).status,
            200
        );
        let request = upstream.last_request();
        assert_eq!((request.target(), request.head.values("host").len()), (forwarded, 1), "{target}");
    };
    check("http://test/a?b=c", "test", "/a?b=c");
    check("http://TEST/a", "test", "/a");
    check("http://test:81", "test:81", "/");
    check("HTTP://test?x", "test", "/?x");
}
