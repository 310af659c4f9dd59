//! What of DNS is asked through the admin: its place in the API, and its questions.

use std::borrow::Cow;

use bytes::Bytes;
use fulcrum_gslb::explain::{Question as Explained, network};
use fulcrum_model::{RecordType, RegionName};
use http_body_util::Full;
use hyper::{Method, Response};

use super::order::decoded;
use super::problem::Problem;
use super::{Question, READING, RegionOrderDocument, json};
use crate::gslb::{Answering, RegionError};
use crate::instances::encoded;

/// A thing of the responder that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DnsResource {
    /// Why a name is answered as it is.
    Explain,
    /// What would happen if a region went down.
    RegionDown,
    /// What is ordered of a region, of any name.
    RegionOrder(String),
}

impl DnsResource {
    pub(super) fn find(path: &str) -> Option<Self> {
        match path {
            "/v1/explain/dns" => Some(DnsResource::Explain),
            "/v1/simulate/region-down" => Some(DnsResource::RegionDown),
            _ => {
                let region = path.strip_prefix(REGIONS)?.strip_suffix("/override")?;
                decoded(region).map(DnsResource::RegionOrder)
            }
        }
    }

    pub(super) fn check_method(&self, method: &Method) -> Result<(), Problem> {
        match self {
            DnsResource::RegionOrder(_) if [Method::PUT, Method::DELETE].contains(method) => Ok(()),
            DnsResource::RegionOrder(_) => Err(Problem::Method("PUT, DELETE")),
            _ if [Method::GET, Method::HEAD].contains(method) => Ok(()),
            DnsResource::Explain | DnsResource::RegionDown => Err(Problem::Method(READING)),
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
            DnsResource::RegionDown => {
                let region = region_down(question.query.unwrap_or_default()).map_err(Problem::Body)?;
                json(&answering.simulate_down(&region).map_err(problem)?)
            }
            DnsResource::RegionOrder(region) => {
                let order = match question.method == Method::PUT {
                    true => Some(order(question.body)?),
                    false => None,
                };
                json(&answering.order(&region, order).map_err(problem)?)
            }
        }
    }
}

fn problem(error: RegionError) -> Problem {
    match error {
        RegionError::NoDns => Problem::NoDns,
        RegionError::NoRegion { .. } => Problem::NoRegion(error.to_string()),
        RegionError::Refused(refused) => Problem::Body(refused.to_string()),
    }
}

/// The body of an order.
fn order(body: &[u8]) -> Result<RegionOrderDocument, Problem> {
    // Serde takes a list of values for a structure, too.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::Body("expected a JSON object".to_owned()));
    }
    let order: RegionOrderDocument =
        serde_json::from_slice(body).map_err(|error| Problem::Body(error.to_string()))?;
    match order.reason.chars().any(char::is_control) {
        true => Err(Problem::Body("a reason has characters that print".to_owned())),
        false => Ok(order),
    }
}

/// The path of a region's override.
pub(crate) fn region_target(region: &RegionName) -> String {
    format!("{REGIONS}{}/override", encoded(region.as_str()))
}

/// `region=eu`.
fn region_down(query: &str) -> Result<String, String> {
    match parameters(query).collect::<Vec<_>>().as_slice() {
        [(key, Some(region))] if key == "region" => Ok(region.clone()),
        _ => Err("the query is region=NAME".to_owned()),
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

const REGIONS: &str = "/v1/gslb/regions/";

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

    #[test]
    fn orders_for_regions_say_why_and_until_when() {
        let check = |body: &str, expected: Result<(), &str>| match (order(body.as_bytes()), expected) {
            (Ok(_), Ok(())) => {}
            (Err(Problem::Body(text)), Err(part)) => assert!(text.contains(part), "{body}: {text}"),
            other => panic!("{body}: {other:?}"),
        };
        check(r#"{"state":"drain","reason":"disk","until":"2099-01-01T00:00:00Z"}"#, Ok(()));
        check(r#"{"state":"drain","reason":"disk"}"#, Err("until"));
        check(r#"{"state":"drain","until":4070908800}"#, Err("reason"));
        check(r#"{"state":"gone","reason":"disk","until":4070908800}"#, Err("gone"));
        check(r#"{"state":"up","reason":"a\nb","until":4070908800}"#, Err("print"));
        check(r#"{"state":"up","reason":"a","until":4070908800,"weight":1}"#, Err("weight"));
        check("[]", Err("object"));
    }

    #[test]
    fn paths_name_regions() {
        let region: RegionName = "eu".parse().expect("a name");
        assert_eq!(
            DnsResource::find(&region_target(&region)),
            Some(DnsResource::RegionOrder("eu".to_owned()))
        );
        assert_eq!(DnsResource::find("/v1/gslb/regions/eu"), None);
        assert_eq!(DnsResource::find("/v1/gslb/regions/%zz/override"), None);
        assert_eq!(region_down("region=e%75"), Ok("eu".to_owned()));
        assert!(region_down("").is_err() && region_down("region=eu&all=1").is_err());
    }
}
