//! One question to a registry, with the token where there is one.

use std::env;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use serde_json::Value;

use crate::ask::{self, AskError};
use crate::cli::RegistryOptions;
use crate::client::{ANSWER_WITHIN, Reply};

/// What is asked of a registry.
#[derive(Debug)]
pub(super) struct Question {
    method: Method,
    target: String,
    separator: char,
    body: Bytes,
}

impl Question {
    pub(super) fn new(method: Method, path: &str) -> Self {
        Question { method, target: path.to_owned(), separator: '?', body: Bytes::new() }
    }

    /// One more parameter of the query.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.target.push(self.separator);
        self.target += &format!("{}={}", encoded(name), encoded(value));
        self.separator = '&';
    }

    pub(super) fn with_body(self, body: &Value) -> Self {
        Question { body: body.to_string().into(), ..self }
    }

    /// As it is sent.
    pub(super) fn request(self, options: &RegistryOptions) -> Result<Request<Full<Bytes>>, AskError> {
        let token = match &options.token {
            Some(file) => Some(format!("file:{}", file.0.display())),
            None => env::var(TOKEN).ok(),
        };
        let request = ask::request(self.method, &self.target, (TOKEN, token.as_deref()))?;
        let mut request = request.map(|_| Full::from(self.body));
        request
            .headers_mut()
            .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        Ok(request)
    }
}

/// Asks, and reads the whole answer.
pub(super) fn ask(options: &RegistryOptions, question: Question) -> Result<Reply, AskError> {
    ask::exchange(&options.registry, question.request(options)?, ANSWER_WITHIN)
}

/// A part of a path or a query, percent-encoded (RFC 3986 §2.1).
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => encoded.push(byte.into()),
            false => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// The token, unless `--token` names a file.
const TOKEN: &str = "FULCRUM_REGISTRY_TOKEN";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded() {
        let mut question = Question::new(Method::GET, "/v1/services");
        question.add("tag", "a&b=c d");
        question.add("meta.é", "50%");
        assert_eq!(question.target, "/v1/services?tag=a%26b%3Dc%20d&meta.%C3%A9=50%25");
    }
}
