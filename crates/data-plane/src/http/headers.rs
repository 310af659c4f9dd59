//! Heads as they go out: what is kept of the received one, what the route changes, and what is always our own.

use fulcrum_config::HeaderEdits;

use crate::http::Client;
use crate::http::date::Date;
use crate::http::error::phrase;
use crate::http::field::Known;
use crate::http::message::{Fields, Framing, Method, Persistence, RequestHead, ResponseHead, Version};
use crate::http::sticky::{private, sets_cookie, without_cookie};
use crate::http1::encode;
use crate::service::Sticky;
use crate::snapshot::Changes;

/// What a request head is made of.
pub(crate) struct RequestParts<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) client: &'a Client,
    pub(crate) request_id: &'a [u8],
    pub(crate) changes: Option<&'a Changes>,
    /// Whose cookie is none of the upstream's business.
    pub(crate) sticky: Option<&'a Sticky>,
}

/// Appends the head of a request to an HTTP/1.1 upstream.
pub(crate) fn request(output: &mut Vec<u8>, parts: &RequestParts<'_>) {
    let RequestParts { head, client, request_id, changes, sticky } = parts;
    let edits = changes.map(|changes| &changes.request);
    output.extend_from_slice(head.method_text());
    output.push(b' ');
    target(output, head, *changes);
    output.extend_from_slice(b" HTTP/1.1\r\n");
    encode::field(output, b"host", head.authority_text());
    let hops = max_forwards(head);
    encode::forwarded_fields(output, &head.fields, |name, _, known| {
        let replaced = match known {
            Known::Host | Known::XForwardedFor | Known::XRequestId => true,
            Known::XForwardedProto
            | Known::XForwardedHost
            | Known::XForwardedPort
            | Known::XRealIp
            | Known::Forwarded => !client.is_trusted,
            Known::Expect => !head.expects_continue,
            Known::Cookie => sticky.is_some(),
            _ => false,
        };
        let is_counted = hops.is_some() && name.eq_ignore_ascii_case(b"max-forwards");
        replaced || is_counted || edits.is_some_and(|edits| removes(edits, name))
    });
    if let Some(hops) = hops {
        output.extend_from_slice(b"max-forwards: ");
        encode::decimal(output, hops.saturating_sub(1));
        output.extend_from_slice(b"\r\n");
    }
    if let Some(sticky) = sticky.filter(|_| !edits.is_some_and(|edits| removes(edits, b"cookie"))) {
        let fields = head.fields.known(Known::Cookie);
        for cookies in fields.filter_map(|field| without_cookie(field, sticky.cookie.as_bytes())) {
            encode::field(output, b"cookie", &cookies);
        }
    }
    forwarded(output, parts, edits);
    if let Some(edits) = edits {
        append_edits(output, edits);
    }
    encode::framing(output, head.framing);
    if let Some(protocol) = head.upgrade {
        output.extend_from_slice(b"connection: upgrade\r\n");
        encode::field(output, b"upgrade", head.fields.slice(protocol));
    } else if head.accepts_trailers {
        output.extend_from_slice(b"te: trailers\r\nconnection: te\r\n");
    }
    debug_assert!(!request_id.is_empty());
    output.extend_from_slice(b"\r\n");
}

/// How many more hops a TRACE or OPTIONS may go; other methods may go as far as they like (RFC 9110 §7.6.2).
pub(crate) fn max_forwards(head: &RequestHead) -> Option<u64> {
    if !matches!(head.method, Method::Trace | Method::Options) {
        return None;
    }
    let digits = std::str::from_utf8(head.fields.named("max-forwards").next()?).ok()?;
    digits.parse().ok()
}

