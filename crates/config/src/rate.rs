//! Rates: `10/s`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// So many a second, from 0 to [`HIGHEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) u32);

impl Leaf for Rate {
    const WANTED: &'static str = "a rate like `10/s`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = |predicate: &str| {
            Complaint::new(Code::Rate, predicate.to_owned()).note("rates are whole numbers a second: `10/s`")
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number(text) {
            return Err(
                complaint("is not a rate: the unit is missing").hint(format!("did you mean `{text}/s`?"))
            );
        }
        match text.strip_suffix("/s").filter(|number| is_number(number)).map(str::parse) {
            None => Err(complaint("is not a rate")),
            Some(Ok(rate)) if rate <= HIGHEST => Ok(Rate(rate)),
            Some(_) => Err(Complaint::new(Code::Range, format!("is not from 0/s to {HIGHEST}/s"))),
        }
    }
}

/// More than one machine can do, few enough to be counted without overflow.
const HIGHEST: u32 = 1_000_000;

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "So many a second: 10/s.",
            "type": "string",
            "pattern": r"^([0-9]+/s|.*\$\{.*)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_parse_or_say_why_not() {
        fn check(text: &str, expected: Result<u32, (Code, Option<&str>)>) {
            let parsed = Rate::parse(text).map(|rate| rate.0);
            assert_eq!(
                parsed.as_ref().map_err(|c| (c.code, c.hint.as_deref())),
                expected.as_ref().map_err(|e| *e),
                "{text}"
            );
        }
        check("0/s", Ok(0));
        check("10/s", Ok(10));
        check("1000000/s", Ok(1_000_000));
        check("1000001/s", Err((Code::Range, None)));
        check("99999999999/s", Err((Code::Range, None)));
        check("10", Err((Code::Rate, Some("did you mean `10/s`?"))));
        check("10/m", Err((Code::Rate, None)));
        check("1.5/s", Err((Code::Rate, None)));
        check("/s", Err((Code::Rate, None)));
        check("", Err((Code::Rate, None)));
    }
}
