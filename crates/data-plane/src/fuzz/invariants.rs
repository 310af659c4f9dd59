//! What goes out on the other side of the proxy, read again by two parsers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fulcrum_config::{HeaderEdits, Rewrite};

use crate::http::Client;
use crate::http::date::Date;
use crate::http::headers::{self, RequestParts, ResponseParts};
use crate::http::message::{Fields, Framing, Method, Persistence, RequestHead, ResponseHead, Version};
use crate::http::path;
use crate::http1::decoder::Event;
use crate::http1::encode;
use crate::http1::error::ParseError;
use crate::http1::head::response_has_body;
use crate::snapshot::{Changes, Snapshot};

use super::plan::Plan;
use super::reading::{Reader, Requests, Responses};
use super::{has_body, reference};

/// Forwards every request of a stream, and reads it again.
pub(super) fn forwarded_requests(plan: &Plan, stream: &[u8]) {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let (snapshot, changes) = (snapshot(plan), plan.rewrites.then(changes));
    let mut requests = Requests::new(plan);
    let mut rest = stream;
    while let Some(after) = next_head(&mut requests, rest) {
        rest = after;
        let head = &requests.head;
        if head.method == Method::Connect {
            // Refused with 501.
            return;
        }
        let client = Client::of(Some(peer), head, &snapshot);
        let parts = RequestParts {
            head,
            client: &client,
            request_id: b"id",
            changes: changes.as_ref(),
            sticky: None,
        };
        let mut output = Vec::new();
        headers::request(&mut output, &parts);
        let framing = head.framing;
        let sends_trailers = head.accepts_trailers;
        let Some((payload, after)) = relay(&mut requests, plan, framing, sends_trailers, rest, &mut output)
        else {
            return;
        };
        rest = after;
        check_request(plan, &requests.head, changes.as_ref(), &payload, &output);
    }
}

/// Passes every response of a stream on, and reads it again.
pub(super) fn relayed_responses(plan: &Plan, stream: &[u8]) {
    let changes = plan.rewrites.then(changes);
    let mut responses = Responses::new(plan);
    let mut rest = stream;
    while let Some(after) = next_head(&mut responses, rest) {
        rest = after;
        let head = &responses.head;
        let framing = if head.framing == Framing::UntilClose { Framing::Chunked } else { head.framing };
        let parts = ResponseParts {
            head,
            framing,
            persistence: Persistence::KeepAlive,
            version: Version::Http11,
            date: &Date::default(),
            changes: changes.as_ref(),
            sticky: None,
            cookie: None,
        };
        let mut output = Vec::new();
        match head.status {
            100 | 102..200 => headers::interim(&mut output, head),
            _ => headers::response(&mut output, parts),
        }
        let sent = if response_has_body(head.status, plan.method) { framing } else { Framing::None };
        let Some((payload, after)) = relay(&mut responses, plan, sent, true, rest, &mut output) else {
            return;
        };
        rest = after;
        check_response(plan, &responses.head, framing, &payload, &output);
    }
}

fn next_head<'a>(reader: &mut dyn Reader, input: &'a [u8]) -> Option<&'a [u8]> {
    let step = reader.head(input).ok().filter(|step| step.event == Event::Head)?;
    Some(&input[step.skip..])
}

/// Reads a body and appends it in its outgoing framing. Returns the payload and what is behind the body; `None` for a
/// body that is cut short or no body.
fn relay<'a>(
    reader: &mut dyn Reader,
    plan: &Plan,
    framing: Framing,
    sends_trailers: bool,
    mut input: &'a [u8],
    output: &mut Vec<u8>,
) -> Option<(Vec<u8>, &'a [u8])> {
    let (mut payload, mut takes) = (Vec::new(), plan.takes());
    loop {
        let step = reader.body(input).ok()?;
        input = &input[step.skip..];
        match step.event {
            Event::Payload(available) => {
                let piece = &input[..takes.next().min(available)];
                match framing {
                    Framing::Chunked => encode::chunk(output, piece),
                    _ => output.extend_from_slice(piece),
                }
                payload.extend_from_slice(piece);
                reader.consume(piece.len());
                input = &input[piece.len()..];
            }
            Event::NeedMore | Event::Head if !reader.end_of_input() => return None,
            Event::End | Event::NeedMore | Event::Head => break,
        }
    }
    if framing == Framing::Chunked {
        let trailers = if sends_trailers { reader.trailers().ok()? } else { Fields::default() };
        encode::last_chunk(output, &trailers);
    }
    Some((payload, input))
}