/// Appends the path, normalised and rewritten, and the query.
fn target(output: &mut Vec<u8>, head: &RequestHead, changes: Option<&Changes>) {
    let mut path = head.normal_path.as_slice();
    if let Some(changes) = changes.filter(|_| !head.is_asterisk()) {
        if let Some(prefix) = &changes.rewrite.strip_prefix {
            path = strip_prefix(path, prefix.as_bytes());
        }
        if let Some(prefix) = &changes.rewrite.add_prefix {
            output.extend_from_slice(prefix.as_bytes());
        }
    }
    if !path.starts_with(b"/") && !head.is_asterisk() {
        output.push(b'/');
    }
    output.extend_from_slice(path);
    if head.query.is_some() {
        output.push(b'?');
        output.extend_from_slice(head.query_text());
    }
}

/// Without the prefix, where the path has it as whole segments.
fn strip_prefix<'a>(path: &'a [u8], prefix: &[u8]) -> &'a [u8] {
    match path.strip_prefix(prefix) {
        Some(rest) if rest.is_empty() || rest.starts_with(b"/") || prefix.ends_with(b"/") => rest,
        _ => path,
    }
}

/// Appends what we say about the client, unless the route says something else.
fn forwarded(output: &mut Vec<u8>, parts: &RequestParts<'_>, edits: Option<&HeaderEdits>) {
    let RequestParts { head, client, request_id, .. } = parts;
    let is_ours = |name: &[u8]| !edits.is_some_and(|edits| removes(edits, name));
    let has = |known| client.is_trusted && head.fields.known(known).next().is_some();
    if is_ours(b"x-forwarded-for") {
        output.extend_from_slice(b"x-forwarded-for: ");
        client.append_chain(output);
        output.extend_from_slice(b"\r\n");
    }
    if is_ours(b"x-forwarded-proto") && !has(Known::XForwardedProto) {
        output.extend_from_slice(b"x-forwarded-proto: http\r\n");
    }
    if is_ours(b"x-forwarded-host") && !has(Known::XForwardedHost) && !head.authority.is_empty() {
        encode::field(output, b"x-forwarded-host", head.authority_text());
    }
    if is_ours(b"x-request-id") {
        encode::field(output, b"x-request-id", request_id);
    }
}

/// Whether edits take out what is there: by removal, or to set it anew.
pub(crate) fn removes(edits: &HeaderEdits, name: &[u8]) -> bool {
    let is = |other: &str| other.as_bytes().eq_ignore_ascii_case(name);
    edits.remove.iter().any(|removed| is(removed)) || edits.set.iter().any(|(set, _)| is(set))
}

/// Takes out of trailers what edits take out of a head: some recipients merge the two (RFC 9110 §6.5.1).
pub(crate) fn retain_trailers(trailers: &mut Fields, edits: Option<&HeaderEdits>) {
    if let Some(edits) = edits {
        let Fields { text, list, .. } = trailers;
        list.retain(|field| !removes(edits, &text[field.name.range()]));
    }
}

/// Appends the fields that edits set and add.
pub(crate) fn append_edits(output: &mut Vec<u8>, edits: &HeaderEdits) {
    for (name, value) in edits.set.iter().chain(&edits.add) {
        encode::field(output, name.as_bytes(), value.as_bytes());
    }
}

/// How a response goes out.
#[derive(Clone, Copy)]
pub(crate) struct ResponseParts<'a> {
    pub(crate) head: &'a ResponseHead,
    /// As the downstream will see it.
    pub(crate) framing: Framing,
    pub(crate) persistence: Persistence,
    /// The version of the request.
    pub(crate) version: Version,
    pub(crate) date: &'a Date,
    pub(crate) changes: Option<&'a Changes>,
    pub(crate) sticky: Option<&'a Sticky>,
    /// The `Set-Cookie` that the client needs.
    pub(crate) cookie: Option<&'a [u8]>,
}

