//! One question to the admin of a running daemon, with the token where there is one.

use std::env;
use std::fmt::Display;
use std::fs;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, StatusCode};

use crate::client::{self, ExchangeError, Reply, ServerAddress};
use crate::exit::Exit;
use crate::output;

/// Why there is no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody answers.
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    /// The answer is a problem.
    #[error("the daemon refuses with {0}: {1}")]
    Refused(StatusCode, String),
    /// Somebody else answers.
    #[error("the answer is not that of a Fulcrum daemon of this version: {0}")]
    Foreign(#[from] serde_json::Error),
    /// The token cannot be read or sent.
    #[error("{0}")]
    Token(String),
    /// The system gives no reactor.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// Asks, and waits for the answer as long as `within`.
pub(crate) fn ask(
    address: &ServerAddress,
    method: Method,
    target: &str,
    within: Duration,
) -> Result<Reply, AskError> {
    tell(address, (method, target), Bytes::new(), within)
}

/// The same with something to say.
pub(crate) fn tell(
    address: &ServerAddress,
    (method, target): (Method, &str),
    body: Bytes,
    within: Duration,
) -> Result<Reply, AskError> {
    let request = request(method, target, (TOKEN, env::var(TOKEN).ok().as_deref()))?;
    exchange(address, request.map(|_| Full::from(body)), within)
}

/// Sends a request, and waits for the answer as long as `within`.
pub(crate) fn exchange(
    address: &ServerAddress,
    request: Request<Full<Bytes>>,
    within: Duration,
) -> Result<Reply, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(client::exchange_within(within, address, request))?)
}

/// With the token where there is one, and its name for a mistake; `file:/path` names a file that holds it.
pub(crate) fn request(
    method: Method,
    target: &str,
    (name, token): (&str, Option<&str>),
) -> Result<Request<Full<Bytes>>, AskError> {
    let mistake = |error: &dyn Display| AskError::Token(format!("{name}: {error}"));
    let mut builder = Request::builder().method(method).uri(target);
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        let token = match token.strip_prefix("file:") {
            Some(path) => fs::read_to_string(path).map_err(|error| mistake(&format!("{path}: {error}")))?,
            None => token.to_owned(),
        };
        builder = builder.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
    }
    builder.body(Full::default()).map_err(|error| mistake(&error))
}

impl AskError {
    /// For an answer that is none: the `detail` of a problem document, or whatever came instead of one.
    pub(crate) fn refused(reply: &Reply) -> Self {
        let problem = serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
        let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
        let detail =
            detail.map_or_else(|| String::from_utf8_lossy(&reply.body).trim().to_owned(), str::to_owned);
        AskError::Refused(reply.status, detail)
    }

    /// Says so on standard error; how the command ends.
    pub(crate) fn tell(&self) -> Exit {
        output::error_line(format_args!("error: {self}"));
        match self {
            AskError::Exchange(_) => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

/// The admin token, needed over http. An environment variable, because a process list shows command lines.
const TOKEN: &str = "FULCRUM_ADMIN_TOKEN";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_from_the_environment_or_a_file() {
        let field = |token| {
            request(Method::GET, "/status", (TOKEN, token))
                .map(|request| request.headers().get(AUTHORIZATION).cloned())
        };
        assert_eq!(field(None).expect("no token is fine"), None);
        assert_eq!(field(Some("")).expect("no token is fine"), None);
        assert_eq!(field(Some("s3cret")).expect("a token").expect("sent"), "Bearer s3cret");

        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "from-file\n").expect("written");
        let token = format!("file:{}", file.path().display());
        assert_eq!(field(Some(&token)).expect("a token").expect("sent"), "Bearer from-file");
        assert!(matches!(field(Some("file:/nowhere/token")), Err(AskError::Token(_))));
        assert!(matches!(field(Some("two\nlines")), Err(AskError::Token(_))));
    }
}