fn check_request(plan: &Plan, head: &RequestHead, changes: Option<&Changes>, payload: &[u8], output: &[u8]) {
    let naive = reference::message(output, has_body(head.framing));
    let [method, target, version] = naive.first_line.as_slice() else { panic!("{:?}", naive.first_line) };
    assert_eq!((method.as_slice(), version.as_slice()), (head.method_text(), b"HTTP/1.1".as_slice()));
    let (path, query) = match target.iter().position(|&byte| byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target.as_slice(), None),
    };
    assert_eq!(query, head.query.map(|_| head.query_text()));
    match changes {
        _ if head.is_asterisk() => assert_eq!(path, b"*"),
        None => assert_eq!(path, head.normal_path, "matched and forwarded paths are the same"),
        Some(_) => assert_eq!(path::normalize(path, &mut Vec::new()), Ok(path), "a rewritten path is normal"),
    }
    assert_eq!(naive.named("host"), [head.authority_text()]);
    assert_eq!((naive.payload.as_slice(), naive.rest.as_slice()), (payload, &b""[..]));
    assert!(naive.named("connection").len() <= 1);
    for name in ["keep-alive", "proxy-connection", "proxy-authorization", "trailer"] {
        assert!(naive.named(name).is_empty(), "{name} is of one connection only");
    }
    let ours = if changes.is_some() {
        &["x-forwarded-for", "x-request-id", "x-set"][..]
    } else {
        &["x-forwarded-for"]
    };
    for name in ours {
        assert_eq!(naive.named(name).len(), 1, "{name} is ours alone");
    }

    let wide = plan.wide();
    let mut again = Requests::new(&wide);
    let read = again.head(output);
    if head.authority.is_empty() {
        // HTTP/1.0 without a Host: an empty one is what RFC 9112 §3.2 says, and what we ourselves do not serve.
        assert_eq!(read, Err(ParseError::InvalidHost));
        return;
    }
    let start = read.unwrap_or_else(|error| panic!("{error} in {}", output.escape_ascii())).skip;
    let rest = relay(&mut again, &wide, Framing::None, false, &output[start..], &mut Vec::new());
    assert_eq!(rest, Some((payload.to_vec(), &b""[..])));
    let again = &again.head;
    assert_eq!(again.method_text(), head.method_text());
    assert_eq!((again.normal_path.as_slice(), again.query_text()), (path, head.query_text()));
    assert_eq!((&again.host, again.authority_text()), (&head.host, head.authority_text()));
    assert_eq!((again.framing, again.keep_alive, again.version), (head.framing, true, Version::Http11));
    assert_eq!(again.expects_continue, head.expects_continue, "an expectation is kept or not waited for");
    let upgrade = |head: &RequestHead| head.upgrade.map(|upgrade| head.fields.slice(upgrade).to_vec());
    assert_eq!(upgrade(again), upgrade(head));
    assert!(head.upgrade.is_some() || again.accepts_trailers == head.accepts_trailers);
}

fn check_response(plan: &Plan, head: &ResponseHead, framing: Framing, payload: &[u8], output: &[u8]) {
    let follows = response_has_body(head.status, plan.method) && has_body(framing);
    let naive = reference::message(output, follows);
    assert!(naive.first_line.len() >= 2 && naive.first_line[0] == b"HTTP/1.1");
    assert_eq!(naive.first_line[1], head.status.to_string().as_bytes());
    assert_eq!((naive.payload.as_slice(), naive.rest.as_slice()), (payload, &b""[..]));
    for name in ["keep-alive", "proxy-connection", "te", "trailer"] {
        assert!(naive.named(name).is_empty(), "{name} is of one connection only");
    }
    if matches!(head.status, 100..200 | 204) {
        assert!(naive.named("content-length").is_empty() && naive.named("transfer-encoding").is_empty());
    }

    let wide = plan.wide();
    let mut again = Responses::new(&wide);
    let read = again.head(output);
    let start = read.unwrap_or_else(|error| panic!("{error} in {}", output.escape_ascii())).skip;
    let rest = relay(&mut again, &wide, Framing::None, false, &output[start..], &mut Vec::new());
    assert_eq!(rest, Some((payload.to_vec(), &b""[..])));
    let again = &again.head;
    assert_eq!((again.status, again.framing, again.keep_alive), (head.status, framing, true));
}

fn snapshot(plan: &Plan) -> Snapshot {
    let loopback = ipnet::IpNet::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    let trusted = plan.is_trusted.then_some(loopback);
    Snapshot { trusted_proxies: trusted.iter().collect(), ..Snapshot::default() }
}

/// A route that changes a bit of everything.
fn changes() -> Changes {
    let edits = || HeaderEdits {
        remove: vec!["x-removed".to_owned()],
        set: vec![("x-set".to_owned(), "a".to_owned())],
        add: vec![("x-added".to_owned(), "b".to_owned())],
    };
    Changes {
        rewrite: Rewrite { strip_prefix: Some("/a".to_owned()), add_prefix: Some("/b".to_owned()) },
        request: edits(),
        response: edits(),
    }
}
