//! Errors of the admin API in the form of RFC 9457 (`application/problem+json`).

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

/// Why a question is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No such path.
    Unknown,
    /// The path is there, the method is not.
    Method,
    /// A token is needed, and this is not it.
    Unauthorized,
    /// Needs a token, and none is configured.
    NoToken,
    /// The daemon is not ready: it is ending.
    NotReady,
    /// A bug of ours; the diagnostics tell more.
    Internal,
}

impl Problem {
    fn status(self) -> StatusCode {
        match self {
            Problem::Unknown => StatusCode::NOT_FOUND,
            Problem::Method => StatusCode::METHOD_NOT_ALLOWED,
            Problem::Unauthorized => StatusCode::UNAUTHORIZED,
            Problem::NoToken => StatusCode::FORBIDDEN,
            Problem::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Problem::Unknown => "there are /metrics, /healthz, /readyz and /status",
            Problem::Method => "this can be read with GET and HEAD",
            Problem::Unauthorized => {
                "send the admin token as `Authorization: Bearer TOKEN`, or use the unix socket"
            }
            Problem::NoToken => {
                "over TCP this needs a token: set `admin.token` to \"file:/path\" in the configuration, \
                 or use the unix socket"
            }
            Problem::NotReady => "the daemon is shutting down",
            Problem::Internal => "this is a defect; the diagnostics of the daemon tell more",
        }
    }
}

impl From<Problem> for Response<Full<Bytes>> {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        let document = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": problem.detail(),
        });
        let mut response = Response::new(Full::from(format!("{document}\n")));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match problem {
            Problem::Method => headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD")),
            Problem::Unauthorized => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            _ => None,
        };
        response
    }
}
