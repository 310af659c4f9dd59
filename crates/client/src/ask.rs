//! One HTTP exchange with a registry.
//!
//! Each has a connection of its own: a registry serves a thousand connections at a time, and far more instances than that
//! beat every few seconds.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::registry::Token;
use crate::url::RegistryUrl;

/// What is asked of a registry.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why a registry has not done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there, or the name cannot be looked up. To be tried again.
    #[error("cannot connect to {registry}: {source}")]
    Connect {
        /// Who was asked.
        registry: RegistryUrl,
        /// What the system says.
        source: io::Error,
    },
    /// There was no whole answer in time. To be tried again.
    #[error("no answer from {registry} within {} ms", .within.as_millis())]
    Late {
        /// Who was asked.
        registry: RegistryUrl,
        /// How long it was waited for.
        within: Duration,
    },
    /// The answer is not HTTP, breaks off, is too large, or is not what a registry answers. To be tried again.
    #[error("broken answer from {registry}: {source}")]
    Broken {
        /// Who was asked.
        registry: RegistryUrl,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A whole answer: no. Whether to try again depends on the [`Problem`].
    #[error("{registry} refuses: {problem}")]
    Refused {
        /// Who was asked.
        registry: RegistryUrl,
        /// Why.
        problem: Problem,
    },
}

/// What a registry says in place of what it was asked for (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {detail}")]
pub struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// The registry's word for it, like `address` or `stale_epoch`; empty where somebody else has answered.
    pub code: String,
    /// The same for people.
    pub detail: String,
    /// When to try again.
    pub(crate) after: Option<Duration>,
    /// When to register again.
    pub(crate) re_register_after: Option<Duration>,
}

impl Question {
    pub(crate) fn new(method: Method, target: String) -> Self {
        Question { method, target, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(crate) fn json(method: Method, target: String, body: Vec<u8>) -> Self {
        let mut question = Question::new(method, target);
        question.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        question.body = body.into();
        question
    }

    /// Asks for a JSON document, with a deadline for everything together.
    pub(crate) async fn document<T: DeserializeOwned>(
        &self,
        registry: &RegistryUrl,
        token: Option<&Token>,
        within: Duration,
    ) -> Result<T, AskError> {
        let body = self.ask(registry, token, within).await?;
        serde_json::from_slice(&body)
            .map_err(|error| AskError::Broken { registry: registry.clone(), source: error.into() })
    }

    /// The same for any body.
    pub(crate) async fn ask(
        &self,
        registry: &RegistryUrl,
        token: Option<&Token>,
        within: Duration,
    ) -> Result<Bytes, AskError> {
        let whole = async {
            let response = self.send(registry, token).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await;
            let body =
                body.map_err(|source| AskError::Broken { registry: registry.clone(), source })?.to_bytes();
            match head.status.is_success() {
                true => Ok(body),
                false => Err(AskError::Refused {
                    registry: registry.clone(),
                    problem: Problem::parse(head.status, &head.headers, &body),
                }),
            }
        };
        let late = |_| AskError::Late { registry: registry.clone(), within };
        tokio::time::timeout(within, whole).await.map_err(late)?
    }

    /// Asks for something without an end, with a deadline for its beginning.
    pub(crate) async fn begin(
        &self,
        registry: &RegistryUrl,
        token: Option<&Token>,
        within: Duration,
    ) -> Result<Incoming, AskError> {
        let begun = async {
            let response = self.send(registry, token).await?;
            if response.status().is_success() {
                return Ok(response.into_body());
            }
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            let problem = Problem::parse(head.status, &head.headers, &body);
            Err(AskError::Refused { registry: registry.clone(), problem })
        };
        let late = |_| AskError::Late { registry: registry.clone(), within };
        tokio::time::timeout(within, begun).await.map_err(late)?
    }

    async fn send(
        &self,
        registry: &RegistryUrl,
        token: Option<&Token>,
    ) -> Result<Response<Incoming>, AskError> {
        let broken =
            |source: hyper::Error| AskError::Broken { registry: registry.clone(), source: source.into() };
        let stream = TcpStream::connect(registry.authority()).await;
        let stream = stream.map_err(|source| AskError::Connect { registry: registry.clone(), source })?;
        // Questions are single small writes: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(broken)?;
        // It ends with the answer's body, or with whoever gives that up; what goes wrong is told there.
        tokio::spawn(connection);
        sender.send_request(self.request(registry, token)).await.map_err(broken)
    }

    fn request(&self, registry: &RegistryUrl, token: Option<&Token>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.parse().expect("targets are made of encoded names");
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(registry.authority());
        headers.insert(HOST, host.expect("an authority is visible ASCII"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.header());
        }
        request
    }
}

impl AskError {
    /// What the registry said, if it has said anything.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            AskError::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Whether another registry may know better.
    pub(crate) fn is_of_the_server(&self) -> bool {
        self.problem().is_none_or(|problem| problem.status >= 500)
    }
}

impl Problem {
    fn parse(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let document: ProblemDocument = serde_json::from_slice(body).unwrap_or_default();
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Problem {
            status: status.as_u16(),
            code: document.code,
            detail: document.detail,
            after: document.retry_after_ms.map(Duration::from_millis).or(seconds.map(Duration::from_secs)),
            re_register_after: document.re_register_after_ms.map(Duration::from_millis),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct ProblemDocument {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
    retry_after_ms: Option<u64>,
    re_register_after_ms: Option<u64>,
}

/// A segment of a path or a value of a query, percent-encoded (RFC 3986 §2.3: all but the unreserved characters).
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// Answers about a single instance and problem documents have a few hundred bytes.
const LARGEST_ANSWER: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_read_as_far_as_they_go() {
        let check =
            |status: u16, retry_after: &str, body: &str, code: &str, times: (Option<u64>, Option<u64>)| {
                let mut headers = HeaderMap::new();
                headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).expect("a value"));
                let status = StatusCode::from_u16(status).expect("a status");
                let problem = Problem::parse(status, &headers, body.as_bytes());
                let found = (problem.after, problem.re_register_after);
                let expected = (times.0.map(Duration::from_millis), times.1.map(Duration::from_millis));
                assert_eq!((&*problem.code, found), (code, expected), "{body}");
            };
        check(404, "", r#"{"code":"unknown","re_register_after_ms":7031}"#, "unknown", (None, Some(7031)));
        check(429, "2", r#"{"code":"rate","detail":"x","retry_after_ms":1400}"#, "rate", (Some(1400), None));
        check(503, "60", r#"{"code":"full"}"#, "full", (Some(60_000), None));
        check(502, " 3 ", "<html>a proxy</html>", "", (Some(3000), None));
        check(503, "Wed, 21 Oct 2015 07:28:00 GMT", "", "", (None, None));
        check(503, "-1", "[]", "", (None, None));
    }

    #[test]
    fn names_cannot_leave_their_segment() {
        assert_eq!(encoded("web-1.eu_west~"), "web-1.eu_west~");
        assert_eq!(encoded("a:1?b#c%d&e"), "a%3A1%3Fb%23c%25d%26e");
    }
}
