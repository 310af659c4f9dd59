//! A zone: its names and their records, as zone files and the configuration give them, checked.

mod error;
pub mod file;
pub(crate) mod overlap;
mod sets;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fulcrum_model::{DnsName, RecordData, RecordType, Soa};
use smallvec::{SmallVec, smallvec};

use crate::body::fits;
use error::ERRORS_MAX;
pub use error::{ZoneError, ZoneProblem};
pub use sets::Sets;

/// A record, and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The name that has it.
    pub owner: DnsName,
    /// How long it may be remembered, in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: RecordData,
    /// The file that it stands in; `None` where there is none.
    pub file: Option<Arc<Path>>,
    /// The line that it stands in; 0 where there is no file.
    pub line: u32,
}

/// The records of one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// Their type.
    pub record_type: RecordType,
    /// The lowest of theirs: they share one (RFC 2181 §5.2). Seconds.
    pub ttl: u32,
    /// What they say; never empty, nothing twice.
    pub data: SmallVec<[RecordData; 1]>,
}

/// What a name has, by type: most names have one record.
pub type RecordSets = SmallVec<[RecordSet; 1]>;

/// A zone that can be served.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its apex.
    pub name: DnsName,
    /// Its start.
    pub soa: Soa,
    /// How long "there is none" may be remembered, in seconds (RFC 2308 §3: the lower of the start's TTL and minimum).
    pub negative_ttl: u32,
    /// All names that have records, also those below delegations.
    pub names: Sets,
    /// Names whose addresses depend on who asks, and the number of the choice that answers them.
    pub choices: BTreeMap<DnsName, u32>,
}

impl Zone {
    /// A zone of these records and choices, or everything that is wrong with them (the first hundred mistakes).
    pub fn new(
        name: DnsName,
        records: Vec<Record>,
        choices: BTreeMap<DnsName, u32>,
    ) -> Result<Self, Vec<ZoneError>> {
        let mut errors = Vec::new();
        let mut names = Sets::with_capacity(records.len());
        for record in records {
            if errors.len() >= ERRORS_MAX {
                return Err(errors);
            }
            let at = |problem| ZoneError { file: record.file.clone(), line: record.line, problem };
            if !record.owner.is_within(&name) {
                errors.push(at(ZoneProblem::Outside { name: record.owner.clone(), zone: name.clone() }));
                continue;
            }
            let sets = names.of(&record.owner);
            if let Err(problem) = conflict(sets, &record, &name, choices.contains_key(&record.owner)) {
                errors.push(at(problem));
                continue;
            }
            add(sets, record);
        }
        let of_zone = |problem| ZoneError { file: None, line: 0, problem };
        let apex = names.get(&name);
        let of_type = |wanted| apex.and_then(|sets| sets.iter().find(|set| set.record_type == wanted));
        let start = of_type(RecordType::SOA).and_then(|set| match set.data.first() {
            Some(RecordData::Soa(soa)) => Some((Soa::clone(soa), set.ttl)),
            _ => None,
        });
        if of_type(RecordType::NS).is_none() {
            errors.push(of_zone(ZoneProblem::NoServers(name.clone())));
        }
        let large = names.iter().flat_map(|(name, sets)| sets.iter().map(move |set| (name, set)));
        for (name, set) in large.filter(|(name, set)| !fits(name, &set.data)).take(ERRORS_MAX) {
            errors.push(of_zone(ZoneProblem::TooLarge(name.clone(), set.record_type)));
        }
        match start {
            None => errors.insert(0, of_zone(ZoneProblem::NoStart(name.clone()))),
            Some((soa, ttl)) if errors.is_empty() => {
                let negative_ttl = ttl.min(soa.minimum);
                return Ok(Zone { name, soa, negative_ttl, names, choices });
            }
            Some(_) => {}
        }
        Err(errors)
    }

    /// The records of a name of this type.
    pub fn set(&self, name: &DnsName, record_type: RecordType) -> Option<&RecordSet> {
        self.names.get(name)?.iter().find(|set| set.record_type == record_type)
    }

    /// The highest delegation that a name is at or below: who knows more of it. The apex is none.
    pub(crate) fn cut_of(&self, name: &DnsName) -> Option<DnsName> {
        let mut found = None;
        let mut above = Some(name.clone());
        while let Some(name) = above.filter(|name| *name != self.name && name.is_within(&self.name)) {
            above = name.parent();
            if self.set(&name, RecordType::NS).is_some() {
                found = Some(name);
            }
        }
        found
    }
}

/// What a record cannot be beside.
fn conflict(sets: &[RecordSet], record: &Record, zone: &DnsName, is_chosen: bool) -> Result<(), ZoneProblem> {
    let added = record.data.record_type();
    let owner = || record.owner.clone();
    let is_apex = record.owner == *zone;
    let has_alias = sets.iter().any(|set| set.record_type == RecordType::CNAME);
    let same = sets.iter().find(|set| set.record_type == added);
    match added {
        RecordType::SOA if !is_apex => Err(ZoneProblem::StartBelow(owner())),
        RecordType::SOA if same.is_some_and(|set| !set.data.contains(&record.data)) => {
            Err(ZoneProblem::TwoStarts(owner()))
        }
        RecordType::CNAME if same.is_some_and(|set| !set.data.contains(&record.data)) => {
            Err(ZoneProblem::TwoAliases(owner()))
        }
        RecordType::CNAME if is_chosen || sets.iter().any(|set| set.record_type != RecordType::CNAME) => {
            Err(ZoneProblem::AliasAndOthers(owner()))
        }
        RecordType::CNAME => Ok(()),
        RecordType::NS if !is_apex && (is_chosen || record.owner.is_wildcard()) => {
            Err(ZoneProblem::Delegated(owner()))
        }
        RecordType::A | RecordType::AAAA if is_chosen => Err(ZoneProblem::Chosen(owner())),
        _ if has_alias => Err(ZoneProblem::AliasAndOthers(owner())),
        _ if same.is_some_and(|set| set.data.len() >= SET_MAX) => Err(ZoneProblem::TooMany(owner())),
        _ => Ok(()),
    }
}

fn add(sets: &mut RecordSets, record: Record) {
    let record_type = record.data.record_type();
    let Some(set) = sets.iter_mut().find(|set| set.record_type == record_type) else {
        return sets.push(RecordSet { record_type, ttl: record.ttl, data: smallvec![record.data] });
    };
    set.ttl = set.ttl.min(record.ttl);
    if !set.data.contains(&record.data) {
        set.data.push(record.data);
    }
}

/// Records of one name and type: what no message holds is of no use, and comparing each with each has to end.
const SET_MAX: usize = 4096;

#[cfg(test)]
pub(crate) mod tests;
