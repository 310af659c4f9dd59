//! All names of all zones, and what is answered for each: looked up with one hash of the name that is asked for.

mod build;
mod table;

use fulcrum_model::{DnsName, RecordType};

use smallvec::SmallVec;

use crate::body::Body;

use table::Table;

/// The names of all zones. Built once; read by all threads.
#[derive(Debug)]
pub struct Names {
    table: Table,
    zones: Vec<ZoneEntry>,
    any: Body,
}

#[derive(Debug)]
struct ZoneEntry {
    name: DnsName,
    /// "There is none": the zone's start, with the TTL of negative answers.
    none: Body,
}

/// A name. What most queries need is in one piece of memory.
#[derive(Debug)]
struct Node {
    /// In wire form.
    name: SmallVec<[u8; 32]>,
    /// The zone that it belongs to.
    zone: u32,
    kind: Kind,
    /// The name with `*` in front of it.
    wildcard: Option<u32>,
    /// By type.
    sets: SmallVec<[(u16, Body); 1]>,
    /// What answers for its addresses.
    choice: Option<u32>,
    /// DS of the zone above, at a cut, or at the top of a zone.
    signer: Option<Box<(u32, Option<Body>)>>,
}

#[derive(Debug)]
enum Kind {
    /// It is answered here.
    Plain,
    /// An alias: its own answer, and the one for types that its target does not have.
    Alias(Box<[Body; 2]>),
    /// Others answer for it and everything below.
    Cut(Box<Body>),
}

/// What there is to say of a name and a type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    /// This.
    Body(&'a Body),
    /// What this choice says; nothing of the type, if it does not have any.
    Choice(u32, Zone<'a>),
    /// One label below a name that this choice answers for: perhaps what it is made of has a name; else there is none.
    Below(u32, Zone<'a>),
    /// Everything at once is asked for: the shortest answer (RFC 8482).
    Any,
    /// The name is there, but has nothing of the type.
    NoData(Zone<'a>),
    /// There is no such name.
    NoName(Zone<'a>),
    /// It is in no zone.
    Nowhere,
}

/// The zone that an answer comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zone<'a> {
    /// Its number.
    #[cfg(test)]
    pub(crate) number: u32,
    /// The authority section of "there is none".
    pub(crate) none: &'a Body,
}

impl Names {
    /// The apex of each zone, in the order of their numbers.
    pub fn zones(&self) -> impl Iterator<Item = &DnsName> {
        self.zones.iter().map(|zone| &zone.name)
    }

    /// How many names there are, empty ones included.
    pub fn count(&self) -> usize {
        self.table.nodes().len()
    }

    /// The answer to who wants everything.
    pub(crate) fn any(&self) -> &Body {
        &self.any
    }

    /// What there is of a name in wire form and lower case.
    pub(crate) fn find(&self, name: &[u8], record_type: u16) -> (Found<'_>, u32) {
        if let Some(node) = self.table.find(name) {
            return (self.of(node, record_type), node.zone);
        }
        // The closest name above that is there (RFC 4592 §3.3.1).
        let mut rest = name;
        while let Some((&length, behind)) = rest.split_first().filter(|(length, _)| **length > 0) {
            rest = behind.get(usize::from(length)..).unwrap_or_default();
            let Some(node) = self.table.find(rest) else { continue };
            let found = match (&node.kind, node.wildcard) {
                (Kind::Cut(referral), _) => Found::Body(referral),
                (_, Some(wildcard)) => self.of(&self.table.nodes()[wildcard as usize], record_type),
                (_, None) => {
                    match node.choice.filter(|_| name.len() - rest.len() == 1 + usize::from(name[0])) {
                        Some(choice) => Found::Below(choice, self.zone(node.zone)),
                        None => Found::NoName(self.zone(node.zone)),
                    }
                }
            };
            return (found, node.zone);
        }
        (Found::Nowhere, u32::MAX)
    }

    fn of<'a>(&'a self, node: &'a Node, record_type: u16) -> Found<'a> {
        let zone = || self.zone(node.zone);
        if record_type == RecordType::DS.0
            && let Some(signer) = &node.signer
        {
            return match &signer.1 {
                Some(body) => Found::Body(body),
                None => Found::NoData(self.zone(signer.0)),
            };
        }
        if let Kind::Cut(referral) = &node.kind {
            return Found::Body(referral);
        }
        if let Some((_, body)) = node.sets.iter().find(|(known, _)| *known == record_type) {
            return Found::Body(body);
        }
        match &node.kind {
            Kind::Alias(_) if is_of_signatures(record_type) => Found::NoData(zone()),
            Kind::Alias(bodies) if is_of_alias(record_type) => Found::Body(&bodies[0]),
            Kind::Alias(bodies) => Found::Body(&bodies[1]),
            _ if node.sets.is_empty() && node.choice.is_none() => Found::NoData(zone()),
            _ if record_type == RecordType::ANY.0 => Found::Any,
            // An alias that a choice gives has none either.
            _ if is_of_signatures(record_type) => Found::NoData(zone()),
            _ => node.choice.map_or(Found::NoData(zone()), |choice| Found::Choice(choice, zone())),
        }
    }

    fn zone(&self, number: u32) -> Zone<'_> {
        Zone {
            #[cfg(test)]
            number,
            none: &self.zones[number as usize].none,
        }
    }
}

/// Of an alias these are asked for themselves.
fn is_of_alias(record_type: u16) -> bool {
    [RecordType::CNAME.0, RecordType::ANY.0].contains(&record_type)
}

/// An alias has these of its own (RFC 4035 §2.5).
fn is_of_signatures(record_type: u16) -> bool {
    [RecordType::RRSIG.0, RecordType::NSEC.0].contains(&record_type)
}

#[cfg(test)]
mod tests;
