//! What can be wrong with the bytes of an HTTP/1 message.

/// A violation of the parsing rules; the name of each variant is its stable reason token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The first line is not `method SP target SP version`.
    #[error("malformed first line")]
    MalformedFirstLine,
    /// Not HTTP/1.0 or HTTP/1.1.
    #[error("unsupported HTTP version")]
    UnsupportedVersion,
    /// A field name or value with bytes it must not have.
    #[error("malformed header field")]
    MalformedHeader,
    /// LF without CR, or CR without LF.
    #[error("bare CR or LF")]
    BareLineEnding,
    /// A field line that continues on the next one (RFC 9112 §5.2).
    #[error("obsolete line folding")]
    ObsoleteFold,
    /// Host missing, repeated or malformed.
    #[error("missing, repeated or malformed Host")]
    InvalidHost,
    /// The authority of an absolute-form target is not Host.
    #[error("target and Host differ")]
    HostMismatch,
    /// Not one number, or several different ones.
    #[error("invalid Content-Length")]
    InvalidContentLength,
    /// Not exactly `chunked`, or in HTTP/1.0.
    #[error("invalid Transfer-Encoding")]
    InvalidTransferEncoding,
    /// Content-Length beside Transfer-Encoding (RFC 9112 §6.1).
    #[error("Content-Length and Transfer-Encoding")]
    ConflictingFraming,
    /// A chunk that is not `size [ext] CRLF data CRLF`, or a bad trailer section.
    #[error("invalid chunk")]
    InvalidChunk,
    /// Malformed escapes, or dot segments above the root.
    #[error("invalid path")]
    InvalidPath,
    /// CGI cannot tell `a_b` from `a-b`.
    #[error("underscore in a field name")]
    UnderscoreInFieldName,
    /// GET, HEAD or DELETE with a body in HTTP/1.0.
    #[error("a body where none is allowed")]
    BodyNotAllowed,
    /// Upgrade beside a body.
    #[error("Upgrade with a body")]
    UnsupportedUpgrade,
    /// Anything but `100-continue`.
    #[error("unsupported expectation")]
    UnsupportedExpectation,
    /// Longer than `http.request_line`.
    #[error("request line too long")]
    RequestLineTooLong,
    /// More or longer fields than `http.headers`, `http.header_field`, `http.header_count`.
    #[error("header block too large")]
    HeadersTooLarge,
    /// A status code outside 100 to 599.
    #[error("invalid status code")]
    InvalidStatus,
}
