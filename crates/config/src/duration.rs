//! Durations with units: `250ms`, `5s`, `2m`, `1h`, `1m30s`.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// How long to wait for something: more than zero, at most [`LONGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) Duration);

/// How long something lasts: from zero to [`LONGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period(pub(crate) Duration);

/// How long something takes: from `MIN` to `MAX` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span<const MIN: u64, const MAX: u64>(pub(crate) Duration);

/// A time of the DNS: whole seconds, from zero to [`LONGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u32);

impl Leaf for Timeout {
    const WANTED: &'static str = "a duration like `5s` or `250ms`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        match parse(text)? {
            Duration::ZERO => Err(Complaint::new(Code::Range, "would be over at once").note(
                "the least duration here is `1ms`; no limit is written `none`, where that is possible",
            )),
            duration => Ok(Timeout(duration)),
        }
    }
}

impl Leaf for Period {
    const WANTED: &'static str = "a duration like `30s` or `0s`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        parse(text).map(Period)
    }
}

impl Leaf for Seconds {
    const WANTED: &'static str = "a duration like `60s`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let duration = parse(text)?;
        match u32::try_from(duration.as_secs()) {
            Ok(seconds) if duration.subsec_nanos() == 0 => Ok(Seconds(seconds)),
            _ => Err(Complaint::new(Code::Duration, "is not a number of whole seconds, as the DNS has them")),
        }
    }
}

impl<const MIN: u64, const MAX: u64> Leaf for Span<MIN, MAX> {
    const WANTED: &'static str = "a duration like `5s` or `250ms`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let duration = parse(text)?;
        if (u128::from(MIN)..=u128::from(MAX)).contains(&duration.as_millis()) {
            return Ok(Span(duration));
        }
        Err(Complaint::new(Code::Range, format!("is not from {} to {}", show(MIN), show(MAX))))
    }
}

/// Milliseconds in the largest unit that divides them.
fn show(milliseconds: u64) -> String {
    let unit = UNITS.iter().find(|&&(_, size)| milliseconds >= size && milliseconds.is_multiple_of(size));
    match unit {
        _ if milliseconds == 0 => "0s".to_owned(),
        Some((name, size)) => format!("{}{name}", milliseconds / size),
        None => format!("{milliseconds}ms"),
    }
}

/// One or more of a whole number and a unit, largest unit first, each unit once.
fn parse(text: &str) -> Result<Duration, Complaint> {
    let mut total = Duration::ZERO;
    let mut allowed = 0;
    let mut rest = text;
    loop {
        let (number, unit, tail) = split(rest).ok_or_else(|| refuse(text))?;
        let index = UNITS.iter().position(|&(name, _)| name == unit).ok_or_else(|| refuse(text))?;
        let milliseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(UNITS[index].1));
        let part =
            milliseconds.map(Duration::from_millis).filter(|&part| part <= LONGEST).ok_or_else(too_long)?;
        if index < allowed {
            return Err(refuse(text));
        }
        total += part;
        allowed = index + 1;
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    if total > LONGEST { Err(too_long()) } else { Ok(total) }
}

/// Digits, letters, and what follows them.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let letters = text[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
    let (number, rest) = text.split_at(digits);
    let (unit, tail) = rest.split_at(letters);
    (digits > 0 && letters > 0).then_some((number, unit, tail))
}

/// Says what is nearest to the text.
fn refuse(text: &str) -> Complaint {
    let complaint = |predicate: &str| Complaint::new(Code::Duration, predicate.to_owned()).note(NOTE);
    if text == "0" {
        return complaint("is not a duration: the unit is missing").hint("zero is written `0s`");
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let hint = format!("did you mean `{text}s` or `{text}ms`?");
        return complaint("is not a duration: the unit is missing").hint(hint);
    }
    if text.contains('.') {
        return complaint("is not a duration: numbers are whole").note("1.5 seconds are `1s500ms`");
    }
    if text.starts_with('-') {
        return complaint("is not a duration: it is negative");
    }
    if text.contains(' ') {
        let joined = text.replace(' ', "");
        let hint = match parse(&joined) {
            Ok(_) => Some(format!("did you mean `{joined}`?")),
            Err(complaint) => complaint.hint,
        };
        return Complaint { hint, ..complaint("is not a duration: no spaces within") };
    }
    match split(text) {
        Some((number, unit, "")) => match slip(unit) {
            Some(right) => complaint("is not a duration").hint(format!("did you mean `{number}{right}`?")),
            None if unit == "d" || unit == "w" => {
                complaint("is not a duration").note("the largest unit is `h`: a day is `24h`")
            }
            None => complaint("is not a duration"),
        },
        _ => complaint("is not a duration"),
    }
}

