//! From the bytes of a complete head to a request or response that can be read in one way only (RFC 9112, and the
//! stricter rules on top of it). `httparse` splits lines into names and values; what they mean is decided here.

use std::mem::MaybeUninit;

use crate::http::field::{self, Known};
use crate::http::message::{Fields, Framing, Method, RequestHead, ResponseHead, Span, Version};
use crate::http::path;

use super::error::ParseError;
use fulcrum_config::Underscores;

/// The most fields any configuration allows; the scanner has enforced the configured number.
pub(crate) const MAX_FIELDS: usize = 1000;

/// Fields that nearly every head gets by with.
const USUAL_FIELDS: usize = 48;

/// What a parser may assume of the head's surroundings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestRules {
    /// What becomes of field names with an underscore.
    pub(crate) underscores: Underscores,
}

/// Reads a request head into `head`, which must be clear.
pub(crate) fn parse_request(
    bytes: &[u8],
    rules: RequestRules,
    head: &mut RequestHead,
) -> Result<(), ParseError> {
    head.fields.text.extend_from_slice(bytes);
    let text = std::mem::take(&mut head.fields.text);
    let parsed = split_request(&text, head);
    head.fields.text = text;
    parsed?;
    apply_underscores(&mut head.fields, rules.underscores)?;
    read_target(head)?;
    let semantics = Semantics::of(&head.fields)?;
    head.framing = semantics.framing(head.version)?;
    head.keep_alive = match head.version {
        Version::Http11 => !semantics.close,
        Version::Http10 => semantics.keep_alive && !semantics.close,
    };
    head.fields.nominates = semantics.nominates;
    head.is_stream = semantics.grpc;
    head.accepts_trailers = semantics.te_trailers || semantics.grpc;
    head.expects_continue = semantics.expects_continue && head.version == Version::Http11;
    if semantics.bad_expectation {
        return Err(ParseError::UnsupportedExpectation);
    }
    read_host(head, &semantics)?;
    check_body(head)?;
    head.upgrade = semantics.upgrade.filter(|_| head.version == Version::Http11);
    if head.upgrade.is_some() && head.framing != Framing::None {
        return Err(ParseError::UnsupportedUpgrade);
    }
    Ok(())
}

/// Reads a response head into `head`, which must be clear. `method` is the one of the request it answers.
pub(crate) fn parse_response(
    bytes: &[u8],
    method: Method,
    head: &mut ResponseHead,
) -> Result<(), ParseError> {
    head.fields.text.extend_from_slice(bytes);
    let text = std::mem::take(&mut head.fields.text);
    let parsed = split_response(&text, head);
    head.fields.text = text;
    parsed?;
    let semantics = Semantics::of(&head.fields)?;
    let announced = semantics.framing(head.version)?;
    head.keep_alive = match head.version {
        Version::Http11 => !semantics.close,
        Version::Http10 => semantics.keep_alive && !semantics.close,
    };
    if announced == Framing::Chunked && matches!(head.status, 204 | 304) {
        // Whoever announces a body there may send one (RFC 9112 §6.1).
        head.keep_alive = false;
    }
    head.fields.nominates = semantics.nominates;
    head.is_stream = semantics.grpc || semantics.event_stream;
    head.upgrade = semantics.upgrade;
    head.framing = match announced {
        _ if matches!(head.status, 100..200 | 204) => Framing::None,
        Framing::None if response_has_body(head.status, method) => Framing::UntilClose,
        Framing::Chunked if !response_has_body(head.status, method) => Framing::None,
        // For HEAD and 304 the length that the body would have had.
        announced => announced,
    };
    Ok(())
}

/// Whether a response with this head has a body (RFC 9112 §6.3).
pub(crate) fn response_has_body(status: u16, method: Method) -> bool {
    method != Method::Head && !matches!(status, 100..200 | 204 | 304)
}

/// Reads a trailer section, which ends with an empty line. Only fields that may stand there are kept.
pub(crate) fn parse_trailers(bytes: &[u8], fields: &mut Fields) -> Result<(), ParseError> {
    fields.text.extend_from_slice(bytes);
    let text = std::mem::take(&mut fields.text);
    let mut space = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    let result = match httparse::parse_headers(&text, &mut space) {
        Ok(httparse::Status::Complete((_, parsed))) => {
            let allowed =
                parsed.iter().filter(|header| field::is_allowed_in_trailers(header.name.as_bytes()));
            fields.list.extend(allowed.map(|header| field_of(header, &text)));
            Ok(())
        }
        _ => Err(ParseError::InvalidChunk),
    };
    fields.text = text;
    result
}

