//! Header fields, cookies, query parameters and methods as configurations name them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Decode, Leaf, warn_of_boolean_words, wrong_kind};
use crate::node::Node;
use crate::report::Problems;

/// A lower-case field name (RFC 9110 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldName(pub(crate) String);

/// The value of a field as it is written out (RFC 9110 §5.5).
#[derive(Clone, Debug)]
pub(crate) struct FieldValue(pub(crate) String);

/// A method: a case-sensitive token (RFC 9110 §9.1).
#[derive(Clone, Debug)]
pub(crate) struct Method(pub(crate) String);

/// The name of a cookie that the balancer gives out: a token (RFC 6265 §4.1.1) of at most [`LONGEST_COOKIE`] bytes.
#[derive(Clone, Debug)]
pub(crate) struct CookieName(pub(crate) String);

impl Leaf for FieldName {
    const WANTED: &'static str = "the name of a header field as text";

    fn parse(text: &str) -> Result<Self, Complaint> {
        match not_token(text) {
            None => Ok(FieldName(text.to_ascii_lowercase())),
            Some(why) => {
                Err(Complaint::new(Code::Field, format!("is not the name of a header field: {why}")))
            }
        }
    }
}

impl Leaf for Method {
    const WANTED: &'static str = "a method as text";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if let Some(why) = not_token(text) {
            return Err(Complaint::new(Code::Field, format!("is not a method: {why}")));
        }
        let upper = text.to_ascii_uppercase();
        if upper != text && METHODS.contains(&upper.as_str()) {
            return Err(Complaint::new(Code::Field, "is not a method: methods are case-sensitive")
                .hint(format!("did you mean `{upper}`?")));
        }
        if upper == "CONNECT" {
            return Err(Complaint::new(Code::NeverMatches, "is refused in requests, and can never match"));
        }
        Ok(Method(text.to_owned()))
    }
}

impl Leaf for CookieName {
    const WANTED: &'static str = "the name of a cookie as text";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint =
            |why: &str| Complaint::new(Code::Field, format!("is not the name of a cookie: {why}"));
        match not_token(text) {
            Some(why) => Err(complaint(&why)),
            None if text.len() > LONGEST_COOKIE => {
                Err(complaint(&format!("it is longer than {LONGEST_COOKIE} bytes")))
            }
            None => Ok(CookieName(text.to_owned())),
        }
    }
}

impl Decode for FieldValue {
    /// The value is never repeated in a message: it may be a credential.
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some(text) = node.text() else {
            wrong_kind(node, "text", problems);
            return None;
        };
        if let Some(why) = not_value(text) {
            problems.add(Code::Field, node.place, format!("the value {why}"));
            return None;
        }
        warn_of_boolean_words(node, problems);
        Some(FieldValue(text.to_owned()))
    }
}

/// Why a text is not the value of a field.
fn not_value(text: &str) -> Option<String> {
    // A tab is allowed within; other controls could end the field and begin another one.
    if let Some(character) = text.chars().find(|&c| c.is_control() && c != '\t') {
        return Some(format!("holds {character:?}, which no field value may hold"));
    }
    let is_padded = text.trim_matches([' ', '\t']) != text;
    is_padded.then(|| "begins or ends with a space, which no field value does".to_owned())
}

/// Why a text is not a token (RFC 9110 §5.6.2).
pub(crate) fn not_token(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("it is empty".to_owned());
    }
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.chars().find(|&c| !is_token(c)).map(|character| format!("it holds {character:?}"))
}

/// Where fields are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
    /// In requests of health checks.
    Probe,
}

/// Why the balancer alone writes a field, if it does.
pub(crate) fn reserved(name: &str, direction: Direction) -> Option<&'static str> {
    match name {
        "content-length" | "transfer-encoding" | "trailer" | "te" => Some("it frames the message"),
        "connection" | "keep-alive" | "proxy-connection" | "upgrade" => {
            Some("it concerns one connection alone")
        }
        "host" if direction == Direction::Request => Some("it is what the request was routed by"),
        "host" if direction == Direction::Probe => Some("the key `host` of the check says it"),
        "expect" if direction != Direction::Response => Some("it changes when the body is sent"),
        _ => None,
    }
}

/// Longest name of a cookie in bytes: it travels with every request.
const LONGEST_COOKIE: usize = 128;

/// Methods that are surely not meant to be lower-case.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Implements the schema of a text.
macro_rules! text_schema {
    ($type:ident, $name:literal, $description:literal, $pattern:literal) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "description": $description, "type": "string", "pattern": $pattern })
            }
        }
    };
}

text_schema!(
    FieldName,
    "FieldName",
    "The name of a header field.",
    r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+|.*\$\{.*)$"
);
text_schema!(FieldValue, "FieldValue", "The value of a header field.", r"^[^\r\n\u0000]*$");
text_schema!(CookieName, "CookieName", "The name of a cookie.", r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+|.*\$\{.*)$");
text_schema!(Method, "Method", "A method, case-sensitive.", r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+|.*\$\{.*)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens() {
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(FieldName::parse(text).ok().map(|name| name.0).as_deref(), expected, "{text:?}");
        }
        check("X-Beta", Some("x-beta"));
        check("x_y", Some("x_y"));
        check("", None);
        check("x y", None);
        check("x:", None);
        check(":path", None);
        check("ä", None);
    }

    #[test]
    fn values_cannot_break_out() {
        fn check(text: &str, valid: bool) {
            assert_eq!(not_value(text).is_none(), valid, "{text:?}");
        }
        check("max-age=31536000", true);
        check("", true);
        check("a\tb", true);
        check("ä", true);
        check("a\r\nx: y", false);
        check("a\nb", false);
        check("a\0b", false);
        check(" a", false);
    }

    #[test]
    fn methods_are_case_sensitive() {
        fn check(text: &str, expected: Result<&str, Option<&str>>) {
            let parsed = Method::parse(text).map(|method| method.0);
            assert_eq!(parsed.as_deref().map_err(|c| c.hint.as_deref()), expected, "{text:?}");
        }
        check("GET", Ok("GET"));
        check("PURGE", Ok("PURGE"));
        check("purge", Ok("purge"));
        check("get", Err(Some("did you mean `GET`?")));
        check("G T", Err(None));
        check("CONNECT", Err(None));
    }
}
