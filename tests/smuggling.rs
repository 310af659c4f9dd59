//! Requests and responses that two parsers could read differently (RFC 9112 §11.2), one test per rule.
//!
//! Every refused request is followed on its connection by a request for `/smuggled`: it must be gone with the
//! connection. What counts is what reaches the upstream.

mod behind_responses;
mod chunks;
mod framing;
mod hop_by_hop;
mod lines;
mod response_bodies;
mod responses;
mod splits;
mod trailers;
mod unread;
mod upgrades;

use crate::harness::{Setup, Upstream};

/// What stands behind every request under test.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";

/// A request that must be refused.
struct Refused<'a> {
    bytes: &'a [u8],
    status: u16,
    /// The token, or several with `|` between them where two rules are broken at once.
    reason: &'a str,
}

/// Sends each request and sees it refused, the connection closed, the reason counted, and nothing upstream.
#[track_caller]
fn check_refused(rows: &[Refused<'_>]) {
    check_refused_with(Setup::new, rows, Reaches::Nothing);
}

/// How much of a refused request the upstream may have seen.
#[derive(Clone, Copy, PartialEq)]
enum Reaches {
    /// Not a byte, not even a connection.
    Nothing,
    /// Its head was good and its body was streamed until it was not: never a whole request.
    NothingWhole,
}

#[track_caller]
fn check_refused_with(setup: impl Fn(&Upstream) -> Setup, rows: &[Refused<'_>], reaches: Reaches) {
    let upstream = Upstream::named("app");
    let fulcrum = setup(&upstream).start();
    for row in rows {
        let shown = String::from_utf8_lossy(&row.bytes[..row.bytes.len().min(300)]).into_owned();
        let before = fulcrum.metrics();
        let mut client = fulcrum.connect();
        client.send([row.bytes, SMUGGLED.as_bytes()].concat());
        let response = client.try_response("GET").unwrap_or_else(|failure| panic!("{shown:?}: {failure:?}"));
        assert_eq!(
            (response.status, response.end.clone()),
            (row.status, Ok(())),
            "{shown:?}: {}",
            response.text()
        );
        assert!(response.head.lists("connection", "close"), "{shown:?}: {:?}", response.head);
        let text = response.text();
        let reason = text.lines().find_map(|line| line.strip_prefix("reason: ")).expect("an error says why");
        assert!(
            row.reason.split('|').any(|token| token == reason),
            "{shown:?}: {reason}, not {}",
            row.reason
        );
        client.assert_closed();
        let labels = [("reason", reason)];
        let counted = before.value("fulcrum_http_errors_total", &labels) + 1.0;
        fulcrum.await_metric("fulcrum_http_errors_total", &labels, counted);
        match reaches {
            Reaches::Nothing => assert_eq!(upstream.text(), "", "{shown:?}"),
            Reaches::NothingWhole => {
                assert_eq!(upstream.requests().len(), 0, "{shown:?}: {}", upstream.text())
            }
        }
        assert!(!upstream.text().contains("/smuggled"), "{shown:?}: {}", upstream.text());
    }
    assert_eq!(fulcrum.get("/after").text(), "app", "the daemon serves on");
}

/// A POST with these framing lines and this body.
fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /offending HTTP/1.1\r\nHost: test\r\n{lines}\r\n{body}").into_bytes()
}

/// Rows of one status and reason from whole requests.
fn refused<'a>(reason: &'a str, requests: &'a [Vec<u8>]) -> Vec<Refused<'a>> {
    requests.iter().map(|bytes| Refused { bytes, status: 400, reason }).collect()
}

/// Bodies that go wrong in their chunks: the head has been forwarded, the request never becomes whole.
#[track_caller]
fn check_refused_chunks(reason: &str, bodies: &[String]) {
    let requests: Vec<Vec<u8>> =
        bodies.iter().map(|body| post("Transfer-Encoding: chunked\r\n", body)).collect();
    check_refused_with(Setup::new, &refused(reason, &requests), Reaches::NothingWhole);
}