fn split_request(text: &[u8], head: &mut RequestHead) -> Result<(), ParseError> {
    // A space more would be taken for part of the version or dropped, depending on who reads it.
    let line = text.split(|&byte| byte == b'\r').next().unwrap_or_default();
    if line.iter().filter(|&&byte| byte == b' ').count() != 2 {
        return Err(ParseError::MalformedFirstLine);
    }
    match split_request_within::<USUAL_FIELDS>(text, head) {
        Err(ParseError::HeadersTooLarge) => split_request_within::<MAX_FIELDS>(text, head),
        result => result,
    }
}

/// Not inlined: the room for the fields of an unusual request is a large piece of stack.
#[inline(never)]
fn split_request_within<const FIELDS: usize>(text: &[u8], head: &mut RequestHead) -> Result<(), ParseError> {
    let mut space = [const { MaybeUninit::uninit() }; FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(text, &mut space) {
        Ok(httparse::Status::Complete(length)) if length == text.len() => {}
        // The scanner saw an empty line at the end, so that anything else means that the parsers disagree.
        Ok(_) => return Err(ParseError::MalformedHeader),
        Err(error) => return Err(parse_error(error)),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(ParseError::MalformedFirstLine);
    };
    head.method = Method::from_bytes(method.as_bytes());
    head.method_span = Span::of(method.as_bytes(), text);
    head.target = Span::of(target.as_bytes(), text);
    head.version = if version == 0 { Version::Http10 } else { Version::Http11 };
    head.fields.list.extend(parsed.headers.iter().map(|header| field_of(header, text)));
    Ok(())
}

fn split_response(text: &[u8], head: &mut ResponseHead) -> Result<(), ParseError> {
    match split_response_within::<USUAL_FIELDS>(text, head) {
        Err(ParseError::HeadersTooLarge) => split_response_within::<MAX_FIELDS>(text, head),
        result => result,
    }
}

#[inline(never)]
fn split_response_within<const FIELDS: usize>(
    text: &[u8],
    head: &mut ResponseHead,
) -> Result<(), ParseError> {
    let mut space = [const { MaybeUninit::uninit() }; FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, text, &mut space) {
        Ok(httparse::Status::Complete(length)) if length == text.len() => {}
        Ok(_) => return Err(ParseError::MalformedHeader),
        Err(error) => return Err(parse_error(error)),
    }
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(ParseError::MalformedFirstLine);
    };
    if !(100..600).contains(&status) {
        return Err(ParseError::InvalidStatus);
    }
    head.status = status;
    // httparse gives an empty text of its own for a reason it does not like.
    head.reason = match parsed.reason {
        Some(reason) if !reason.is_empty() => Span::of(reason.as_bytes(), text),
        _ => Span::default(),
    };
    head.version = if version == 0 { Version::Http10 } else { Version::Http11 };
    head.fields.list.extend(parsed.headers.iter().map(|header| field_of(header, text)));
    Ok(())
}

fn field_of(header: &httparse::Header<'_>, text: &[u8]) -> crate::http::message::Field {
    let name = header.name.as_bytes();
    let value = if header.value.is_empty() { Span::default() } else { Span::of(header.value, text) };
    crate::http::message::Field { name: Span::of(name, text), value, known: Known::of(name) }
}

fn parse_error(error: httparse::Error) -> ParseError {
    match error {
        httparse::Error::NewLine => ParseError::BareLineEnding,
        httparse::Error::Version => ParseError::UnsupportedVersion,
        httparse::Error::Token | httparse::Error::Status => ParseError::MalformedFirstLine,
        httparse::Error::TooManyHeaders => ParseError::HeadersTooLarge,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => ParseError::MalformedHeader,
    }
}

