//! Zones within zones: what the upper one has where the lower one begins is never answered.

use std::collections::BTreeSet;

use fulcrum_model::{DnsName, RecordData, RecordType};

use super::error::ERRORS_MAX;
use super::{Record, ZoneError, ZoneProblem};

/// Records of a zone that are hidden by others of these zones: all but the
/// name servers there, their addresses, and the signature of the lower zone's key.
pub(crate) fn hidden(zone: &DnsName, records: &[Record], zones: &BTreeSet<&DnsName>) -> Vec<ZoneError> {
    let lower: BTreeSet<&DnsName> =
        zones.iter().filter(|other| **other != zone && other.is_within(zone)).copied().collect();
    if lower.is_empty() {
        return Vec::new();
    }
    let server = |record: &Record| match &record.data {
        RecordData::Ns(host) => Some(host.clone()),
        _ => None,
    };
    let servers: BTreeSet<DnsName> = records.iter().filter_map(server).collect();
    let is_hidden = |record: &Record| {
        let below = apex_above(&record.owner, zone, &lower)?;
        let is_allowed = match record.data.record_type() {
            RecordType::NS | RecordType::DS => record.owner == below,
            RecordType::A | RecordType::AAAA => servers.contains(&record.owner),
            _ => false,
        };
        (!is_allowed).then_some(below)
    };
    let error = |record: &Record| {
        let below = is_hidden(record)?;
        let problem = ZoneProblem::Hidden { name: record.owner.clone(), zone: below };
        Some(ZoneError { file: record.file.clone(), line: record.line, problem })
    };
    records.iter().filter_map(error).take(ERRORS_MAX).collect()
}

/// The apex at or above a name, below the zone's own.
fn apex_above(name: &DnsName, zone: &DnsName, lower: &BTreeSet<&DnsName>) -> Option<DnsName> {
    let mut at = Some(name.clone());
    while let Some(name) = at.filter(|name| name != zone) {
        if lower.contains(&name) {
            return Some(name);
        }
        at = name.parent();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::tests::{APEX, records};

    /// What is hidden of `example.com` with these records beside others of these zones.
    #[track_caller]
    fn check(text: &str, zones: &[&str], expected: &[&str]) {
        let zones: Vec<DnsName> = zones.iter().map(|zone| zone.parse().expect("a name")).collect();
        let apex: DnsName = "example.com".parse().expect("a name");
        let errors =
            hidden(&apex, &records(&format!("{APEX}{text}")), &zones.iter().chain([&apex]).collect());
        assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_a_lower_zone_answers_is_nothing_of_the_upper_one() {
        let told = "has what is never answered: the zone in.example.com. is served, too, and begins there or above it";
        check("www.in 60 A 192.0.2.1", &["in.example.org", "com", "n.example.com"], &[]);
        check(
            "www.in 60 A 192.0.2.1",
            &["in.example.com"],
            &[&format!("line 4: www.in.example.com. {told}")],
        );
        check(
            "in 60 TXT a\nin 60 A 192.0.2.1",
            &["in.example.com"],
            &[&format!("line 4: in.example.com. {told}"), &format!("line 5: in.example.com. {told}")],
        );
        // Who answers there, and where they are.
        let delegation =
            "in 60 NS ns.in\nin 60 DS 1 8 9 abcd\nns.in 60 A 192.0.2.1\nns.in 60 AAAA 2001:db8::1";
        check(delegation, &["in.example.com"], &[]);
        check("a.in 60 NS ns", &["in.example.com"], &[&format!("line 4: a.in.example.com. {told}")]);
    }
}
