//! Percentages: `10%`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// A whole percentage from `MIN` to `MAX`, which is at most 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percent<const MIN: u8, const MAX: u8>(pub(crate) u8);

impl<const MIN: u8, const MAX: u8> Leaf for Percent<MIN, MAX> {
    const WANTED: &'static str = "a percentage like `10%`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = |predicate: &str| {
            Complaint::new(Code::Percent, predicate.to_owned()).note("percentages are whole numbers: `10%`")
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number(text) {
            return Err(
                complaint("is not a percentage: the `%` is missing").hint(format!("did you mean `{text}%`?"))
            );
        }
        match text.strip_suffix('%').filter(|number| is_number(number)).map(str::parse) {
            None => Err(complaint("is not a percentage")),
            Some(Ok(percent)) if (MIN..=MAX).contains(&percent) => Ok(Percent(percent)),
            Some(_) => Err(Complaint::new(Code::Range, format!("is not from {MIN}% to {MAX}%"))),
        }
    }
}

impl<const MIN: u8, const MAX: u8> JsonSchema for Percent<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^([0-9]+%|.*\$\{.*)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_parse_or_say_why_not() {
        fn check(text: &str, expected: Result<u8, (Code, Option<&str>)>) {
            let parsed = Percent::<1, 100>::parse(text).map(|percent| percent.0);
            assert_eq!(
                parsed.as_ref().map_err(|c| (c.code, c.hint.as_deref())),
                expected.as_ref().map_err(|e| *e),
                "{text}"
            );
        }
        check("1%", Ok(1));
        check("100%", Ok(100));
        check("0%", Err((Code::Range, None)));
        check("101%", Err((Code::Range, None)));
        check("1000%", Err((Code::Range, None)));
        check("10", Err((Code::Percent, Some("did you mean `10%`?"))));
        check("0.1", Err((Code::Percent, None)));
        check("+1%", Err((Code::Percent, None)));
        check("10 %", Err((Code::Percent, None)));
        check("%", Err((Code::Percent, None)));
        check("", Err((Code::Percent, None)));
    }
}
