//! All names of all zones, and what is answered for each: looked up with one hash of the name that is asked for.

mod build;
mod index;

use std::sync::Arc;

use fulcrum_model::{DnsName, RecordType};

use smallvec::SmallVec;

use crate::body::Body;
use crate::table::Named;

pub(crate) use build::lower;
use index::Index;

/// The names of all zones. Built once; read by all threads.
#[derive(Debug)]
pub struct Names {
    index: Index,
    zones: Vec<ZoneEntry>,
    any: Body,
}

/// A zone among others.
#[derive(Debug)]
struct ZoneEntry {
    of: Arc<ZoneNames>,
    /// The number of its first choice.
    first_choice: u32,
    /// The zone above, and the DS that it has of this one.
    signer: Option<(u32, Option<Body>)>,
}

/// The names of one zone, by themselves: they stay while the zone does, whatever becomes of others.
#[derive(Debug)]
pub(crate) struct ZoneNames {
    name: DnsName,
    /// "There is none": the zone's start, with the TTL of negative answers.
    none: Body,
    /// That of the apex is the first.
    nodes: Vec<Node>,
    /// Those of the nodes' names.
    hashes: Vec<u32>,
    /// The apexes of zones right below that are part of its tree, and the DS that it has of them.
    lower: Vec<(DnsName, Option<Body>)>,
}

/// A name. What most queries need is in one piece of memory.
#[derive(Debug)]
struct Node {
    /// In wire form.
    name: SmallVec<[u8; 32]>,
    kind: Kind,
    /// The name with `*` in front of it: its place in the zone, or [`ELSEWHERE`].
    wildcard: Option<u32>,
    /// By type.
    sets: SmallVec<[(u16, Body); 1]>,
    /// What answers for its addresses: its number among the choices of the zone.
    choice: Option<u32>,
    /// At a cut, its DS.
    signer: Option<Box<Option<Body>>>,
}

impl Named for Node {
    fn name(&self) -> &[u8] {
        &self.name
    }
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
        self.zones.iter().map(|zone| &zone.of.name)
    }

    /// How many names there are, empty ones included.
    pub fn count(&self) -> usize {
        self.zones.iter().map(|zone| zone.of.nodes.len()).sum()
    }

    /// The answer to who wants everything.
    pub(crate) fn any(&self) -> &Body {
        &self.any
    }

    /// What there is of a name in wire form and lower case.
    pub(crate) fn find(&self, name: &[u8], record_type: u16) -> (Found<'_>, u32) {
        if let Some(found @ (zone, ..)) = self.index.find(&self.zones, name) {
            return (self.of(found, record_type), zone);
        }
        // The closest name above that is there (RFC 4592 §3.3.1).
        let mut rest = name;
        while let Some((&length, behind)) = rest.split_first().filter(|(length, _)| **length > 0) {
            rest = behind.get(usize::from(length)..).unwrap_or_default();
            let Some((number, _, node)) = self.index.find(&self.zones, rest) else { continue };
            let is_right_below = name.len() - rest.len() == 1 + usize::from(name[0]);
            let found = match (&node.kind, node.wildcard) {
                (Kind::Cut(referral), _) => Found::Body(referral),
                (_, Some(wildcard)) => self.of_wildcard(rest, (number, wildcard), record_type),
                (_, None) => match node.choice.filter(|_| is_right_below) {
                    Some(choice) => Found::Below(self.choice(number, choice), self.zone(number)),
                    None => Found::NoName(self.zone(number)),
                },
            };
            return (found, number);
        }
        (Found::Nowhere, u32::MAX)
    }

    /// What there is of the wildcard below a name.
    fn of_wildcard(&self, above: &[u8], (zone, place): (u32, u32), record_type: u16) -> Found<'_> {
        let found = match self.zones[zone as usize].of.nodes.get(place as usize) {
            Some(node) => Some((zone, place, node)),
            None => self.index.find(&self.zones, &[b"\x01*", above].concat()),
        };
        // Who put it elsewhere knows that it is there.
        found.map_or(Found::NoName(self.zone(zone)), |found| self.of(found, record_type))
    }

    fn choice(&self, zone: u32, choice: u32) -> u32 {
        self.zones[zone as usize].first_choice + choice
    }

    /// The DS of a name that a zone begins with, or ends at.
    fn signer<'a>(&'a self, (number, place, node): (u32, u32, &'a Node)) -> Option<(u32, &'a Option<Body>)> {
        let signer = self.zones[number as usize].signer.as_ref().filter(|_| place == 0);
        let own = node.signer.as_ref().map(|signer| (number, &**signer));
        signer.map(|(above, signer)| (*above, signer)).or(own)
    }

    fn of<'a>(&'a self, found: (u32, u32, &'a Node), record_type: u16) -> Found<'a> {
        let (number, _, node) = found;
        let zone = || self.zone(number);
        if record_type == RecordType::DS.0
            && let Some((of, signer)) = self.signer(found)
        {
            return signer.as_ref().map_or(Found::NoData(self.zone(of)), Found::Body);
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
            _ => node
                .choice
                .map_or(Found::NoData(zone()), |choice| Found::Choice(self.choice(number, choice), zone())),
        }
    }

    fn zone(&self, number: u32) -> Zone<'_> {
        Zone {
            #[cfg(test)]
            number,
            none: &self.zones[number as usize].of.none,
        }
    }
}

/// The place of a wildcard that another zone begins with.
const ELSEWHERE: u32 = u32::MAX;

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
