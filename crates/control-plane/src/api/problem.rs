//! Errors in the form of RFC 9457 (`application/problem+json`), and the one table that maps them to status codes.

use std::time::Duration;

use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::body::Body;
use crate::registry::Failure;
use crate::state::Refusal;

/// What kind of problem it is. The words are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    NotFound,
    Method,
    Encoding,
    Name,
    Query,
    Header,
    Json,
    Invalid,
    TooLarge,
    Incomplete,
    Unauthorized,
    Forbidden,
    Host,
    Address,
    NotYours,
    Unknown,
    StaleEpoch,
    Precondition,
    Rate,
    Full,
    Store,
    Overload,
    Ending,
    Malformed,
    HeadTooLarge,
    TargetTooLong,
}

/// Why a request is not answered as its sender wished.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    detail: String,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Code {
    pub(super) const ALL: [(Code, &'static str, StatusCode); 26] = [
        (Code::NotFound, "not_found", StatusCode::NOT_FOUND),
        (Code::Method, "method", StatusCode::METHOD_NOT_ALLOWED),
        (Code::Encoding, "encoding", StatusCode::BAD_REQUEST),
        (Code::Name, "name", StatusCode::BAD_REQUEST),
        (Code::Query, "query", StatusCode::BAD_REQUEST),
        (Code::Header, "header", StatusCode::BAD_REQUEST),
        (Code::Json, "json", StatusCode::BAD_REQUEST),
        (Code::Invalid, "invalid", StatusCode::UNPROCESSABLE_ENTITY),
        (Code::TooLarge, "too_large", StatusCode::PAYLOAD_TOO_LARGE),
        (Code::Incomplete, "incomplete", StatusCode::REQUEST_TIMEOUT),
        (Code::Unauthorized, "unauthorized", StatusCode::UNAUTHORIZED),
        (Code::Forbidden, "forbidden", StatusCode::FORBIDDEN),
        (Code::Host, "host", StatusCode::FORBIDDEN),
        (Code::Address, "address", StatusCode::FORBIDDEN),
        (Code::NotYours, "not_yours", StatusCode::FORBIDDEN),
        (Code::Unknown, "unknown", StatusCode::NOT_FOUND),
        (Code::StaleEpoch, "stale_epoch", StatusCode::CONFLICT),
        (Code::Precondition, "precondition", StatusCode::PRECONDITION_FAILED),
        (Code::Rate, "rate", StatusCode::TOO_MANY_REQUESTS),
        (Code::Full, "full", StatusCode::SERVICE_UNAVAILABLE),
        (Code::Store, "store", StatusCode::SERVICE_UNAVAILABLE),
        (Code::Overload, "overload", StatusCode::SERVICE_UNAVAILABLE),
        (Code::Ending, "ending", StatusCode::SERVICE_UNAVAILABLE),
        (Code::Malformed, "malformed", StatusCode::BAD_REQUEST),
        (Code::HeadTooLarge, "head_too_large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (Code::TargetTooLong, "target_too_long", StatusCode::URI_TOO_LONG),
    ];

    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        Code::ALL[self as usize].1
    }

    pub(super) fn status(self) -> StatusCode {
        Code::ALL[self as usize].2
    }

    /// Whether someone wanted what is not theirs to want.
    pub(super) fn is_of_authorisation(self) -> bool {
        matches!(self, Code::Unauthorized | Code::Forbidden | Code::Host | Code::Address | Code::NotYours)
    }
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let mut problem = Problem { code, detail: detail.into(), more: Map::new(), headers: Vec::new() };
        match code {
            Code::Unauthorized => {
                problem.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Code::Full => problem.headers.push((RETRY_AFTER, HeaderValue::from_static("60"))),
            Code::Store | Code::Overload | Code::Ending => {
                problem.headers.push((RETRY_AFTER, HeaderValue::from_static("1")))
            }
            _ => {}
        }
        problem
    }

    /// A value of a body that cannot be, and where it is (RFC 6901).
    pub(super) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Problem::new(Code::Invalid, detail).with("pointer", pointer.into())
    }

    /// The path is there, the method is not.
    pub(super) fn method(allowed: &str) -> Self {
        let mut problem = Problem::new(Code::Method, format!("this path takes {allowed}"));
        problem.headers.extend(HeaderValue::from_str(allowed).ok().map(|allowed| (ALLOW, allowed)));
        problem
    }

    /// Says one thing more.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Says when to come again.
    pub(super) fn after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        self.headers.retain(|(name, _)| name != RETRY_AFTER);
        self.headers.push((RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX))));
        self.with("retry_after_ms", u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }

    /// And the connection is not kept for another request.
    pub(super) fn closing(mut self) -> Self {
        self.headers.push((CONNECTION, HeaderValue::from_static("close")));
        self
    }

    /// What is said of it.
    pub(super) fn document(&self) -> String {
        let status = self.code.status();
        let mut document = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": self.code.as_str(),
            "detail": self.detail,
        });
        if let Some(members) = document.as_object_mut() {
            members.extend(self.more.clone());
        }
        format!("{document}\n")
    }

    /// Where in the body it is.
    #[cfg(test)]
    pub(super) fn pointer(&self) -> Option<&str> {
        self.more.get("pointer").and_then(Value::as_str)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        match failure {
            Failure::Store => Problem::new(Code::Store, text),
            Failure::Overload => Problem::new(Code::Overload, text),
            Failure::Ending => Problem::new(Code::Ending, text),
            Failure::Refused(refusal) => match refusal {
                Refusal::Unknown => Problem::new(Code::Unknown, text),
                Refusal::StaleEpoch { current } => {
                    Problem::new(Code::StaleEpoch, text).with("epoch", current.0)
                }
                Refusal::NotYours => Problem::new(Code::NotYours, text),
                Refusal::IsOut => Problem::new(Code::Forbidden, text),
                Refusal::NotAsExpected { found } => {
                    let problem = Problem::new(Code::Precondition, text);
                    found.into_iter().fold(problem, |problem, found| problem.with("sequence", found.0))
                }
                Refusal::Past => Problem::invalid("/until", text),
                Refusal::Full { .. } => Problem::new(Code::Full, text),
            },
        }
    }
}