/// What other programs call the units.
fn slip(unit: &str) -> Option<&'static str> {
    match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Some("s"),
        "ms" | "msec" | "millis" | "milliseconds" => Some("ms"),
        "min" | "mins" | "minute" | "minutes" => Some("m"),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some("h"),
        _ => None,
    }
}

fn too_long() -> Complaint {
    Complaint::new(Code::Range, "is longer than a year, `8760h`")
        .note("no limit is written `none`, where that is possible")
}

const NOTE: &str = "durations are whole numbers with units h, m, s, ms: `5s`, `250ms`, `1m30s`";

/// Units from the largest to the smallest, in milliseconds.
const UNITS: &[(&str, u64)] = &[("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A year: sums with any point in time stay in range.
const LONGEST: Duration = Duration::from_secs(8760 * 3600);

impl JsonSchema for Timeout {
    fn schema_name() -> Cow<'static, str> {
        "Timeout".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration above zero with units h, m, s, ms: 5s, 250ms, 1m30s.",
            "type": "string",
            "pattern": PATTERN
        })
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration from zero with units h, m, s, ms: 0s, 30s, 1m30s.",
            "type": "string",
            "pattern": PATTERN
        })
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Whole seconds as a duration with units h, m, s: 60s, 1h. At most 8760h.",
            "type": "string",
            "pattern": PATTERN
        })
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Span<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN })
    }
}

/// What [`parse`] accepts, but for the range. A variable is accepted as well.
const PATTERN: &str = r"^(([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?|.*\$\{.*)$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse() {
        fn check(text: &str, milliseconds: u64) {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        check("5s", 5000);
        check("250ms", 250);
        check("2m", 120_000);
        check("1h", 3_600_000);
        check("1m30s", 90_000);
        check("1h2m3s4ms", 3_723_004);
        check("0s", 0);
        check("8760h", 31_536_000_000);
    }

    #[test]
    fn others_are_refused_with_a_hint() {
        fn check(text: &str, code: Code, hint: Option<&str>) {
            let complaint = parse(text).expect_err(text);
            assert_eq!((complaint.code, complaint.hint.as_deref()), (code, hint), "{text}");
        }
        check("5", Code::Duration, Some("did you mean `5s` or `5ms`?"));
        check("0", Code::Duration, Some("zero is written `0s`"));
        check("1.5s", Code::Duration, None);
        check("-1s", Code::Duration, None);
        check("5 s", Code::Duration, Some("did you mean `5s`?"));
        check("5 min", Code::Duration, Some("did you mean `5m`?"));
        check("5sec", Code::Duration, Some("did you mean `5s`?"));
        check("5min", Code::Duration, Some("did you mean `5m`?"));
        check("5S", Code::Duration, Some("did you mean `5s`?"));
        check("1d", Code::Duration, None);
        check("", Code::Duration, None);
        check("s", Code::Duration, None);
        check("30s1m", Code::Duration, None);
        check("1s1s", Code::Duration, None);
        check("5s!", Code::Duration, None);
        check("8761h", Code::Range, None);
        check("99999999999999999999h", Code::Range, None);
    }

    #[test]
    fn zero_is_no_timeout() {
        assert_eq!(Timeout::parse("0s").map_err(|complaint| complaint.code), Err(Code::Range));
        assert_eq!(Period::parse("0s"), Ok(Period(Duration::ZERO)));
    }

    #[test]
    fn times_of_the_dns_are_whole_seconds() {
        assert_eq!(Seconds::parse("1h1s"), Ok(Seconds(3601)));
        assert_eq!(Seconds::parse("0s"), Ok(Seconds(0)));
        assert_eq!(Seconds::parse("1500ms").map_err(|complaint| complaint.code), Err(Code::Duration));
    }

    #[test]
    fn ranges_are_shown_in_units() {
        fn check(text: &str, expected: Result<u64, &str>) {
            let parsed = Span::<100, 3_600_000>::parse(text).map(|span| span.0.as_millis() as u64);
            assert_eq!(
                parsed.as_ref().map_err(|c| c.predicate.as_str()),
                expected.as_ref().map_err(|p| *p),
                "{text}"
            );
        }
        check("100ms", Ok(100));
        check("1h", Ok(3_600_000));
        check("99ms", Err("is not from 100ms to 1h"));
        check("0s", Err("is not from 100ms to 1h"));
        check("1h1ms", Err("is not from 100ms to 1h"));
        let complaint = Span::<0, 1000>::parse("2s").expect_err("it is too long");
        assert_eq!(complaint.predicate, "is not from 0s to 1s");
    }
}