/// Appends the head of a final response to the downstream, or of a 101.
pub(crate) fn response(output: &mut Vec<u8>, parts: ResponseParts<'_>) {
    let head = parts.head;
    let edits = parts.changes.map(|changes| &changes.response);
    status_line(output, head.status, head.reason_text());
    let is_pin = |name: &[u8], value: &[u8]| {
        parts.sticky.is_some_and(|sticky| {
            (name.eq_ignore_ascii_case(b"set-cookie") && sets_cookie(value, sticky.cookie.as_bytes()))
                || (parts.cookie.is_some() && name.eq_ignore_ascii_case(b"cache-control"))
        })
    };
    encode::forwarded_fields(output, &head.fields, |name, value, _| {
        is_pin(name, value) || edits.is_some_and(|edits| removes(edits, name))
    });
    let is_caching = |name: &str| parts.cookie.is_some() && name.eq_ignore_ascii_case("cache-control");
    for (name, value) in edits.into_iter().flat_map(|edits| edits.set.iter().chain(&edits.add)) {
        if !is_caching(name) {
            encode::field(output, name.as_bytes(), value.as_bytes());
        }
    }
    if let Some(cookie) = parts.cookie {
        encode::field(output, b"set-cookie", cookie);
        encode::field(output, b"cache-control", &private(&caching(head, edits)));
    }
    let is_dated = head.fields.known(Known::Date).next().is_some();
    if !is_dated && !edits.is_some_and(|edits| removes(edits, b"date")) {
        parts.date.append(output);
    }
    encode::framing(output, parts.framing);
    match head.upgrade.filter(|_| head.status == 101) {
        Some(protocol) => {
            output.extend_from_slice(b"connection: upgrade\r\n");
            encode::field(output, b"upgrade", head.fields.slice(protocol));
        }
        None => connection(output, parts.persistence, parts.version),
    }
    output.extend_from_slice(b"\r\n");
}

/// What a response says of caching, as the route changes it.
fn caching(head: &ResponseHead, edits: Option<&HeaderEdits>) -> Vec<u8> {
    let is_kept = !edits.is_some_and(|edits| removes(edits, b"cache-control"));
    let received = head.fields.named("cache-control").filter(|_| is_kept);
    let edited = edits.into_iter().flat_map(|edits| edits.set.iter().chain(&edits.add));
    let edited = edited.filter(|(name, _)| name.eq_ignore_ascii_case("cache-control"));
    received.chain(edited.map(|(_, value)| value.as_bytes())).collect::<Vec<_>>().join(&b", "[..])
}

/// Appends an interim response (RFC 9110 §15.2).
pub(crate) fn interim(output: &mut Vec<u8>, head: &ResponseHead) {
    status_line(output, head.status, head.reason_text());
    encode::forwarded_fields(output, &head.fields, |_, _, _| false);
    output.extend_from_slice(b"\r\n");
}

/// Appends the status line.
pub(crate) fn status_line(output: &mut Vec<u8>, status: u16, reason: &[u8]) {
    output.extend_from_slice(b"HTTP/1.1 ");
    encode::decimal(output, u64::from(status));
    output.push(b' ');
    output.extend_from_slice(if reason.is_empty() { phrase(status).as_bytes() } else { reason });
    output.extend_from_slice(b"\r\n");
}

/// Appends what becomes of the connection, where the version does not imply it.
pub(crate) fn connection(output: &mut Vec<u8>, persistence: Persistence, version: Version) {
    match (persistence, version) {
        (Persistence::Close, _) => output.extend_from_slice(b"connection: close\r\n"),
        (Persistence::KeepAlive, Version::Http10) => output.extend_from_slice(b"connection: keep-alive\r\n"),
        (Persistence::KeepAlive, Version::Http11) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_stripped_by_segments() {
        for (path, prefix, expected) in
            [("/api/x", "/api", "/x"), ("/api", "/api", ""), ("/apix", "/api", "/apix"), ("/a", "/api", "/a")]
        {
            assert_eq!(strip_prefix(path.as_bytes(), prefix.as_bytes()), expected.as_bytes(), "{path}");
        }
    }
}
