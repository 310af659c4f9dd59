//! Records that are always the same.

use std::collections::HashMap;

use fulcrum_model::{DnsName, RecordData, RecordError, RecordType, fields};

use crate::code::Code;
use crate::decode::At;
use crate::node::quote;
use crate::raw::RawSet;
use crate::source::Place;
use crate::validate::Context;

use super::zone::{duplicate, warn_of_missing_dot};

/// The records of a name.
pub(crate) struct Records {
    pub(crate) records: Vec<RecordData>,
    /// Its name servers, and where each of them stands.
    pub(crate) servers: Vec<(DnsName, Place)>,
}

/// All records of a name that are well-formed, and fit together.
pub(crate) fn all(sets: &[RawSet], owner: &DnsName, apex: &DnsName, context: &mut Context<'_>) -> Records {
    let mut places: HashMap<RecordData, Place> = HashMap::new();
    let mut read = Records { records: Vec::new(), servers: Vec::new() };
    for set in sets {
        if refuse_at_apex(set, owner, apex, context) {
            continue;
        }
        let before = read.records.len();
        for value in &set.values {
            let Some(record) = record(set, value, apex, context) else { continue };
            if let Some(&other) = places.get(&record) {
                duplicate("the record", value.place, other, context);
                continue;
            }
            places.insert(record.clone(), value.place);
            if let RecordData::Ns(server) = &record {
                read.servers.push((server.clone(), value.place));
            }
            read.records.push(record);
        }
        refuse_size(set, &read.records[before..], context);
    }
    refuse_cname(sets, owner, context);
    read
}

fn record(set: &RawSet, value: &At<String>, apex: &DnsName, context: &mut Context<'_>) -> Option<RecordData> {
    if set.is_plain_text {
        return Some(RecordData::text(&value.value));
    }
    let parsed = fields(&value.value).and_then(|fields| RecordData::parse(set.record_type, &fields, apex));
    match parsed {
        Ok(record) => {
            if HOLDS_NAME.contains(&set.record_type)
                && let Some(name) = value.value.split_whitespace().last()
            {
                warn_of_missing_dot(name, value.place, apex, context);
            }
            Some(record)
        }
        Err(error) => {
            refuse(set, value, &error, context);
            None
        }
    }
}

fn refuse(set: &RawSet, value: &At<String>, error: &RecordError, context: &mut Context<'_>) {
    let message = match error {
        RecordError::Refused(..) | RecordError::Type => error.to_string(),
        _ => format!("{} is no {} record: {error}", quote(&value.value), set.record_type),
    };
    context.problems.add(Code::Record, value.place, message);
}

/// The zone itself says how it begins, and it cannot be an alias. True after recording that it does not.
fn refuse_at_apex(set: &RawSet, owner: &DnsName, apex: &DnsName, context: &mut Context<'_>) -> bool {
    let (code, message, note) = match set.record_type {
        RecordType::SOA => {
            (Code::Conflict, "a zone begins once".to_owned(), "the key `soa` of the zone says how")
        }
        RecordType::NS if owner == apex => {
            let message = format!("the name servers of `{apex}` are given by the zone");
            (Code::Conflict, message, "the key `ns` of the zone, beside `names`")
        }
        RecordType::CNAME if owner == apex => {
            let message = format!("`{apex}` cannot be an alias: it has SOA and NS records");
            (Code::CnameAndOther, message, ALONE)
        }
        _ => return false,
    };
    context.problems.add(code, set.place, message).note(note);
    true
}

/// An alias is one name and nothing else.
fn refuse_cname(sets: &[RawSet], owner: &DnsName, context: &mut Context<'_>) {
    let Some(alias) = sets.iter().find(|set| set.record_type == RecordType::CNAME) else { return };
    if let Some(other) = sets.iter().find(|set| set.record_type != RecordType::CNAME) {
        let message = format!("`{owner}` has a CNAME and other records: `{}`", other.name);
        context.problems.add(Code::CnameAndOther, alias.place, message).note(ALONE);
    }
    if let [_, second, ..] = alias.values.as_slice() {
        context
            .problems
            .add(Code::CnameAndOther, second.place, format!("`{owner}` has two CNAME records"))
            .note("one of several aliases: `policy: round_robin` with `endpoints: [{ cname: NAME }]`");
    }
}

/// What does not fit into a message could never be answered.
fn refuse_size(set: &RawSet, records: &[RecordData], context: &mut Context<'_>) {
    let size: usize = records.iter().map(|record| FIXED + length(record)).sum();
    if size > LARGEST_SET {
        let message =
            format!("the {} records are {size} bytes, and {LARGEST_SET} are the most", set.record_type);
        context.problems.add(Code::TooMuch, set.place, message);
    }
}

/// The length of the data, names written out.
fn length(record: &RecordData) -> usize {
    match record {
        RecordData::A(_) => 4,
        RecordData::Aaaa(_) => 16,
        RecordData::Ns(name) | RecordData::Cname(name) | RecordData::Ptr(name) => name.as_wire().len(),
        RecordData::Mx { exchange, .. } => 2 + exchange.as_wire().len(),
        RecordData::Srv { target, .. } => 6 + target.as_wire().len(),
        RecordData::Txt(parts) => parts.iter().map(|part| 1 + part.len()).sum(),
        RecordData::Soa(soa) => 20 + soa.primary.as_wire().len() + soa.contact.as_wire().len(),
        RecordData::Other(_, data) => data.len(),
    }
}

/// Why an alias has nothing beside it.
pub(crate) const ALONE: &str = "an alias has nothing beside itself (RFC 1034 §3.6.2)";

/// Of these the last field is a name.
const HOLDS_NAME: [RecordType; 5] =
    [RecordType::CNAME, RecordType::NS, RecordType::PTR, RecordType::MX, RecordType::SRV];

/// Type, class, time-to-live, length, and a compressed owner.
const FIXED: usize = 12;

/// A message of 65,535 bytes has a head, a question and options besides.
const LARGEST_SET: usize = 64_000;
