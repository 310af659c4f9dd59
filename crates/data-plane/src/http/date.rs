//! The `Date` field (RFC 9110 §5.6.7), formatted once a second.

use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::access_log::civil_from_days;

/// The current time as IMF-fixdate.
pub(crate) struct Date {
    second: Cell<u64>,
    text: RefCell<String>,
}

impl Default for Date {
    fn default() -> Self {
        let date = Date { second: Cell::new(u64::MAX), text: RefCell::default() };
        date.refresh();
        date
    }
}

impl Date {
    /// Looks at the clock; called with every tick of the worker.
    pub(crate) fn refresh(&self) {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.second.replace(second) != second {
            *self.text.borrow_mut() = imf_fixdate(second);
        }
    }

    /// Appends the field to a head.
    pub(crate) fn append(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"date: ");
        output.extend_from_slice(self.text.borrow().as_bytes());
        output.extend_from_slice(b"\r\n");
    }
}

fn imf_fixdate(second: u64) -> String {
    let days = second / 86_400;
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let weekday = WEEKDAYS[(days % 7) as usize];
    let month = MONTHS[month as usize - 1];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// 1970-01-01 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_imf_fixdate() {
        for (second, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        ] {
            assert_eq!(imf_fixdate(second), text);
        }
    }
}
