//! What is ordered of an endpoint at run time: its wire form, its place in the API, and the answer.

use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::SystemTime;

use fulcrum_config::EndpointState;
use fulcrum_data_plane::Override;
use fulcrum_model::{EndpointId, ServiceName, Weight};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::status::EndpointStatus;
use fulcrum_control_plane::timestamp::Timestamp;

/// Orders something of an endpoint, or clears what was ordered; how the endpoint is then, or nothing where it is not there.
pub(crate) type OrderAction =
    Box<dyn Fn(&EndpointPath, Option<Override>) -> Result<Option<EndpointStatus>, NoEndpoint> + Send + Sync>;

/// An endpoint among those of all services, written `SERVICE/ENDPOINT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointPath {
    pub(crate) service: ServiceName,
    pub(crate) endpoint: EndpointId,
}

/// There is no such endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoEndpoint {
    /// Nor such a service: these are.
    #[error("there is no service {service:?}: there {}", are(.known))]
    Service { service: String, known: Vec<String> },
    /// The service has these.
    #[error("{service} has no endpoint {endpoint:?}: there {}", are(.known))]
    Endpoint { service: String, endpoint: String, known: Vec<String> },
}

/// The body of an order, and `override` in `/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderDocument {
    #[serde(default)]
    pub(crate) state: Option<OrderedState>,
    #[serde(default)]
    pub(crate) weight: Option<NonZeroU16>,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) until: Option<Timestamp>,
}

/// [`EndpointState`] as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderedState {
    Up,
    Drain,
    Maintenance,
}

impl OrderDocument {
    /// Reads a body.
    pub(crate) fn parse(body: &[u8], now: SystemTime) -> Result<Override, Problem> {
        let document: OrderDocument =
            serde_json::from_slice(body).map_err(|error| Problem::Body(error.to_string()))?;
        let mistake = |text: &str| Err(Problem::Body(text.to_owned()));
        // Serde takes a list of values for a structure, too.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return mistake("expected a JSON object");
        }
        if document.state.is_none() && document.weight.is_none() {
            return mistake("it orders nothing: give `state`, `weight` or both");
        }
        let reason = document.reason.as_deref().unwrap_or_default();
        if reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control) {
            return mistake("a reason has at most 256 characters, all of which print");
        }
        if document.until.is_some_and(|until| until.0 <= now) {
            return mistake("`until` has passed already");
        }
        Ok(document.into())
    }
}

impl EndpointPath {
    /// From `/v1/services/SERVICE/endpoints/ENDPOINT/override`, percent-encoded; nothing where it is another path.
    pub(super) fn of_target(path: &str) -> Option<Result<Self, NoEndpoint>> {
        let both = path.strip_prefix("/v1/services/")?.strip_suffix("/override")?;
        // A service's name has no slash, so that those of an endpoint's id may stand as they are.
        let (service, endpoint) = both.split_once("/endpoints/")?;
        if service.contains('/') || endpoint.is_empty() {
            return None;
        }
        let (service, endpoint) = (decoded(service)?, decoded(endpoint)?);
        let Ok(service) = service.parse() else {
            return Some(Err(NoEndpoint::Service { service, known: Vec::new() }));
        };
        Some(match endpoint.parse() {
            Ok(endpoint) => Ok(EndpointPath { service, endpoint }),
            Err(_) => {
                let service = service.to_string();
                Err(NoEndpoint::Endpoint { service, endpoint, known: Vec::new() })
            }
        })
    }

    /// The path of its override.
    pub(crate) fn target(&self) -> String {
        let mut target = format!("/v1/services/{}/endpoints/", self.service);
        for byte in self.endpoint.as_str().bytes() {
            match byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte) {
                true => target.push(byte.into()),
                false => target += &format!("%{byte:02X}"),
            }
        }
        target + "/override"
    }
}

impl FromStr for EndpointPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, endpoint) =
            text.split_once('/').ok_or("expected SERVICE/ENDPOINT, like shop/10.0.0.1:8080")?;
        let service = service.parse().map_err(|error| format!("service {service:?}: {error}"))?;
        let endpoint = endpoint.parse().map_err(|error| format!("endpoint {endpoint:?}: {error}"))?;
        Ok(EndpointPath { service, endpoint })
    }
}

impl std::fmt::Display for EndpointPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.service, self.endpoint)
    }
}

impl From<OrderDocument> for Override {
    fn from(document: OrderDocument) -> Self {
        Override {
            state: document.state.map(|state| match state {
                OrderedState::Up => EndpointState::Up,
                OrderedState::Drain => EndpointState::Drain,
                OrderedState::Maintenance => EndpointState::Maintenance,
            }),
            weight: document.weight.and_then(|weight| Weight::new(weight.get())),
            reason: document.reason.filter(|reason| !reason.is_empty()),
            until: document.until.map(|until| until.0),
        }
    }
}

impl From<Override> for OrderDocument {
    fn from(order: Override) -> Self {
        OrderDocument {
            state: order.state.map(|state| match state {
                EndpointState::Up => OrderedState::Up,
                EndpointState::Drain => OrderedState::Drain,
                EndpointState::Maintenance => OrderedState::Maintenance,
            }),
            weight: order.weight.and_then(|weight| NonZeroU16::new(weight.get())),
            reason: order.reason,
            until: order.until.map(Timestamp),
        }
    }
}

/// The bytes that percent-encoding stands for (RFC 3986 §2.1); nothing where it is broken or not UTF-8.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = match (first, behind) {
            (b'%', [high, low, behind @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                behind
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                behind
            }
        };
    }
    String::from_utf8(bytes).ok()
}

