//! The one message type of the data plane: routing, header rules, forwarding and the access log see this and nothing
//! of the protocol version underneath. A head is one buffer of text with ranges into it; both are reused.

use std::ops::Range;

use super::field::Known;

/// A range of a head's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The range `start..end` of a text that is at most 4 GiB long.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= u32::MAX as usize);
        Span { start: start as u32, end: end as u32 }
    }

    /// Where `part`, a slice of `whole`, stands in it.
    pub(crate) fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len());
        Span::new(start, start + part.len())
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One header field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: Span,
    pub(crate) value: Span,
    /// Which field it is, where the proxy treats it in its own way.
    pub(crate) known: Known,
}

/// Fields and the text they point into.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    pub(crate) text: Vec<u8>,
    pub(crate) list: Vec<Field>,
    /// `Connection` names fields beyond the usual ones: they are looked up while forwarding.
    pub(crate) nominates: bool,
}

impl Fields {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
        self.nominates = false;
    }

    pub(crate) fn slice(&self, span: Span) -> &[u8] {
        &self.text[span.range()]
    }

    /// Name, value and kind of every field, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], Known)> {
        self.list.iter().map(|field| (self.slice(field.name), self.slice(field.value), field.known))
    }

    /// The values of all fields of one kind.
    pub(crate) fn known(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.list.iter().filter(move |field| field.known == known).map(|field| self.slice(field.value))
    }

    /// The values of all fields with this name.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.list
            .iter()
            .filter(move |field| self.slice(field.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.slice(field.value))
    }
}

/// HTTP versions of RFC 9112.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    Http10,
    #[default]
    Http11,
}

impl Version {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }
}

/// What becomes of a connection behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Another may follow.
    KeepAlive,
    /// It is the last.
    Close,
}

/// Methods that change how a message is treated; the text is in [`RequestHead::method_text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Trace,
    Connect,
    Other,
}

impl Method {
    pub(crate) fn from_bytes(text: &[u8]) -> Self {
        match text {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            _ => Method::Other,
        }
    }

    /// RFC 9110 §9.2.2: a second delivery changes nothing.
    pub(crate) fn is_idempotent(self) -> bool {
        !matches!(self, Method::Post | Method::Connect | Method::Other)
    }
}

/// How the length of a body is known (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body, and nothing said about one.
    #[default]
    None,
    /// `Content-Length`, possibly zero.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// A response body that ends with its connection.
    UntilClose,
}

/// The head of a request.
#[derive(Debug, Default)]
pub(crate) struct RequestHead {
    pub(crate) fields: Fields,
    pub(crate) method: Method,
    pub(crate) method_span: Span,
    /// The target as received.
    pub(crate) target: Span,
    /// The path as received; `*` for asterisk-form.
    pub(crate) path: Span,
    /// Without the `?`.
    pub(crate) query: Option<Span>,
    /// `host[:port]` as received, from the target in absolute-form, else from Host; empty without either.
    pub(crate) authority: Span,
    /// Lower-case, without port and final dot.
    pub(crate) host: String,
    /// The normalised path; what is matched is what is forwarded.
    pub(crate) normal_path: Vec<u8>,
    pub(crate) version: Version,
    pub(crate) framing: Framing,
    /// What the downstream wants of its connection.
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    /// The protocol asked for by `Upgrade`, when `Connection` names it too.
    pub(crate) upgrade: Option<Span>,
    /// `TE: trailers`, or gRPC, which needs them.
    pub(crate) accepts_trailers: bool,
    /// gRPC: its body may be silent for long.
    pub(crate) is_stream: bool,
}

impl RequestHead {
    pub(crate) fn clear(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        let host = std::mem::take(&mut self.host);
        let normal_path = std::mem::take(&mut self.normal_path);
        *self = RequestHead { fields, host, normal_path, ..RequestHead::default() };
        self.fields.clear();
        self.host.clear();
        self.normal_path.clear();
    }

    pub(crate) fn method_text(&self) -> &[u8] {
        self.fields.slice(self.method_span)
    }

    pub(crate) fn target_text(&self) -> &[u8] {
        self.fields.slice(self.target)
    }

    pub(crate) fn authority_text(&self) -> &[u8] {
        self.fields.slice(self.authority)
    }

    pub(crate) fn query_text(&self) -> &[u8] {
        self.query.map_or(&[], |query| self.fields.slice(query))
    }

    /// `OPTIONS *` asks about the server, not about a path.
    pub(crate) fn is_asterisk(&self) -> bool {
        self.normal_path == b"*"
    }
}

/// The head of a response.
#[derive(Debug, Default)]
pub(crate) struct ResponseHead {
    pub(crate) fields: Fields,
    pub(crate) status: u16,
    pub(crate) reason: Span,
    pub(crate) version: Version,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    /// The protocol that a 101 switches to.
    pub(crate) upgrade: Option<Span>,
    /// Server-sent events and gRPC may be silent for long.
    pub(crate) is_stream: bool,
}

impl ResponseHead {
    pub(crate) fn clear(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        *self = ResponseHead { fields, ..ResponseHead::default() };
        self.fields.clear();
    }

    pub(crate) fn reason_text(&self) -> &[u8] {
        self.fields.slice(self.reason)
    }
}
