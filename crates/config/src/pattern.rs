//! Regular expressions in configurations.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// A compiled pattern. The engine takes time linear in the text, whatever the pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(pub(crate) Regex);

impl Leaf for Pattern {
    const WANTED: &'static str = "a regular expression as text";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text.is_empty() {
            return Err(Complaint::new(Code::Nothing, "would match everything")
                .note("leave the condition out to match everything"));
        }
        RegexBuilder::new(text).size_limit(LARGEST).build().map(Pattern).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                Complaint::new(Code::Regex, "needs more than 1 MiB when compiled")
            }
            error => Complaint::new(Code::Regex, "is not a regular expression").hint(reason(&error)),
        })
    }
}

/// The last line of the parser's message says why; those before draw the place.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

/// Bytes of a compiled pattern. There can be thousands of patterns.
const LARGEST: usize = 1 << 20;

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A regular expression, found anywhere in the text unless anchored with ^ and $.",
            "type": "string",
            "minLength": 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_compile_or_say_why_not() {
        fn check(text: &str, expected: Result<(), (Code, Option<&str>)>) {
            let parsed = Pattern::parse(text).map(|_| ());
            let parsed = parsed.as_ref().map(|_| ()).map_err(|c| (c.code, c.hint.as_deref()));
            assert_eq!(parsed, expected, "{text}");
        }
        check("^/v[0-9]+/", Ok(()));
        check(r"^/v\d+/(?i)x", Ok(()));
        check("", Err((Code::Nothing, None)));
        check("(", Err((Code::Regex, Some("unclosed group"))));
        check(r"(a{1000}){1000}", Err((Code::Regex, None)));
        check(r"(a)\1", Err((Code::Regex, Some("backreferences are not supported"))));
    }
}
