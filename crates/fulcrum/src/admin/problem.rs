//! Errors of the admin API in the form of RFC 9457 (`application/problem+json`).

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::order::NoEndpoint;
use crate::reload::Mistakes;

/// Why a question is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No such path.
    Unknown,
    /// The path is there, the method is not: these are.
    Method(&'static str),
    /// The query makes no sense.
    Query,
    /// What was sent makes no sense, and why.
    Body(String),
    /// More was sent than anyone needs.
    TooLarge,
    /// What was sent did not come in time, or broke off.
    Incomplete,
    /// There is no such endpoint.
    NoEndpoint(NoEndpoint),
    /// This daemon answers no DNS.
    NoDns,
    /// There is no such region.
    NoRegion(String),
    /// A token is needed, and this is not it.
    Unauthorized,
    /// Needs a token, and none is configured.
    NoToken,
    /// The daemon is not ready: it is ending.
    NotReady,
    /// The configuration cannot be used.
    Refused(Mistakes),
    /// A bug of ours; the diagnostics tell more.
    Internal,
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Problem::Unknown | Problem::NoEndpoint(_) | Problem::NoDns | Problem::NoRegion(_) => {
                StatusCode::NOT_FOUND
            }
            Problem::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Problem::Query | Problem::Body(_) => StatusCode::BAD_REQUEST,
            Problem::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::Incomplete => StatusCode::REQUEST_TIMEOUT,
            Problem::Unauthorized => StatusCode::UNAUTHORIZED,
            Problem::NoToken => StatusCode::FORBIDDEN,
            Problem::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(&self) -> Cow<'static, str> {
        let text = match self {
            Problem::Body(cause) => return cause.clone().into(),
            Problem::NoEndpoint(cause) => return cause.to_string().into(),
            Problem::NoRegion(cause) => return cause.clone().into(),
            Problem::NoDns => "this daemon answers no DNS: its configuration has no `gslb`",
            Problem::Unknown => {
                "there are /metrics, /healthz, /readyz, /status, /v1/reload, /v1/explain/dns, /v1/simulate/region-down, \
                 /v1/gslb/regions/REGION/override and /v1/services/SERVICE/endpoints/ENDPOINT/override"
            }
            Problem::Method(_) => "this path takes other methods: see the field `Allow`",
            Problem::Query => "the query can be `wait=true` or `wait=false`",
            Problem::TooLarge => "a body has at most 16 KiB",
            Problem::Incomplete => "the body did not come whole within 10 s",
            Problem::Unauthorized => {
                "send the admin token as `Authorization: Bearer TOKEN`, or use the unix socket"
            }
            Problem::NoToken => {
                "over TCP this needs a token: set `admin.token` to \"file:/path\" in the configuration, \
                 or use the unix socket"
            }
            Problem::NotReady => "the daemon is shutting down",
            Problem::Refused(_) => "the configuration cannot be used; nothing has changed",
            Problem::Internal => "this is a defect; the diagnostics of the daemon tell more",
        };
        text.into()
    }
}

impl From<Problem> for Response<Full<Bytes>> {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        let mut document = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": problem.detail(),
        });
        if let Problem::Refused(mistakes) = &problem {
            document["errors"] = json!(mistakes.errors);
            document["text"] = json!(mistakes.text);
        }
        let mut response = Response::new(Full::from(format!("{document}\n")));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match problem {
            Problem::Method(allowed) => headers.insert(ALLOW, HeaderValue::from_static(allowed)),
            Problem::Unauthorized => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            _ => None,
        };
        response
    }
}
