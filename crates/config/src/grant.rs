//! What a token of the registry allows: `register:web-*`, `read`, `drain`, `scale`, `admin`.

use std::borrow::Cow;

use fulcrum_model::ServiceName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};
use crate::registry::Grant;
use crate::suggest::did_you_mean;

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrantText(pub(crate) Grant);

impl Leaf for GrantText {
    const WANTED: &'static str = "a grant like `register:web-*`";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let grant = match text.split_once(':') {
            None if text == "read" => Grant::Read,
            None if text == "drain" => Grant::Drain,
            None if text == "scale" => Grant::Scale,
            None if text == "admin" => Grant::Admin,
            Some(("register", pattern)) if is_pattern(pattern) => Grant::Register(pattern.to_owned()),
            Some(("register", _)) => {
                return Err(Complaint::new(Code::Grant, "names no service")
                    .note("a service is named like `register:web`, several like `register:web-*`"));
            }
            _ => {
                let guess = did_you_mean(text, ["read", "drain", "scale", "admin"]);
                return Err(Complaint::new(Code::Grant, format!("is no grant{guess}"))
                    .note("allowed here: register:SERVICE, register:PREFIX*, read, drain, scale, admin"));
            }
        };
        Ok(GrantText(grant))
    }
}

/// A service's name, or the beginning of one and `*`.
fn is_pattern(text: &str) -> bool {
    let prefix = text.strip_suffix('*').unwrap_or(text);
    (prefix.is_empty() && text == "*") || prefix.parse::<ServiceName>().is_ok()
}

impl JsonSchema for GrantText {
    fn schema_name() -> Cow<'static, str> {
        "Grant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What a token allows: register:SERVICE, register:PREFIX*, read, drain, scale or admin.",
            "type": "string",
            "pattern": r"^(register:[A-Za-z0-9._-]*\*?$|read$|drain$|scale$|admin$|.*\$\{)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_parse_or_say_why_not() {
        fn check(text: &str, expected: Option<Grant>) {
            assert_eq!(GrantText::parse(text).ok().map(|grant| grant.0), expected, "{text:?}");
        }
        check("read", Some(Grant::Read));
        check("drain", Some(Grant::Drain));
        check("scale", Some(Grant::Scale));
        check("admin", Some(Grant::Admin));
        check("register:web", Some(Grant::Register("web".to_owned())));
        check("register:web-*", Some(Grant::Register("web-*".to_owned())));
        check("register:*", Some(Grant::Register("*".to_owned())));
        check("register:", None);
        check("register:a b", None);
        check("register:*a", None);
        check("register", None);
        check("write", None);
        check("scale:web", None);
        check("Read", None);
        check("", None);
    }
}
