//! Responses that the balancer gives by itself: errors, redirects, fixed ones.

use fulcrum_config::{HeaderEdits, Redirect, RedirectTarget};

use crate::connection::Connection;
use crate::http::error::{Reason, phrase};
use crate::http::headers;
use crate::http::message::{Framing, Method, Persistence, RequestHead};
use crate::http1::encode;

/// A response without an upstream.
pub(crate) struct Local<'a> {
    pub(crate) status: u16,
    pub(crate) fields: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
    /// What the route changes.
    pub(crate) edits: Option<&'a HeaderEdits>,
}

/// Encodes a response; what is to be sent of it is in the connection's output.
pub(crate) fn encode(
    connection: &mut Connection,
    head: &RequestHead,
    persistence: Persistence,
    local: &Local<'_>,
) {
    let worker = std::rc::Rc::clone(&connection.worker);
    let output = connection.server.wire.output();
    headers::status_line(output, local.status, b"");
    let is_date = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case("date");
    if !local.fields.iter().any(is_date) && !local.edits.is_some_and(|edits| headers::removes(edits, b"date"))
    {
        worker.date.append(output);
    }
    for (name, value) in local.fields {
        if !local.edits.is_some_and(|edits| headers::removes(edits, name.as_bytes())) {
            encode::field(output, name.as_bytes(), value.as_bytes());
        }
    }
    if let Some(edits) = local.edits {
        headers::append_edits(output, edits);
    }
    let has_body = !matches!(local.status, 204 | 304);
    if has_body {
        encode::framing(output, Framing::Length(local.body.len() as u64));
    }
    headers::connection(output, persistence, head.version);
    output.extend_from_slice(b"\r\n");
    if has_body && head.method != Method::Head {
        output.extend_from_slice(local.body.as_bytes());
        connection.server.sent += local.body.len() as u64;
    }
}

/// The body of an error response.
pub(crate) fn error_body(reason: Reason, request_id: &str) -> String {
    let status = reason.status();
    format!("{status} {}\nreason: {}\nrequest-id: {request_id}\n", phrase(status), reason.token())
}

/// Where a redirect leads.
pub(crate) fn location(redirect: &Redirect, head: &RequestHead) -> String {
    match &redirect.target {
        RedirectTarget::Https => {
            // The port of the plain listener is not the one of https.
            format!("https://{}{}", head.host, path_and_query(head))
        }
        RedirectTarget::Origin(origin) => format!("{origin}{}", path_and_query(head)),
        RedirectTarget::Location(location) => location.clone(),
    }
}

/// The target in origin-form. A request target has visible ASCII only, so that it can stand in a field.
pub(crate) fn path_and_query(head: &RequestHead) -> String {
    // `*` asks about the server as a whole: its place in a URL is the root.
    let path = if head.is_asterisk() { b"/" } else { head.normal_path.as_slice() };
    let mut target = String::from_utf8_lossy(path).into_owned();
    if head.query.is_some() {
        target.push('?');
        target.push_str(&String::from_utf8_lossy(head.query_text()));
    }
    target
}
