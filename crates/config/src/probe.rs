//! What a health check sends and wants: target, host, statuses.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};
use crate::schema::variable;

/// The target of a check's request: a path, perhaps with a query (RFC 9112 §3.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProbePath(pub(crate) String);

/// The Host field of a check's request: a host, perhaps with a port (RFC 9110 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProbeHost(pub(crate) String);

/// A range of statuses, both ends included: `200-399`, or one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statuses(pub(crate) u16, pub(crate) u16);

impl Leaf for ProbePath {
    const WANTED: &'static str = "a path as text";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = |predicate: &str| Complaint::new(Code::Path, predicate.to_owned());
        if text.starts_with("http://") || text.starts_with("https://") {
            return Err(complaint("is a URL, not a path")
                .note("every endpoint is asked at its own address; see `host` and `port`"));
        }
        if !text.starts_with('/') {
            return Err(complaint("does not begin with `/`").hint(format!("did you mean `/{text}`?")));
        }
        match text.chars().find(|&c| c == '#' || !c.is_ascii_graphic()) {
            Some(character) => Err(complaint(&format!("holds {character:?}, which no request has"))
                .note("write it percent-encoded, as it is sent")),
            None => Ok(ProbePath(text.to_owned())),
        }
    }
}

impl Leaf for ProbeHost {
    const WANTED: &'static str = "a host name as text";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = |predicate: String| Complaint::new(Code::Host, predicate);
        let is_allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '[' | ']');
        if text.is_empty() {
            return Err(complaint("is no host name: it is empty".to_owned()));
        }
        match text.chars().find(|&c| !is_allowed(c)) {
            Some(character) => Err(complaint(format!("holds {character:?}, which no host name has"))),
            None => Ok(ProbeHost(text.to_owned())),
        }
    }
}

impl Leaf for Statuses {
    const WANTED: &'static str = "a status or a range of statuses";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = |predicate: &str| {
            Complaint::new(Code::Status, predicate.to_owned())
                .note("statuses are like `204`, ranges like `200-399`; from 100 to 599")
        };
        let status = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|status| digits && (100..=599).contains(status))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (status(first), status(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Statuses(first, last)),
            (Some(_), Some(_)) => {
                Err(complaint("is an empty range").hint(format!("did you mean `{last}-{first}`?")))
            }
            _ => Err(complaint("is neither a status nor a range of statuses")),
        }
    }
}

impl JsonSchema for ProbePath {
    fn schema_name() -> Cow<'static, str> {
        "ProbePath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A path that begins with a slash, perhaps with a query.",
            "type": "string",
            "pattern": r"^(/|\$\{)"
        })
    }
}

impl JsonSchema for ProbeHost {
    fn schema_name() -> Cow<'static, str> {
        "ProbeHost".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A host name, perhaps with a port.",
            "type": "string",
            "minLength": 1
        })
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A status like 204, or a range like 200-399.",
            "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$" },
                variable()
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_parse_or_say_why_not() {
        fn check(text: &str, expected: Result<&str, Option<&str>>) {
            let parsed = ProbePath::parse(text).map(|path| path.0);
            assert_eq!(parsed.as_deref().map_err(|c| c.hint.as_deref()), expected, "{text:?}");
        }
        check("/", Ok("/"));
        check("/healthz?full=1&x=%20", Ok("/healthz?full=1&x=%20"));
        check("healthz", Err(Some("did you mean `/healthz`?")));
        check("http://10.0.0.1/healthz", Err(None));
        check("/a b", Err(None));
        check("/a\r\nx: y", Err(None));
        check("/a#b", Err(None));
        check("/ä", Err(None));
    }

    #[test]
    fn hosts_cannot_break_out() {
        fn check(text: &str, valid: bool) {
            assert_eq!(ProbeHost::parse(text).is_ok(), valid, "{text:?}");
        }
        check("pay.internal", true);
        check("pay.internal:8080", true);
        check("[2001:db8::1]:80", true);
        check("", false);
        check("a b", false);
        check("a\r\nx: y", false);
        check("http://a", false);
        check("user@a", false);
    }

    #[test]
    fn statuses_are_one_or_a_range() {
        fn check(text: &str, expected: Result<(u16, u16), Option<&str>>) {
            let parsed = Statuses::parse(text).map(|Statuses(first, last)| (first, last));
            assert_eq!(
                parsed.as_ref().map_err(|c| c.hint.as_deref()),
                expected.as_ref().map_err(|h| *h),
                "{text:?}"
            );
        }
        check("404", Ok((404, 404)));
        check("200-399", Ok((200, 399)));
        check("100-599", Ok((100, 599)));
        check("399-200", Err(Some("did you mean `200-399`?")));
        check("600", Err(None));
        check("99", Err(None));
        check("+99", Err(None));
        check("2xx", Err(None));
        check("200-", Err(None));
        check("200 - 299", Err(None));
        check("", Err(None));
    }
}