pub(crate) fn apply_underscores(fields: &mut Fields, rule: Underscores) -> Result<(), ParseError> {
    if rule == Underscores::Allow {
        return Ok(());
    }
    let text = &fields.text;
    let has_underscore = |field: &crate::http::message::Field| text[field.name.range()].contains(&b'_');
    if !fields.list.iter().any(has_underscore) {
        return Ok(());
    }
    if rule == Underscores::Reject {
        return Err(ParseError::UnderscoreInFieldName);
    }
    fields.list.retain(|field| !has_underscore(field));
    Ok(())
}

/// Splits the target (RFC 9112 §3.2) and normalises its path.
fn read_target(head: &mut RequestHead) -> Result<(), ParseError> {
    let range = head.target.range();
    let target = &head.fields.text[range.clone()];
    if target.iter().any(|&byte| byte <= b' ' || byte >= 0x7f || byte == b'#') {
        return Err(ParseError::MalformedFirstLine);
    }
    if head.method == Method::Connect {
        head.authority = head.target;
        return Ok(());
    }
    let path_start = if target.starts_with(b"/") {
        0
    } else if target == b"*" && head.method == Method::Options {
        head.path = head.target;
        head.normal_path.push(b'*');
        return Ok(());
    } else {
        let authority = absolute_authority(target).ok_or(ParseError::MalformedFirstLine)?;
        head.authority = Span::new(range.start + authority.start, range.start + authority.end);
        authority.end
    };
    let rest = &target[path_start..];
    let question = memchr::memchr(b'?', rest);
    let path_length = question.unwrap_or(rest.len());
    head.path = Span::new(range.start + path_start, range.start + path_start + path_length);
    head.query = question.map(|at| Span::new(range.start + path_start + at + 1, range.end));
    let path: &[u8] = match &rest[..path_length] {
        // RFC 9112 §3.2.4.
        [] if head.method == Method::Options && question.is_none() => {
            head.normal_path.push(b'*');
            return Ok(());
        }
        [] => b"/",
        path => path,
    };
    let mut scratch = std::mem::take(&mut head.normal_path);
    let borrowed = match path::normalize(path, &mut scratch) {
        Ok(normal) => std::ptr::eq(normal.as_ptr(), path.as_ptr()),
        Err(_) => return Err(ParseError::InvalidPath),
    };
    if borrowed {
        scratch.clear();
        scratch.extend_from_slice(path);
    }
    head.normal_path = scratch;
    Ok(())
}

/// The authority of `http://authority/…`, as a range of the target.
fn absolute_authority(target: &[u8]) -> Option<std::ops::Range<usize>> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.len() > scheme.len() && target[..scheme.len()].eq_ignore_ascii_case(scheme))?;
    let rest = &target[scheme.len()..];
    let length = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    (length > 0).then_some(scheme.len()..scheme.len() + length)
}

/// What the fields say about the message and its connection.
#[derive(Default)]
struct Semantics {
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    nominates: bool,
    te_trailers: bool,
    grpc: bool,
    event_stream: bool,
    expects_continue: bool,
    bad_expectation: bool,
    upgrade: Option<Span>,
    host: Option<Span>,
    hosts: usize,
}

impl Semantics {
    fn of(fields: &Fields) -> Result<Self, ParseError> {
        let mut found = Semantics::default();
        let mut upgrade_named = false;
        let mut codings = 0;
        for field in &fields.list {
            let value = &fields.text[field.value.range()];
            match field.known {
                Known::Other => {}
                Known::Host => {
                    found.host = Some(field.value);
                    found.hosts += 1;
                }
                Known::ContentLength => {
                    let length = parse_length(value).ok_or(ParseError::InvalidContentLength)?;
                    if found.content_length.is_some_and(|earlier| earlier != length) {
                        return Err(ParseError::InvalidContentLength);
                    }
                    found.content_length = Some(length);
                }
                Known::TransferEncoding => {
                    codings += 1;
                    if codings > 1 || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(ParseError::InvalidTransferEncoding);
                    }
                    found.chunked = true;
                }
                Known::Connection => {
                    for option in field::list_elements(value) {
                        match option {
                            _ if option.eq_ignore_ascii_case(b"close") => found.close = true,
                            _ if option.eq_ignore_ascii_case(b"keep-alive") => found.keep_alive = true,
                            _ if option.eq_ignore_ascii_case(b"upgrade") => upgrade_named = true,
                            _ => found.nominates = true,
                        }
                    }
                }
                // The protocol of an upgrade is one token; h2c is spoken with prior knowledge only.
                Known::Upgrade => {
                    let known_protocol =
                        !field::list_elements(value).any(|one| one.eq_ignore_ascii_case(b"h2c"));
                    found.upgrade = (known_protocol && !value.is_empty()).then_some(field.value);
                }
                Known::Te => {
                    found.te_trailers |=
                        field::list_elements(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
                }
                Known::Expect => {
                    if value.eq_ignore_ascii_case(b"100-continue") {
                        found.expects_continue = true;
                    } else {
                        found.bad_expectation = true;
                    }
                }
                Known::ContentType => {
                    let starts = |with: &[u8]| {
                        value.len() >= with.len() && value[..with.len()].eq_ignore_ascii_case(with)
                    };
                    found.grpc |= starts(b"application/grpc");
                    found.event_stream |= starts(b"text/event-stream");
                }
                _ => {}
            }
        }
        if !upgrade_named {
            found.upgrade = None;
        }
        Ok(found)
    }

