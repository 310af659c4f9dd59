//! Why a request ended as it did: one table of stable tokens and the status each one becomes.

use crate::http1::error::ParseError;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $status:literal $token:literal,)*) => {
        /// The end of a request or a TCP connection; everything but [`Reason::Ok`] is counted in
        /// `fulcrum_http_errors_total` or `fulcrum_tcp_errors_total`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The status that the downstream sees, where it still can.
            pub fn status(self) -> u16 {
                match self { $(Reason::$name => $status,)* }
            }

            /// The token of logs and metrics.
            pub fn token(self) -> &'static str {
                match self { $(Reason::$name => $token,)* }
            }
        }
    };
}

reasons! {
    /// Answered by the upstream or by a route.
    Ok = 200 "ok",
    /// See [`ParseError::MalformedFirstLine`].
    MalformedRequestLine = 400 "malformed_request_line",
    /// See [`ParseError::MalformedHeader`].
    MalformedHeader = 400 "malformed_header",
    /// See [`ParseError::BareLineEnding`].
    BareLineEnding = 400 "bare_line_ending",
    /// See [`ParseError::ObsoleteFold`].
    ObsoleteFold = 400 "obsolete_fold",
    /// See [`ParseError::InvalidHost`].
    InvalidHost = 400 "invalid_host",
    /// See [`ParseError::HostMismatch`].
    HostMismatch = 400 "host_mismatch",
    /// See [`ParseError::InvalidContentLength`].
    InvalidContentLength = 400 "invalid_content_length",
    /// See [`ParseError::InvalidTransferEncoding`].
    InvalidTransferEncoding = 400 "invalid_transfer_encoding",
    /// See [`ParseError::ConflictingFraming`].
    ConflictingFraming = 400 "conflicting_framing",
    /// See [`ParseError::InvalidChunk`].
    InvalidChunk = 400 "invalid_chunk",
    /// See [`ParseError::InvalidPath`].
    InvalidPath = 400 "invalid_path",
    /// See [`ParseError::UnderscoreInFieldName`].
    UnderscoreInFieldName = 400 "underscore_in_field_name",
    /// See [`ParseError::BodyNotAllowed`].
    BodyNotAllowed = 400 "body_not_allowed",
    /// See [`ParseError::UnsupportedUpgrade`].
    UnsupportedUpgrade = 400 "unsupported_upgrade",
    /// No route matches.
    NoRoute = 404 "no_route",
    /// The head did not arrive in time.
    HeaderTimeout = 408 "header_timeout",
    /// The body stopped arriving, or trickled.
    BodyTimeout = 408 "body_timeout",
    /// Longer than `http.body`.
    BodyTooLarge = 413 "body_too_large",
    /// See [`ParseError::RequestLineTooLong`].
    RequestLineTooLong = 414 "request_line_too_long",
    /// See [`ParseError::UnsupportedExpectation`].
    UnsupportedExpectation = 417 "unsupported_expectation",
    /// See [`ParseError::HeadersTooLarge`].
    HeadersTooLarge = 431 "headers_too_large",
    /// The client went away; nobody sees the status.
    ClientClosed = 499 "client_closed",
    /// The client took nothing of the response for too long; nobody sees the status.
    ClientStalled = 499 "client_stalled",
    /// A panic in the proxy itself ended the connection: counted, not in the access log.
    Internal = 500 "internal",
    /// CONNECT.
    MethodNotSupported = 501 "method_not_supported",
    /// No upstream accepted a connection.
    ConnectRefused = 502 "connect_refused",
    /// A connection could not be made for another cause.
    ConnectFailed = 502 "connect_failed",
    /// The upstream broke the connection before a response.
    UpstreamReset = 502 "upstream_reset",
    /// The upstream closed the connection before a response.
    UpstreamClosed = 502 "upstream_closed",
    /// The response breaks the parsing rules.
    InvalidResponse = 502 "invalid_response",
    /// The response ended before its announced end.
    TruncatedResponse = 502 "truncated_response",
    /// 101 where nobody asked for it.
    UnexpectedUpgrade = 502 "unexpected_upgrade",
    /// The check of the endpoint began to fail before a response, and the request could be sent nowhere else.
    EndpointDown = 503 "endpoint_down",
    /// The upstream answered 503, and the request could be sent nowhere else (`retry.on: unavailable`).
    UpstreamUnavailable = 503 "upstream_unavailable",
    /// The service has no endpoint that may be tried.
    NoEndpoint = 503 "no_endpoint",
    /// Every endpoint of the service is full, and so is its queue (`limits.queue.max`).
    QueueFull = 503 "queue_full",
    /// No endpoint had a place for the request in time (`limits.queue.timeout`).
    QueueTimeout = 503 "queue_timeout",
    /// This host has no file descriptor, port or memory for another connection.
    NoResources = 503 "no_resources",
    /// The process is short of memory (`overload.memory`).
    Overload = 503 "overload",
    /// The endpoint of a connection or a long response was removed or drained, and its time was over
    /// (`drain.timeout`): cut, not answered with 503.
    DrainTimeout = 503 "drain_timeout",
    /// The daemon ended before the request did (`shutdown.deadline`): counted, not in the access log.
    Shutdown = 503 "shutdown",
    /// The upstream did not accept a connection in time.
    ConnectTimeout = 504 "connect_timeout",
    /// No response head in time.
    ResponseHeaderTimeout = 504 "response_header_timeout",
    /// The response stopped in its body, or the upstream stopped taking the request.
    ResponseIdleTimeout = 504 "response_idle_timeout",
    /// An upgraded connection was idle for too long; nobody sees the status.
    StreamIdleTimeout = 504 "stream_idle_timeout",
    /// Not HTTP/1.0 or HTTP/1.1.
    UnsupportedVersion = 505 "unsupported_version",
}

