//! Points in time: `2026-12-24T18:00:00Z` (RFC 3339).

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// A point in time from 1970 on, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Duration);

impl Leaf for Moment {
    const WANTED: &'static str = "a point in time like `2026-12-24T18:00:00Z`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = || {
            Complaint::new(Code::Moment, "is not a point in time")
                .note("like `2026-12-24T18:00:00Z` or `2026-12-24T18:00:00+01:00`")
        };
        let seconds = seconds(text).ok_or_else(complaint)?;
        let since = u64::try_from(seconds).map_err(|_| complaint())?;
        Ok(Moment(Duration::from_secs(since)))
    }
}

/// Seconds since 1970, negative before.
fn seconds(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, offset) = rest.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1;
    // A leap second is the first second of the next minute.
    let is_time = hour <= 23 && minute <= 59 && second <= 60;
    if !is_date || !is_time || day > days_in(year, month) {
        return None;
    }
    let of_day = hour * 3600 + minute * 60 + second;
    Some(days(year, month, day) * 86_400 + of_day - offset_of(offset)?)
}

/// Seconds that a clock of this zone is ahead of UTC.
fn offset_of(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let [hours, minutes] = numbers(&text[1..], ':', [2, 2])?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Numbers of so many digits with a separator between them, and nothing else.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let of_years = 365 * (year - 1970) + (before / 4 - before / 100 + before / 400) - LEAP_DAYS_BEFORE_1970;
    let of_months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    of_years + of_months + day - 1
}

/// `1969 / 4 - 1969 / 100 + 1969 / 400`.
const LEAP_DAYS_BEFORE_1970: i64 = 477;

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A point in time: 2026-12-24T18:00:00Z.",
            "type": "string",
            "pattern": r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([Zz]|[+-][0-9]{2}:[0-9]{2})|.*\$\{.*)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_parse_or_do_not() {
        fn check(text: &str, expected: Option<u64>) {
            let parsed = Moment::parse(text).ok().map(|moment| moment.0.as_secs());
            assert_eq!(parsed, expected, "{text}");
        }
        check("1970-01-01T00:00:00Z", Some(0));
        check("2000-02-29T00:00:00Z", Some(951_782_400));
        check("2000-03-01T00:00:00Z", Some(951_868_800));
        check("2024-12-31T23:59:59Z", Some(1_735_689_599));
        check("2026-12-24T18:00:00Z", Some(1_798_135_200));
        check("2026-12-24T18:00:00+01:00", Some(1_798_131_600));
        check("2026-12-24 18:00:00-00:30", Some(1_798_137_000));
        check("2100-03-01T00:00:00Z", Some(4_107_542_400));
        check("1970-01-01T00:00:00+01:00", None);
        check("2026-12-24T18:00:00", None);
        check("2026-12-24", None);
        check("2026-02-29T00:00:00Z", None);
        check("2026-13-01T00:00:00Z", None);
        check("2026-12-24T24:00:00Z", None);
        check("2026-12-24T18:00:00+0100", None);
        check("2026-12-24T18:00:0äZ", None);
        check("", None);
    }
}
