//! The invariants for generated messages, whole ones and damaged ones.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

use super::*;

/// Limits, reads and takes in the usual way, then the stream.
fn input(choices: u8, seeds: (u8, u8), stream: &[u8]) -> Vec<u8> {
    [&[choices.wrapping_add(b'0'), seeds.0, seeds.1], stream].concat()
}

fn field() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "Connection: close",
        "Connection: keep-alive",
        "Connection: x-hop, Host, X-Forwarded-For",
        "Connection: expect, te",
        "Connection: upgrade",
        "Upgrade: h2c",
        "Expect: 100-continue",
        "TE: trailers",
        "X-Hop: 1",
        "X-Forwarded-For: 192.0.2.1, x, [::1]:1",
        "X-Forwarded-Host: b",
        "X-Forwarded-Proto: https",
        "X-Request-Id: 1",
        "Forwarded: for=a",
        "Content-Type: application/grpc",
        "Cookie: a=b",
        "Trailer: x",
        "Keep-Alive: 1",
        "Proxy-Connection: close",
        "X-Set: 1",
        "X-Removed: 1",
        "X-Empty:",
        "X-Space: \t a b \t",
        "X-Text: \u{e4}",
    ]);
    let often_refused = prop::sample::select(vec![
        "Host: a",
        "Content-Length: 4",
        "Transfer-Encoding: chunked",
        "Upgrade: websocket",
        "Expect: x",
        "X_Y: z",
        "X : y",
    ]);
    prop_oneof![
        12 => plain.prop_map(str::to_owned),
        1 => often_refused.prop_map(str::to_owned),
        3 => "[A-Za-z0-9-]{1,12}: [ -~]{0,20}",
    ]
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "(/(a|b|\\.|\\.\\.|%2e|%2F|%7e|%25|;|c)?){1,4}(\\?[a-z=&%/.]{0,6})?",
        1 => "[hH]ttps?://a(/a)?(/\\.\\.)?(\\?b)?",
        1 => Just("*".to_owned()),
        4 => Just("/".to_owned()),
    ]
}

/// A body in a framing, and the field that says so.
fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let payload = prop::collection::vec(any::<u8>(), 0..300);
    let chunk = (prop::collection::vec(any::<u8>(), 1..40), prop_oneof![Just(""), Just(";a=b"), Just(";")]);
    let trailer = prop::sample::select(vec![
        "",
        "",
        "grpc-status: 0\r\n",
        "Host: b\r\nx: y\r\n",
        "a : b\r\n",
        " a: b\r\n",
    ]);
    prop_oneof![
        3 => Just((String::new(), Vec::new())),
        2 => payload.prop_map(|payload| (format!("Content-Length: {}\r\n", payload.len()), payload)),
        3 => (prop::collection::vec(chunk, 0..6), trailer).prop_map(|(chunks, trailer)| {
            let mut body = Vec::new();
            for (payload, extension) in chunks {
                body.extend_from_slice(format!("{:x}{extension}\r\n", payload.len()).as_bytes());
                body.extend_from_slice(&payload);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
            ("Transfer-Encoding: chunked\r\n".to_owned(), body)
        }),
    ]
}

fn message(first_line: impl Strategy<Value = String>, host: &'static str) -> impl Strategy<Value = Vec<u8>> {
    (first_line, prop::collection::vec(field(), 0..4), body()).prop_map(
        move |(line, fields, (framing, body))| {
            let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
            [format!("{line}\r\n{host}{fields}{framing}\r\n").into_bytes(), body].concat()
        },
    )
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let method =
        prop::sample::select(vec!["GET", "HEAD", "POST", "OPTIONS", "DELETE", "M-SEARCH", "CONNECT"]);
    let version = prop::sample::select(vec!["1.1", "1.1", "1.1", "1.0"]);
    message(
        (method, target(), version)
            .prop_map(|(method, target, version)| format!("{method} {target} HTTP/{version}")),
        "Host: a\r\n",
    )
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    let status = prop::sample::select(vec![
        "100 Continue",
        "103 x",
        "101 x",
        "200 OK",
        "200",
        "204 x",
        "304 x",
        "404 \u{e4}",
        "599 a b",
        "99 x",
    ]);
    let version = prop::sample::select(vec!["1.1", "1.1", "1.1", "1.0"]);
    message((version, status).prop_map(|(version, status)| format!("HTTP/{version} {status}")), "")
}

/// Messages in a row, now and then with damage: bytes replaced, put in or taken out where it hurts.
fn stream(message: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![prop::sample::select(b"\r\n\0 \t:;,0aF".to_vec()), any::<u8>()];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, byte), 0..3);
    let messages = prop::collection::vec(message, 1..4);
    (messages, prop_oneof![2 => Just(Vec::new()), 1 => damage]).prop_map(|(messages, damage)| {
        let mut stream = messages.concat();
        for (place, kind, byte) in damage {
            let at = place.index(stream.len());
            match kind {
                0 => stream[at] = byte,
                1 => stream.insert(at, byte),
                _ => drop(stream.remove(at)),
            }
        }
        stream
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn requests_hold(choices in 0..64u8, seeds: (u8, u8), stream in stream(request())) {
        requests(&input(choices, seeds, &stream));
        forwarded(&input(choices, seeds, &stream));
    }

    #[test]
    fn responses_hold(choices in 0..64u8, seeds: (u8, u8), stream in stream(response())) {
        responses(&input(choices, seeds, &stream));
    }

    #[test]
    fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        requests(&bytes);
        responses(&bytes);
        forwarded(&bytes);
        path(&bytes);
    }

    #[test]
    fn paths_hold(parts in prop::collection::vec(prop::sample::select(vec!["/", "//", ".", "..", "%2e", "%2f", "%5C", "%25", "%", "a", "\\"]), 0..12)) {
        path(format!("/{}", parts.concat()).as_bytes());
    }
}

/// Generated streams would prove nothing if most of them were refused.
#[test]
fn whole_messages_are_accepted() {
    let bytes = input(0, (1, 1), b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    let (plan, stream) = Plan::take(&bytes).expect("long enough");
    let seen = read(&mut Requests::new(&plan), &plan, stream, plan.reads(), plan.takes());
    assert!(matches!(
        seen.as_slice(),
        [reading::Seen::Head(_), reading::Seen::End(Ok(_)), reading::Seen::Rest { unread: 0, .. }]
    ));
}

/// What was longer than a limit and wrong besides was refused for the one or the other, by how it arrived.
#[test]
fn the_first_violation_counts_however_it_arrives() {
    let long = "a".repeat(100);
    for stream in [
        format!("GET /{long}\n"),
        format!("GET / HTTP/1.1\r\nHost: {long}\n"),
        "GET / HTTP/1.1\r\n a\n".to_owned(),
        "GET / HTTP/1.1\r\n a: b\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{}\r\n a: b\r\n\r\n", "a: aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(3)),
        format!("GET / HTTP/1.1\r\n{} a: b\r\n\r\n", "a: b\r\n".repeat(6)),
        format!("GET / HTTP/1.1\r\n{}\n", "a: aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(3)),
    ] {
        for seeds in [(0, 0), (1, 1), (2, 2), (3, 3)] {
            requests(&input(1, seeds, stream.as_bytes()));
        }
    }
}

/// `Connection: expect` took the expectation from the upstream, while we waited for its 100.
#[test]
fn an_expectation_cannot_be_nominated() {
    let stream = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: expect\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody";
    forwarded(&input(0, (0, 0), stream));
}
