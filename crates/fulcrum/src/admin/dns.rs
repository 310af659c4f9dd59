//! What of DNS is asked through the admin: its place in the API, and its questions.

use std::borrow::Cow;

use bytes::Bytes;
use fulcrum_gslb::explain::{Question as Explained, network};
use fulcrum_model::RecordType;
use http_body_util::Full;
use hyper::{Method, Response};

use super::order::decoded;
use super::problem::Problem;
use super::{Question, READING, json};
use crate::gslb::Answering;

/// A thing of the responder that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DnsResource {
    /// Why a name is answered as it is.
    Explain,
}

impl DnsResource {
    pub(super) fn find(path: &str) -> Option<Self> {
        match path {
            "/v1/explain/dns" => Some(DnsResource::Explain),
            _ => None,
        }
    }

    pub(super) fn check_method(&self, method: &Method) -> Result<(), Problem> {
        match self {
            _ if [Method::GET, Method::HEAD].contains(method) => Ok(()),
            DnsResource::Explain => Err(Problem::Method(READING)),
        }
    }

    pub(super) fn serve(
        self,
        answering: &Answering,
        question: &Question<'_>,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        match self {
            DnsResource::Explain => {
                let asked = explained(question.query.unwrap_or_default()).map_err(Problem::Body)?;
                json(&answering.explain(&asked).ok_or(Problem::NoDns)?)
            }
        }
    }
}

/// `name=www.example.com&type=AAAA&from=203.0.113.9`.
fn explained(query: &str) -> Result<Explained, String> {
    let (mut name, mut record_type, mut from) = (None, RecordType::A, None);
    for (key, value) in parameters(query) {
        let value = value.ok_or_else(|| format!("{key} is not percent-encoded"))?;
        let wrong = |error: &dyn std::fmt::Display| format!("{key} {value:?}: {error}");
        match &*key {
            "name" => name = Some(value.parse().map_err(|error| wrong(&error))?),
            "type" => record_type = value.parse().map_err(|error| wrong(&error))?,
            "from" => from = Some(network(&value).ok_or_else(|| wrong(&"it is no address and no network"))?),
            _ => return Err(format!("the query has name, type and from, not {key:?}")),
        }
    }
    match (name, from) {
        (Some(name), Some(from)) => Ok(Explained { name, record_type, from }),
        _ => Err("the query needs name and from".to_owned()),
    }
}

/// The parameters of a query in order; without a value where that cannot be decoded.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Option<String>)> {
    query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (key.into(), decoded(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_strictly() {
        let check = |query: &str, expected: Result<&str, &str>| match (explained(query), expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(
                    format!("{} {} {}", found.name, found.record_type, found.from),
                    expected,
                    "{query}"
                );
            }
            (Err(text), Err(part)) => assert!(text.contains(part), "{query}: {text}"),
            other => panic!("{query}: {other:?}"),
        };
        check("name=www.example.com&from=203.0.113.9", Ok("www.example.com. A 203.0.113.9/32"));
        check("name=WWW.a&type=aaaa&from=2001%3Adb8%3A%3A9%2F48", Ok("www.a. AAAA 2001:db8::/48"));
        check("name=a&type=TYPE666&from=0.0.0.0/0", Ok("a. TYPE666 0.0.0.0/0"));
        check("name=a", Err("needs name and from"));
        check("from=192.0.2.1", Err("needs name and from"));
        check("name=a..b&from=192.0.2.1", Err("two dots"));
        check("name=a&from=here", Err("no address and no network"));
        check("name=a&from=192.0.2.1/33", Err("no address and no network"));
        check("name=a&from=192.0.2.1&type=NOPE", Err("type \"NOPE\""));
        check("name=%zz&from=192.0.2.1", Err("percent"));
        check("name=a&from=192.0.2.1&subnet=1", Err("not \"subnet\""));
    }
}
