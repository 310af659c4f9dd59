//! Wall-clock time as text, in UTC, worked out once a second.

use std::time::{Duration, SystemTime};

use super::encode;

const SECONDS_PER_DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z: both forms have room for four digits of the year.
const LAST_SECOND: u64 = 253_402_300_799;
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The text of one second. Times before 1970 are written as its first second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second {
    since_epoch: u64,
    rfc3339: [u8; 19],
    clf: [u8; 26],
}

impl Second {
    /// The text of the second that `time` is in; `self` when it is the same one.
    pub(super) fn at(self, time: SystemTime) -> Second {
        let since_epoch = elapsed(time).as_secs().min(LAST_SECOND);
        if since_epoch == self.since_epoch { self } else { Second::new(since_epoch) }
    }

    /// RFC 3339 with milliseconds: `2000-10-10T13:55:36.042Z`.
    pub(super) fn write_rfc3339(&self, time: SystemTime, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rfc3339);
        out.push(b'.');
        encode::padded(elapsed(time).subsec_millis().into(), 3, out);
        out.push(b'Z');
    }

    /// The common log format's, without brackets: `10/Oct/2000:13:55:36 +0000`.
    pub(super) fn write_clf(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.clf);
    }

    fn new(since_epoch: u64) -> Second {
        let (year, month, day) = civil_from_days(since_epoch / SECONDS_PER_DAY);
        let in_day = since_epoch % SECONDS_PER_DAY;
        let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);

        let mut rfc3339 = *b"0000-00-00T00:00:00";
        put(&mut rfc3339[0..4], year);
        put(&mut rfc3339[5..7], month);
        put(&mut rfc3339[8..10], day);
        put(&mut rfc3339[11..13], hour);
        put(&mut rfc3339[14..16], minute);
        put(&mut rfc3339[17..19], second);

        let mut clf = *b"00/Jan/0000:00:00:00 +0000";
        put(&mut clf[0..2], day);
        clf[3..6].copy_from_slice(MONTHS[month as usize - 1]);
        put(&mut clf[7..11], year);
        put(&mut clf[12..14], hour);
        put(&mut clf[15..17], minute);
        put(&mut clf[18..20], second);

        Second { since_epoch, rfc3339, clf }
    }
}

impl Default for Second {
    fn default() -> Self {
        Second::new(0)
    }
}

fn elapsed(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Fills `digits` with `value`, right-aligned.
fn put(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    debug_assert_eq!(value, 0, "the field has room for every digit");
}

/// Year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01. The year is taken to begin in
/// March, so that the leap day is the last of its year and months have a regular length of 153 days in five.
pub(crate) fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // from 0000-03-01
    let era = days / 146_097; // 400 years
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(milliseconds: u64, rfc3339: &str, clf: &str) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        let second = Second::default().at(time);
        let mut out = Vec::new();
        second.write_rfc3339(time, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), rfc3339);
        out.clear();
        second.write_clf(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), clf);
    }

    #[test]
    fn writes_both_forms() {
        check(0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000");
        check(971_186_136_042, "2000-10-10T13:55:36.042Z", "10/Oct/2000:13:55:36 +0000");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z", "28/Feb/2000:23:59:59 +0000");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z", "29/Feb/2000:00:00:00 +0000");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z", "01/Mar/2000:00:00:00 +0000");
        check(1_735_689_599_000, "2024-12-31T23:59:59.000Z", "31/Dec/2024:23:59:59 +0000");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z", "01/Mar/2100:00:00:00 +0000");
        check(LAST_SECOND * 1000, "9999-12-31T23:59:59.000Z", "31/Dec/9999:23:59:59 +0000");
        check((LAST_SECOND + 1) * 1000, "9999-12-31T23:59:59.000Z", "31/Dec/9999:23:59:59 +0000");
    }

    #[test]
    fn a_clock_before_1970_is_its_first_second() {
        let time = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
        let mut out = Vec::new();
        Second::default().at(time).write_rfc3339(time, &mut out);
        assert_eq!(out, b"1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = civil_from_days(0);
        for days in 1..=LAST_SECOND / SECONDS_PER_DAY {
            let now = civil_from_days(days);
            assert!(now > before, "{before:?} then {now:?}");
            assert!((1..=12).contains(&now.1) && (1..=31).contains(&now.2), "{now:?}");
            before = now;
        }
        assert_eq!(before, (9999, 12, 31));
    }
}