    /// RFC 9112 §6.3, with everything refused that it leaves to the recipient.
    fn framing(&self, version: Version) -> Result<Framing, ParseError> {
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err(ParseError::ConflictingFraming),
            (true, None) if version == Version::Http10 => Err(ParseError::InvalidTransferEncoding),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::None),
        }
    }
}

/// Digits only: no sign, no list, no whitespace.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value
        .iter()
        .try_fold(0u64, |length, byte| byte.is_ascii_digit().then(|| length * 10 + u64::from(byte - b'0')))
        // As for chunks: beyond lies an overflow in somebody's parser.
        .filter(|&length| i64::try_from(length).is_ok())
}

/// RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one before, and the same as an absolute target's authority.
fn read_host(head: &mut RequestHead, semantics: &Semantics) -> Result<(), ParseError> {
    if semantics.hosts > 1 || (semantics.hosts == 0 && head.version == Version::Http11) {
        return Err(ParseError::InvalidHost);
    }
    if let Some(host) = semantics.host {
        if host.is_empty() && head.version == Version::Http11 {
            return Err(ParseError::InvalidHost);
        }
        let host_text = head.fields.slice(host);
        if head.authority.is_empty() {
            head.authority = host;
        } else if !host_text.eq_ignore_ascii_case(head.authority_text()) {
            return Err(ParseError::HostMismatch);
        }
    }
    if head.authority.is_empty() {
        return Ok(());
    }
    let authority = head.fields.slice(head.authority);
    let name = host_name(authority).ok_or(ParseError::InvalidHost)?;
    head.host.extend(name.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
    Ok(())
}

/// The host of `host[:port]` without a final dot, or `None` when it is malformed (RFC 3986 §3.2).
fn host_name(authority: &[u8]) -> Option<&[u8]> {
    let (host, port) = if authority.starts_with(b"[") {
        let end = authority.iter().position(|&byte| byte == b']')? + 1;
        let literal = std::str::from_utf8(&authority[1..end - 1]).ok()?;
        literal.parse::<std::net::Ipv6Addr>().ok()?;
        (&authority[..end], &authority[end..])
    } else {
        let end = memchr::memchr(b':', authority).unwrap_or(authority.len());
        (&authority[..end], &authority[end..])
    };
    match port {
        [] | [b':'] => {}
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(digits).ok()?.parse::<u16>().ok()?;
        }
        _ => return None,
    }
    if host.starts_with(b"[") {
        return Some(host);
    }
    let host = host.strip_suffix(b".").unwrap_or(host);
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (!host.is_empty() && host.len() <= 255 && host.iter().all(valid)).then_some(host)
}

/// Requests whose body a recipient may overlook.
fn check_body(head: &RequestHead) -> Result<(), ParseError> {
    let bodiless = matches!(head.method, Method::Get | Method::Head | Method::Delete);
    let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
    if bodiless && has_body && head.version == Version::Http10 {
        return Err(ParseError::BodyNotAllowed);
    }
    Ok(())
}

/// Most fields of a trailer section.
const MAX_TRAILERS: usize = 100;

#[cfg(test)]
mod tests;
