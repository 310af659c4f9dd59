//! A query as a line of JSON.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::SystemTime;

use fulcrum_model::{DnsName, RecordType};

use super::Entry;
use crate::answer::Transport;
use crate::query::Query;

impl Entry {
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let query = self.query.get(..usize::from(self.query_length)).unwrap_or_default();
        let query = Query::parse(query).ok();
        let name = query.as_ref().and_then(|query| name(query.name()));
        let subnet = query.and_then(|query| query.edns?.subnet);
        let zone = self.answered.zone.and_then(|zone| self.names.zones().nth(zone as usize));
        let region = self.region.and_then(|region| self.regions.get(usize::from(region)));
        let network = |address: IpAddr, bits: u8| format!("{address}/{bits}");
        let transport = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        let fields = [
            ("time", Some(time(self.at))),
            ("client", Some(self.client.to_string())),
            ("subnet", subnet.map(|subnet| network(subnet.address, subnet.source))),
            ("transport", Some(transport.to_owned())),
            ("name", name.map(|name| name.to_string())),
            ("type", Some(RecordType(self.answered.record_type).to_string())),
            ("zone", zone.map(ToString::to_string)),
            ("code", Some(crate::explain::code(self.answered.code))),
            ("region", region.map(|region| region.0.to_string())),
        ];
        to.push(b'{');
        for (key, value) in fields {
            // Writing to memory cannot fail.
            let _ = match value {
                Some(value) => write!(to, "\"{key}\":\"{}\",", escaped(&value)),
                None => write!(to, "\"{key}\":null,"),
            };
        }
        let (bytes, truncated) = (self.answered.length, self.answered.is_truncated);
        let _ = writeln!(to, "\"bytes\":{bytes},\"truncated\":{truncated}}}");
    }
}

fn name(wire: &[u8]) -> Option<DnsName> {
    let wire = wire.to_ascii_lowercase();
    DnsName::from_wire(&wire)
}

/// Names print in ASCII, with escapes of their own.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// RFC 3339 in UTC with milliseconds.
fn time(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds % 86_400 / 3600, seconds / 60 % 60, seconds % 60);
    let milliseconds = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// The date of a day since 1970, by eras of 400 years that begin in March (Hinnant, 2014).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        let check = |milliseconds: u64, expected: &str| {
            assert_eq!(time(SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)), expected);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_007, "2000-02-29T00:00:00.007Z");
        check(1_798_761_599_999, "2026-12-31T23:59:59.999Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }
}
