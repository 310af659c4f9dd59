//! S11: trailers pass only where they are announced and allowed (RFC 9110 §6.5).

use crate::harness::{Setup, Upstream};

use super::{Reaches, Refused, check_refused_with, post, refused};

/// What is sent as trailers of a request, some of which must never be believed.
const TRAILERS: &str = "X-Checksum: abc\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n\
                        Authorization: Basic eDp5\r\nCookie: a=b\r\nContent-Type: text/evil\r\nContent-Encoding: gzip\r\n\
                        Connection: close\r\nX-Forwarded-For: 6.6.6.6\r\n";

/// Names of [`TRAILERS`] that are not allowed there.
const NEVER_TRAILERS: [&str; 9] = [
    "content-length",
    "transfer-encoding",
    "host",
    "authorization",
    "cookie",
    "content-type",
    "content-encoding",
    "connection",
    "x-forwarded-for",
];

#[test]
fn s11_request_trailers_pass_only_where_announced_and_allowed() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let check = |lines: &str, passes: bool| {
        let framing = format!("Transfer-Encoding: chunked\r\n{lines}");
        assert_eq!(
            fulcrum.connect().ask(post(&framing, &format!("5\r\nhello\r\n0\r\n{TRAILERS}\r\n"))).status,
            200
        );
        let request = upstream.last_request();
        assert_eq!(request.body, b"hello");
        assert_eq!(request.trailers.field("x-checksum"), passes.then_some("abc"), "{lines:?}");
        for name in NEVER_TRAILERS {
            assert!(!request.trailers.has(name), "{name} is a trailer: {:?}", request.trailers);
        }
        assert!(!request.head.has("x-checksum"), "merged into the head: {:?}", request.head);
        assert_eq!(request.field("host"), Some("test"));
        for name in ["authorization", "cookie", "content-encoding"] {
            assert!(!request.head.has(name), "{name} merged into the head: {:?}", request.head);
        }
        assert!(!upstream.text().contains("6.6.6.6") && !upstream.text().contains("evil"));
    };
    check("", false);
    check("Trailer: X-Checksum\r\n", false);
    check("TE: trailers\r\n", true);
    check("TE: gzip;q=0.5, trailers\r\nConnection: TE\r\n", true);
    check("Content-Type: application/grpc\r\n", true);
}

#[test]
fn s11_response_trailers_pass_only_where_asked_for_and_allowed() {
    let response =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n{TRAILERS}\r\n");
    let upstream = Upstream::answering(response);
    let fulcrum = Setup::new(&upstream).start();
    let check = |lines: &str, passes: bool| {
        let response = fulcrum.connect().ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n"));
        assert_eq!(response.text(), "hello");
        assert_eq!(response.trailers.field("x-checksum"), passes.then_some("abc"), "{lines:?}");
        for name in NEVER_TRAILERS {
            assert!(!response.trailers.has(name), "{name} is a trailer: {:?}", response.trailers);
        }
        assert!(!response.head.has("x-checksum") && !response.head.has("cookie"), "{:?}", response.head);
    };
    check("", false);
    check("TE: trailers\r\nConnection: TE\r\n", true);
}

#[test]
fn s11_trailers_over_8_kib_are_refused() {
    let large = format!("0\r\n{}\r\n", format!("X-A: {}\r\n", "a".repeat(1000)).repeat(9));
    let requests = [
        post("Transfer-Encoding: chunked\r\nTE: trailers\r\n", &large),
        post("Transfer-Encoding: chunked\r\n", &large),
    ];
    let rows: Vec<_> =
        requests.iter().map(|bytes| Refused { bytes, status: 431, reason: "headers_too_large" }).collect();
    check_refused_with(Setup::new, &rows, Reaches::NothingWhole);
}

#[test]
fn s11_malformed_trailers_are_refused() {
    check_refused_trailers(
        "invalid_chunk",
        &["X A: b\r\n", "X-A : b\r\n", "nothing\r\n", "X-A: a\0b\r\n", "X-A: a\x01b\r\n", ": b\r\n"],
    );
    check_refused_trailers("obsolete_fold", &["X-A: b\r\n folded\r\n", " X-A: b\r\n"]);
    check_refused_trailers("bare_line_ending", &["X-A: b\n", "X-A: b\n\r\n"]);
}

/// Whether they would be passed on makes no difference.
#[track_caller]
fn check_refused_trailers(reason: &str, sections: &[&str]) {
    for te in ["TE: trailers\r\n", ""] {
        let lines = format!("Transfer-Encoding: chunked\r\n{te}");
        let requests: Vec<_> =
            sections.iter().map(|section| post(&lines, &format!("0\r\n{section}\r\n"))).collect();
        check_refused_with(Setup::new, &refused(reason, &requests), Reaches::NothingWhole);
    }
}

/// A chunked request that wants its trailers passed on.
fn post_with_trailers(section: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked\r\nTE: trailers\r\n", &format!("5\r\nhello\r\n0\r\n{section}\r\n"))
}

/// Some recipients merge trailers into the head: what must not come by the front door does not come by this one.
#[test]
fn s11_underscores_in_names_of_trailers_follow_the_rule_of_the_head() {
    let request = post_with_trailers("X_User: evil\r\nX-Sum: abc\r\n");
    let row = [Refused { bytes: &request, status: 400, reason: "underscore_in_field_name" }];
    check_refused_with(Setup::new, &row, Reaches::NothingWhole);

    for (rule, passed) in [("drop", None), ("allow", Some("evil"))] {
        let upstream = Upstream::named("app");
        let fulcrum = Setup::new(&upstream).listener(&format!("http: {{ underscores: {rule} }}")).start();
        assert_eq!(fulcrum.connect().ask(&request).text(), "app", "{rule}");
        let trailers = upstream.only_request().trailers;
        assert_eq!((trailers.field("x_user"), trailers.field("x-sum")), (passed, Some("abc")), "{rule}");
    }
}

#[test]
fn s11_fields_that_the_route_takes_out_do_not_pass_as_trailers() {
    let trailers = "X-Gone: 1\r\nx-SET: 2\r\nX-Kept: 3\r\n";
    let upstream = Upstream::answering(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n{trailers}\r\n"
    ));
    let edits = "{ set: { x-set: ours }, remove: [x-gone] }";
    let route = format!("{{ to: app, headers: {{ request: {edits}, response: {edits} }} }}");
    let fulcrum = Setup::new(&upstream).route(&route).start();
    let response = fulcrum.connect().ask(post(
        "Transfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n",
        &format!("5\r\nhello\r\n0\r\n{trailers}\r\n"),
    ));
    let request = upstream.only_request();
    for (head, trailers) in [(&request.head, &request.trailers), (&response.head, &response.trailers)] {
        assert_eq!(head.field("x-set"), Some("ours"), "{head:?}");
        let passed = ["x-gone", "x-set", "x-kept"].map(|name| trailers.field(name));
        assert_eq!(passed, [None, None, Some("3")], "{trailers:?}");
    }
}