/// `are a, b and 7 more`.
pub(super) fn are(known: &[String]) -> String {
    match known {
        [] => "is none".to_owned(),
        [only] => format!("is {only}"),
        _ if known.len() <= MOST_NAMED => format!("are {}", known.join(", ")),
        _ => format!("are {} and {} more", known[..MOST_NAMED].join(", "), known.len() - MOST_NAMED),
    }
}

/// In characters: a line of a log or a table.
const LONGEST_REASON: usize = 256;

/// A service may have 50,000 endpoints.
const MOST_NAMED: usize = 20;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn orders_are_read_strictly() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let check = |body: &str, expected: Result<Override, &str>| match (
            OrderDocument::parse(body.as_bytes(), now),
            expected,
        ) {
            (Ok(order), Ok(expected)) => assert_eq!(order, expected, "{body}"),
            (Err(Problem::Body(text)), Err(part)) => assert!(text.contains(part), "{body}: {text}"),
            other => panic!("{body}: {other:?}"),
        };
        let order = |state| Override { state, ..Override::default() };
        check(r#"{"state":"up"}"#, Ok(order(Some(EndpointState::Up))));
        check(r#"{"state":"drain","weight":null}"#, Ok(order(Some(EndpointState::Drain))));
        check(
            r#"{"state":"maintenance","weight":65535,"reason":"disk","until":1800000001}"#,
            Ok(Override {
                state: Some(EndpointState::Maintenance),
                weight: Weight::new(65535),
                reason: Some("disk".to_owned()),
                until: Some(now + Duration::from_secs(1)),
            }),
        );
        check(r#"{"weight":2,"reason":""}"#, Ok(Override { weight: Weight::new(2), ..Override::default() }));
        check(r#"{"weight":0}"#, Err("nonzero"));
        check(r#"{"weight":65536}"#, Err("65536"));
        check(r#"{"state":"gone"}"#, Err("gone"));
        check(r#"{"state":"up","stat":1}"#, Err("stat"));
        check(r#"{"state":"up","until":1800000000}"#, Err("passed"));
        check(r#"{"state":"up","until":"tomorrow"}"#, Err("expected a time"));
        check(r#"{"state":"up","until":18446744073709551615}"#, Err("expected a time"));
        check(r#"{"state":"up","reason":"a\nb"}"#, Err("256"));
        check(&format!(r#"{{"state":"up","reason":"{}"}}"#, "é".repeat(257)), Err("256"));
        check(r#"{"reason":"only"}"#, Err("orders nothing"));
        check("{}", Err("orders nothing"));
        check("", Err("EOF"));
        check("[]", Err("object"));
        check(r#"["up"]"#, Err("object"));
    }

    #[test]
    fn paths_name_endpoints() {
        let check = |path: &str, expected: Option<Result<&str, &str>>| {
            let found = EndpointPath::of_target(path);
            let found =
                found.map(|found| found.map_or_else(|no| Err(no.to_string()), |at| Ok(at.to_string())));
            let expected = expected.map(|found| found.map(str::to_owned).map_err(str::to_owned));
            assert_eq!(found, expected, "{path}");
        };
        let at =
            |service: &str, endpoint: &str| format!("/v1/services/{service}/endpoints/{endpoint}/override");
        check(&at("shop", "10.0.0.1:80"), Some(Ok("shop/10.0.0.1:80")));
        check(&at("shop", "10.0.0.1%3A80"), Some(Ok("shop/10.0.0.1:80")));
        check(&at("shop", "unix:%2Frun%2fa.sock"), Some(Ok("shop/unix:/run/a.sock")));
        check(&at("shop", "unix:/run/a.sock"), Some(Ok("shop/unix:/run/a.sock")));
        check(&at("shop", "app@10.0.0.1:80"), Some(Ok("shop/app@10.0.0.1:80")));
        check(&at("shop", "%5B::1%5D:80"), Some(Ok("shop/[::1]:80")));
        check(&at("shop", "gr%C3%BCn"), Some(Ok("shop/grün")));
        check(&at("a%20b", "x"), Some(Err("there is no service \"a b\": there is none")));
        check(&at("shop", "a%00"), Some(Err("shop has no endpoint \"a\\0\": there is none")));
        check(&at("shop", "a%0"), None);
        check(&at("shop", "a%zz"), None);
        check(&at("shop", "a%FF"), None);
        check(&at("shop", ""), None);
        check("/v1/services/shop/endpoints/a", None);
        check("/v1/services/shop", None);
        check("/v2/services/shop/endpoints/a/override", None);
    }

    #[test]
    fn targets_lead_back() {
        for text in
            ["shop/10.0.0.1:80", "a.b/unix:/run/a.sock", "s/x@[::1]:80", "s/a b%20?#ü", "s/a/override"]
        {
            let path: EndpointPath = text.parse().expect("it names an endpoint");
            assert_eq!(EndpointPath::of_target(&path.target()), Some(Ok(path)), "{text}");
        }
        for text in ["shop", "/a", "shop/", "a b/c", ""] {
            assert!(text.parse::<EndpointPath>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_order_survives_its_document() {
        let order = Override {
            state: Some(EndpointState::Drain),
            weight: Weight::new(7),
            reason: Some("why".to_owned()),
            until: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)),
        };
        let document = OrderDocument::from(order.clone());
        let text = serde_json::to_string(&document).expect("JSON");
        assert_eq!(text, r#"{"state":"drain","weight":7,"reason":"why","until":"2030-03-17T17:46:40Z"}"#);
        assert_eq!(OrderDocument::parse(text.as_bytes(), SystemTime::UNIX_EPOCH), Ok(order));
    }
}
