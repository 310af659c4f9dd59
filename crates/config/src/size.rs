//! Sizes with units: `64KiB`, `8MiB`, `1KB` (1000 bytes), `512B`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// From `MIN` to `MAX` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size<const MIN: u64, const MAX: u64>(pub(crate) u64);

impl<const MIN: u64, const MAX: u64> Leaf for Size<MIN, MAX> {
    const WANTED: &'static str = "a size like `64KiB`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bytes = parse(text)?;
        if (MIN..=MAX).contains(&bytes) {
            return Ok(Size(bytes));
        }
        Err(Complaint::new(Code::Range, format!("is not from {} to {}", show(MIN), show(MAX))))
    }
}

/// A whole number and a unit; zero needs none.
fn parse(text: &str) -> Result<u64, Complaint> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if text == "0" {
        return Ok(0);
    }
    let factor = UNITS.iter().find(|&&(name, _)| name == unit).map(|&(_, factor)| factor);
    match factor {
        Some(factor) if digits > 0 => number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .ok_or_else(|| Complaint::new(Code::Range, "is more than 2^64 bytes")),
        _ => Err(refuse(text, number, unit)),
    }
}

/// Says what is nearest to the text.
fn refuse(text: &str, number: &str, unit: &str) -> Complaint {
    let complaint = |predicate: &str| Complaint::new(Code::Size, predicate.to_owned()).note(NOTE);
    if unit.is_empty() && !number.is_empty() {
        return complaint("is not a size: the unit is missing")
            .hint(format!("did you mean `{}`? bytes are `{number}B`", guess(number)));
    }
    if text.contains('.') {
        return complaint("is not a size: numbers are whole").note("one and a half KiB are `1536B`");
    }
    let unit = unit.trim();
    let known = UNITS.iter().map(|&(name, _)| name).find(|name| name.eq_ignore_ascii_case(unit));
    let short = UNITS.iter().map(|&(name, _)| name).find(|name| {
        name.ends_with("iB") && name.len() == 3 && name[..1].eq_ignore_ascii_case(unit.trim_end_matches('i'))
    });
    match known.or(short) {
        Some(right) if !number.is_empty() => {
            complaint("is not a size").hint(format!("did you mean `{number}{right}`?"))
        }
        _ => complaint("is not a size"),
    }
}

/// Bytes that are whole KiB were meant as bytes, others as KiB.
fn guess(number: &str) -> String {
    match number.parse::<u64>() {
        Ok(bytes) if bytes >= 1024 && bytes.is_multiple_of(1024) => show(bytes),
        _ => format!("{number}KiB"),
    }
}

/// Bytes in the largest unit that divides them.
fn show(bytes: u64) -> String {
    let unit = UNITS.iter().rev().find(|&&(name, factor)| {
        (name == "B" || name.ends_with("iB")) && bytes >= factor && bytes.is_multiple_of(factor)
    });
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

const NOTE: &str = "sizes are whole numbers with units: `64KiB` (1024), `1KB` (1000), `8MiB`, `1GiB`, `512B`";

/// Units from the smallest to the largest.
const UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

impl<const MIN: u64, const MAX: u64> JsonSchema for Size<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({
            "type": "string",
            "pattern": r"^([0-9]+([KMGT]i?)?B|.*\$\{.*)$"
        });
        if MIN == 0 { json_schema!({ "anyOf": [text, { "const": 0 }] }) } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse() {
        fn check(text: &str, bytes: u64) {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        check("512B", 512);
        check("1KB", 1000);
        check("64KiB", 65_536);
        check("8MiB", 8_388_608);
        check("1MB", 1_000_000);
        check("1GiB", 1 << 30);
        check("2TiB", 2 << 40);
        check("0", 0);
        check("0B", 0);
    }

    #[test]
    fn others_are_refused_with_a_hint() {
        fn check(text: &str, code: Code, hint: Option<&str>) {
            let complaint = parse(text).expect_err(text);
            assert_eq!((complaint.code, complaint.hint.as_deref()), (code, hint), "{text}");
        }
        check("64", Code::Size, Some("did you mean `64KiB`? bytes are `64B`"));
        check("8192", Code::Size, Some("did you mean `8KiB`? bytes are `8192B`"));
        check("64k", Code::Size, Some("did you mean `64KiB`?"));
        check("64kb", Code::Size, Some("did you mean `64KB`?"));
        check("64kib", Code::Size, Some("did you mean `64KiB`?"));
        check("8M", Code::Size, Some("did you mean `8MiB`?"));
        check("8 MiB", Code::Size, Some("did you mean `8MiB`?"));
        check("1.5KiB", Code::Size, None);
        check("-1KiB", Code::Size, None);
        check("KiB", Code::Size, None);
        check("", Code::Size, None);
        check("999999999999TiB", Code::Range, None);
    }

    #[test]
    fn ranges_are_shown_in_units() {
        let refused = Size::<256, 65_536>::parse("64MiB").map_err(|complaint| complaint.predicate);
        assert_eq!(refused, Err("is not from 256B to 64KiB".to_owned()));
    }
}
