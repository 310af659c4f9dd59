//! Durations as queries and bodies write them: `30s`, `250ms`, `1h30m`.

use std::time::Duration;

/// Whole numbers with their units, the largest first and each once; nothing for any other text.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut units = UNITS.iter();
    let mut rest = text;
    while !rest.is_empty() || total.is_zero() && text.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, behind) = behind.split_at(letters);
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        let millis = number.parse::<u64>().ok()?.checked_mul(*size)?;
        total = total.checked_add(Duration::from_millis(millis))?;
        rest = behind;
    }
    Some(total)
}

/// In milliseconds, the largest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        fn check(text: &str, millis: Option<u64>) {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text:?}");
        }
        check("30s", Some(30_000));
        check("250ms", Some(250));
        check("1h30m", Some(5_400_000));
        check("1m1s1ms", Some(61_001));
        check("0s", Some(0));
        check("", None);
        check("30", None);
        check("s", None);
        check("1s1m", None);
        check("1s1s", None);
        check("1.5s", None);
        check("-1s", None);
        check("1 s", None);
        check("1S", None);
        check("1d", None);
        check("99999999999999999999s", None);
        check("18446744073709551615h", None);
        check("1é", None);
    }
}
