//! Points in time as the APIs of the daemon write them: RFC 3339 in UTC. They also take seconds since 1970.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// A point in time from 1970 to 9999, written to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub SystemTime);

/// A text that is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time like 2026-01-31T08:00:00Z, or seconds since 1970")]
pub struct NoTime;

impl Timestamp {
    fn from_seconds(seconds: u64) -> Result<Self, NoTime> {
        if seconds > LAST_SECOND {
            return Err(NoTime);
        }
        Ok(Timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let (year, month, day) = date(seconds / DAY);
        let (hour, minute, second) = (seconds % DAY / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Timestamp {
    type Err = NoTime;

    /// `2026-01-31T08:00:00Z`, with a fraction of a second or another offset where there is one (RFC 3339 §5.6).
    fn from_str(text: &str) -> Result<Self, NoTime> {
        let (local, rest) = text.split_at_checked("2026-01-31T08:00:00".len()).ok_or(NoTime)?;
        let local = local_seconds(local.as_bytes()).ok_or(NoTime)?;
        let offset = match rest.strip_prefix('.') {
            Some(rest) => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                (digits > 0).then(|| &rest[digits..]).ok_or(NoTime)?
            }
            None => rest,
        };
        let offset = offset_seconds(offset.as_bytes()).ok_or(NoTime)?;
        let seconds = local.checked_sub(offset).and_then(|seconds| u64::try_from(seconds).ok());
        Timestamp::from_seconds(seconds.ok_or(NoTime)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time like 2026-01-31T08:00:00Z, or seconds since 1970")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Timestamp, E> {
                Timestamp::from_seconds(seconds).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The seconds since 1970 of `2026-01-31T08:00:00`, as if it were UTC.
fn local_seconds(text: &[u8]) -> Option<i64> {
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| text[at] != mark) || !matches!(text[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (number(&text[0..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let (hour, minute, second) = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
    // Leap seconds are not in the system's time: the second after the last one is meant.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    let days = days(year, month, day)?;
    is_time.then_some(days * DAY as i64 + hour * 3600 + minute * 60 + second)
}

fn offset_seconds(text: &[u8]) -> Option<i64> {
    match text {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            let seconds = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            Some(if *sign == b'+' { seconds } else { -seconds })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_length(year: i64, month: i64) -> Option<i64> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap(year) { 29 } else { 28 }),
        _ => None,
    }
}

/// Days from 1970 to a date of 1970 or later.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if year < 1970 || day < 1 || day > month_length(year, month)? {
        return None;
    }
    // Leap years before a year, from year 1.
    let leaps = |year: i64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let years = (year - 1970) * 365 + leaps(year) - leaps(1970);
    let months: i64 = (1..month).filter_map(|month| month_length(year, month)).sum();
    Some(years + months + day - 1)
}

/// Year, month and day of so many days since 1970.
fn date(since: u64) -> (i64, i64, i64) {
    let since = since as i64;
    // Never too late, and too early by a year at most.
    let mut year = 1970 + since / 366;
    while days(year + 1, 1, 1).is_some_and(|next| next <= since) {
        year += 1;
    }
    let before = |month| days(year, month, 1).filter(|&first| first <= since);
    let (month, first) = (1..=12)
        .filter_map(|month| before(month).map(|first| (month, first)))
        .next_back()
        .expect("a year begins with its first month");
    (year, month, since - first + 1)
}

const DAY: u64 = 86_400;

/// 9999-12-31T23:59:59Z: the form has room for four digits of the year.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_parse_and_print() {
        fn check(text: &str, expected: Option<&str>) {
            let parsed = text.parse::<Timestamp>().ok().map(|time| time.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
        check("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z"));
        check("2026-01-31T08:09:10Z", Some("2026-01-31T08:09:10Z"));
        check("2024-02-29t23:59:59.987654321z", Some("2024-02-29T23:59:59Z"));
        check("2026-03-01T00:30:00+01:00", Some("2026-02-28T23:30:00Z"));
        check("2026-12-31T23:30:00-01:30", Some("2027-01-01T01:00:00Z"));
        check("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59Z"));
        check("2016-12-31T23:59:60Z", Some("2017-01-01T00:00:00Z"));
        check("9999-12-31T23:59:59-00:01", None);
        check("1970-01-01T00:00:00+00:01", None);
        check("1969-12-31T23:59:59Z", None);
        check("2026-02-29T00:00:00Z", None);
        check("2100-02-29T00:00:00Z", None);
        check("2026-13-01T00:00:00Z", None);
        check("2026-00-01T00:00:00Z", None);
        check("2026-01-00T00:00:00Z", None);
        check("2026-01-01T24:00:00Z", None);
        check("2026-01-01T00:60:00Z", None);
        check("2026-01-01T00:00:00", None);
        check("2026-01-01T00:00:00.Z", None);
        check("2026-01-01T00:00:00+24:00", None);
        check("2026-01-01T00:00:00+0100", None);
        check("2026/01/01T00:00:00Z", None);
        check("2026-01-01T00:00:0éZ", None);
        check("+026-01-01T00:00:00Z", None);
        check("1800000000", None);
        check("", None);
    }

    #[test]
    fn seconds_are_numbers() {
        let check = |json: &str, expected: Option<&str>| {
            let parsed = serde_json::from_str::<Timestamp>(json).ok().map(|time| time.to_string());
            assert_eq!(parsed.as_deref(), expected, "{json}");
        };
        check("1800000000", Some("2027-01-15T08:00:00Z"));
        check("\"2027-01-15T08:00:00Z\"", Some("2027-01-15T08:00:00Z"));
        check("253402300800", None);
        check("-1", None);
        check("1.5", None);
        check("\"1800000000\"", None);
        check("true", None);
    }

    #[test]
    fn every_second_is_written_and_read() {
        // A step that is prime to a day, an hour and a minute: every time of day, and all years.
        for seconds in (0..=LAST_SECOND).step_by(7_654_321) {
            let time = Timestamp::from_seconds(seconds).expect("it is in the range");
            assert_eq!(time.to_string().parse(), Ok(time), "{seconds}");
        }
    }
}
