//! Messages one after the other on a connection.

use fulcrum_config::Underscores;

use super::*;

const LIMITS: HeadLimits = HeadLimits { first_line: 8192, field: 16 * 1024, total: 64 * 1024, count: 100 };

fn request_decoder() -> RequestDecoder {
    RequestDecoder::new(LIMITS, RequestRules { underscores: Underscores::Reject })
}

/// What a connection's bytes hold: `target[payload]` of every whole request, then how it ends.
fn requests(bytes: &[u8]) -> (Vec<String>, Result<usize, ParseError>) {
    let (mut decoder, mut head) = (request_decoder(), RequestHead::default());
    let (mut at, mut whole) = (0, Vec::new());
    loop {
        match decoder.head(&bytes[at..], &mut head) {
            Ok(Step { skip, event: Event::Head }) => at += skip,
            Ok(_) => return (whole, Ok(bytes.len() - at)),
            Err(error) => return (whole, Err(error)),
        }
        let mut payload = Vec::new();
        loop {
            let step = match decoder.body(&bytes[at..]) {
                Ok(step) => step,
                Err(error) => return (whole, Err(error)),
            };
            at += step.skip;
            match step.event {
                Event::Payload(count) => {
                    payload.extend_from_slice(&bytes[at..at + count]);
                    decoder.consume(count);
                    at += count;
                }
                Event::End => break,
                Event::NeedMore | Event::Head => return (whole, Ok(bytes.len() - at)),
            }
        }
        whole.push(format!("{}[{}]", head.target_text().escape_ascii(), payload.escape_ascii()));
    }
}

fn check(bytes: &str, expected: &[&str], end: Result<usize, ParseError>) {
    let (whole, ended) = requests(bytes.as_bytes());
    assert_eq!(
        (whole.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), ended),
        (expected, end),
        "{bytes:?}"
    );
}

#[test]
fn pipelined_requests() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let post = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let chunked =
        "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx: y\r\n\r\n";
    let (one, two) = (get("/1"), get("/2"));
    check("", &[], Ok(0));
    check(&one, &["/1[]"], Ok(0));
    check(&format!("{one}{two}"), &["/1[]", "/2[]"], Ok(0));
    check(&format!("{post}{one}{chunked}{two}"), &["/p[body]", "/1[]", "/c[body]", "/2[]"], Ok(0));
    // One empty line is forgiven before each request, not two.
    check(&format!("\r\n{one}\r\n{two}"), &["/1[]", "/2[]"], Ok(0));
    check(&format!("{one}\r\n\r\n{two}"), &["/1[]"], Err(ParseError::MalformedFirstLine));
    check(&format!("{one}\n{two}"), &["/1[]"], Err(ParseError::BareLineEnding));
    // What is behind a body is the next request, whatever it looks like.
    check(&format!("{post}more{one}"), &["/p[body]", "/1[]"], Ok(0));
    check(&format!("{one}GET /2 HTT"), &["/1[]"], Ok(10));
    check(&format!("{one}{}", &post[..post.len() - 1]), &["/1[]"], Ok(0));
    check(&format!("{one}{}", &chunked[..chunked.len() - 1]), &["/1[]"], Ok(0));
    // A request in a body is payload.
    let smuggled = format!("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{two}", two.len());
    let payload = format!("/p[{}]", two.escape_default());
    check(&format!("{smuggled}{one}"), &[&payload, "/1[]"], Ok(0));
}

/// The limits of E3: the very length is allowed, a byte more is not.
#[test]
fn head_limits() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length - 14));
    let field = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "a".repeat(length - 3));
    let count = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(count - 1));
    // Longest fields as far as they go, and one more for the rest.
    let block = |length: usize| {
        let field = |length: usize| format!("x: {}\r\n", "a".repeat(length - 5));
        let rest = length - 3 * 16 * 1024 - "Host: a\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}{}\r\n", field(16 * 1024).repeat(3), field(rest))
    };
    for (head, expected) in [
        (line(8192), None),
        (line(8193), Some(ParseError::RequestLineTooLong)),
        (field(16 * 1024), None),
        (field(16 * 1024 + 1), Some(ParseError::HeadersTooLarge)),
        (count(100), None),
        (count(101), Some(ParseError::HeadersTooLarge)),
        (block(64 * 1024), None),
        (block(64 * 1024 + 1), Some(ParseError::HeadersTooLarge)),
    ] {
        assert_eq!(requests(head.as_bytes()).1.err(), expected, "{} bytes: {:?}", head.len(), &head[..40]);
    }
}