impl Reason {
    /// Where the reason stands in [`Reason::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Whether the connection ended before a response: it may have been closed while nobody used it.
    pub(crate) fn is_broken_connection(self) -> bool {
        matches!(self, Reason::UpstreamReset | Reason::UpstreamClosed)
    }

    /// Whether the upstream is to blame, for the endpoint's counters.
    pub(crate) fn is_upstream_fault(self) -> bool {
        matches!(
            self,
            Reason::ConnectRefused
                | Reason::ConnectFailed
                | Reason::ConnectTimeout
                | Reason::UpstreamReset
                | Reason::UpstreamClosed
                | Reason::InvalidResponse
                | Reason::TruncatedResponse
                | Reason::UnexpectedUpgrade
                | Reason::ResponseHeaderTimeout
                | Reason::ResponseIdleTimeout
                | Reason::EndpointDown
                | Reason::UpstreamUnavailable
        )
    }
}

impl From<ParseError> for Reason {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::MalformedFirstLine => Reason::MalformedRequestLine,
            ParseError::UnsupportedVersion => Reason::UnsupportedVersion,
            ParseError::MalformedHeader => Reason::MalformedHeader,
            ParseError::BareLineEnding => Reason::BareLineEnding,
            ParseError::ObsoleteFold => Reason::ObsoleteFold,
            ParseError::InvalidHost => Reason::InvalidHost,
            ParseError::HostMismatch => Reason::HostMismatch,
            ParseError::InvalidContentLength => Reason::InvalidContentLength,
            ParseError::InvalidTransferEncoding => Reason::InvalidTransferEncoding,
            ParseError::ConflictingFraming => Reason::ConflictingFraming,
            ParseError::InvalidChunk => Reason::InvalidChunk,
            ParseError::InvalidPath => Reason::InvalidPath,
            ParseError::UnderscoreInFieldName => Reason::UnderscoreInFieldName,
            ParseError::BodyNotAllowed => Reason::BodyNotAllowed,
            ParseError::UnsupportedUpgrade => Reason::UnsupportedUpgrade,
            ParseError::UnsupportedExpectation => Reason::UnsupportedExpectation,
            ParseError::RequestLineTooLong => Reason::RequestLineTooLong,
            ParseError::HeadersTooLarge => Reason::HeadersTooLarge,
            ParseError::InvalidStatus => Reason::InvalidResponse,
        }
    }
}

/// The phrase of a status code (RFC 9110 §15).
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unique_and_indexed() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert_eq!(Reason::ALL.iter().filter(|other| other.token() == reason.token()).count(), 1);
            assert!(!phrase(reason.status()).is_empty() || reason.status() == 499);
        }
    }
}
