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