impl From<Problem> for Response<Body> {
    fn from(problem: Problem) -> Self {
        let mut response = Response::new(Body::whole(problem.document()));
        *response.status_mut() = problem.code.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(problem.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_registry_have_their_problems() {
        let check = |failure: Failure, code: Code, retry: &str| {
            let problem = Problem::from(failure);
            assert_eq!(problem.code, code, "{failure:?}");
            let response = Response::<Body>::from(problem);
            let found = response.headers().get(RETRY_AFTER).map(|value| value.to_str().expect("a text"));
            assert_eq!((response.status(), found.unwrap_or_default()), (code.status(), retry), "{failure:?}");
        };
        let current = crate::state::Epoch(3);
        check(Failure::Store, Code::Store, "1");
        check(Failure::Overload, Code::Overload, "1");
        check(Failure::Ending, Code::Ending, "1");
        check(
            Failure::Refused(Refusal::Full { most: 1, of: crate::state::Room::Instances }),
            Code::Full,
            "60",
        );
        check(Failure::Refused(Refusal::Unknown), Code::Unknown, "");
        check(Failure::Refused(Refusal::StaleEpoch { current }), Code::StaleEpoch, "");
        check(Failure::Refused(Refusal::NotYours), Code::NotYours, "");
        check(Failure::Refused(Refusal::IsOut), Code::Forbidden, "");
        check(Failure::Refused(Refusal::NotAsExpected { found: None }), Code::Precondition, "");
        check(Failure::Refused(Refusal::Past), Code::Invalid, "");
    }

    #[test]
    fn the_table_is_in_the_order_of_the_codes() {
        for (place, (code, word, status)) in Code::ALL.into_iter().enumerate() {
            assert_eq!((code as usize, code.as_str()), (place, word));
            assert!(status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE, "{word}");
        }
    }
}
