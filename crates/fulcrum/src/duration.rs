//! Durations of command lines and demo queries: a whole number and a unit, like the simple ones of the configuration.

use std::time::Duration;

/// Parses `250ms`, `20s`, `5m` or `1h`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is not a duration like 250ms, 20s, 5m or 1h");
    let unit = text.find(|character: char| !character.is_ascii_digit()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(unit);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    let number = number.parse::<u64>().map_err(|_| expected())?;
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        fn check(text: &str, expected: Option<Duration>) {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
        check("0s", Some(Duration::ZERO));
        check("250ms", Some(Duration::from_millis(250)));
        check("20s", Some(Duration::from_secs(20)));
        check("5m", Some(Duration::from_secs(300)));
        check("1h", Some(Duration::from_secs(3600)));
        check("20", None);
        check("s", None);
        check("-1s", None);
        check("1.5s", None);
        check("1d", None);
        check("18446744073709551615h", None);
        check("", None);
    }
}