#[test]
fn limits_hold_before_the_head_is_complete() {
    for (start, filler, expected) in [
        ("", "a", ParseError::RequestLineTooLong),
        ("GET / HTTP/1.1\r\n", "a", ParseError::HeadersTooLarge),
        ("GET / HTTP/1.1\r\n", "a: b\r\n", ParseError::HeadersTooLarge),
        ("GET / HTTP/1.1\r\nHost: a\r\n", "\0", ParseError::HeadersTooLarge),
    ] {
        let mut bytes = start.as_bytes().to_vec();
        let (mut decoder, mut head) = (request_decoder(), RequestHead::default());
        let refused = loop {
            bytes.extend_from_slice(filler.as_bytes());
            assert!(bytes.len() < 100_000, "no limit");
            if let Err(error) = decoder.head(&bytes, &mut head) {
                break error;
            }
        };
        assert_eq!(refused, expected, "{start:?} {filler:?}");
    }
}

/// What a connection's bytes hold in responses to requests with these methods: `status[payload]`.
fn responses(methods: &[Method], bytes: &[u8]) -> (Vec<String>, Result<usize, ParseError>) {
    let (mut decoder, mut head) = (ResponseDecoder::new(LIMITS), ResponseHead::default());
    let (mut at, mut whole) = (0, Vec::new());
    let mut methods = methods.iter();
    let Some(mut method) = methods.next() else { return (whole, Ok(bytes.len())) };
    loop {
        match decoder.head(&bytes[at..], *method, &mut head) {
            Ok(Step { skip, event: Event::Head }) => at += skip,
            Ok(_) => return (whole, Ok(bytes.len() - at)),
            Err(error) => return (whole, Err(error)),
        }
        let mut payload = Vec::new();
        loop {
            let step = match decoder.body(&bytes[at..]) {
                Ok(step) => step,
                Err(error) => return (whole, Err(error)),
            };
            at += step.skip;
            match step.event {
                Event::Payload(count) => {
                    payload.extend_from_slice(&bytes[at..at + count]);
                    decoder.consume(count);
                    at += count;
                }
                Event::End => break,
                Event::NeedMore | Event::Head if decoder.end_of_input() => break,
                Event::NeedMore | Event::Head => return (whole, Ok(bytes.len() - at)),
            }
        }
        whole.push(format!("{}[{}]", head.status, payload.escape_ascii()));
        if head.status >= 200 {
            match methods.next() {
                Some(next) => method = next,
                None => return (whole, Ok(bytes.len() - at)),
            }
        }
    }
}

#[test]
fn responses_in_a_row() {
    use Method::{Get, Head, Post};
    let check = |methods: &[Method], bytes: &str, expected: &[&str], end: Result<usize, ParseError>| {
        let (whole, ended) = responses(methods, bytes.as_bytes());
        assert_eq!(
            (whole.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), ended),
            (expected, end),
            "{bytes:?}"
        );
    };
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    check(&[Get, Get], &format!("{ok}body{chunked}"), &["200[body]", "200[body]"], Ok(0));
    check(&[Head, Get], &format!("{ok}{ok}body"), &["200[]", "200[body]"], Ok(0));
    check(&[Get], "HTTP/1.1 304 x\r\nContent-Length: 4\r\n\r\n", &["304[]"], Ok(0));
    check(&[Get], "HTTP/1.1 204 x\r\nContent-Length: 4\r\n\r\nbody", &["204[]"], Ok(4));
    // Bytes behind a response are nobody's.
    check(&[Get], &format!("{ok}bodyHTTP/1.1 200 OK\r\n\r\n"), &["200[body]"], Ok(19));
    check(
        &[Post],
        &format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: a\r\n\r\n{ok}body"),
        &["100[]", "103[]", "200[body]"],
        Ok(0),
    );
    check(&[Get], "HTTP/1.0 200 OK\r\n\r\nbody", &["200[body]"], Ok(0));
    check(&[Get], "HTTP/1.1 200 OK\r\n\r\n", &["200[]"], Ok(0));
    check(&[Get], &format!("{ok}bod"), &[], Ok(0));
    check(&[Get], &chunked[..chunked.len() - 2], &[], Ok(0));
    check(&[Get], &ok[..ok.len() - 1], &[], Ok(ok.len() - 1));
    check(&[Get], "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", &[], Err(ParseError::ObsoleteFold));
    check(&[Get], "HTTP/1.1 200 OK\nX: a\r\n\r\n", &[], Err(ParseError::BareLineEnding));
    check(
        &[Get],
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbodyX",
        &[],
        Err(ParseError::InvalidChunk),
    );
}
