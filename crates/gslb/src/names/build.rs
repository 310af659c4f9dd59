//! From zones to names that are ready to be looked up.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use fulcrum_model::{DnsName, RecordData, RecordType};
use smallvec::SmallVec;

use super::table::Table;
use super::{Kind, Names, Node, ZoneEntry};
use crate::body::{Body, BodyWriter, Owner, Section, any_body, write_set};
use crate::query::{AUTHORITATIVE, NXDOMAIN};
use crate::zone::{RecordSet, RecordSets, Zone};

impl Names {
    /// The names of these zones. Where one zone is within another, the lower one answers for its names.
    pub fn new(zones: &[Zone]) -> Self {
        let numbers: HashMap<&DnsName, u32> =
            (0..).zip(zones).map(|(number, zone)| (&zone.name, number)).collect();
        let lower = lower(zones, &numbers);
        let builder = |(number, zone)| {
            let lower: &[&DnsName] = lower.get(&number).map_or(&[], Vec::as_slice);
            Builder::new(zone, (number, &numbers), lower)
        };
        let builders: Vec<Builder<'_>> = (0..).zip(zones).map(builder).collect();
        let names = |zone: &Zone| zone.names.len() + zone.choices.len();
        let mut table = Table::with_capacity(zones.iter().map(names).sum());
        builders.iter().for_each(|builder| builder.add_all(&mut table));
        builders.iter().for_each(|builder| builder.join_lower(&mut table));
        link_wildcards(&mut table);
        let entry = |zone: &Zone| ZoneEntry { name: zone.name.clone(), none: none(zone) };
        Names { table, zones: zones.iter().map(entry).collect(), any: any_body() }
    }
}

/// A name that has nothing.
pub(super) fn empty(name: &[u8], zone: u32) -> Node {
    Node {
        name: SmallVec::from_slice(name),
        zone,
        kind: Kind::Plain,
        wildcard: None,
        sets: SmallVec::new(),
        choice: None,
        signer: None,
    }
}

/// Puts a node in the place of one with its name, if there is one.
fn place(table: &mut Table, node: Node) {
    match table.place(&node.name) {
        Some(place) => table.nodes_mut()[place as usize] = node,
        None => drop(table.insert(node)),
    }
}

/// Tells each name with a `*` below it of that.
fn link_wildcards(table: &mut Table) {
    for place in 0..table.nodes().len() {
        let Some(above) = table.nodes()[place].name.strip_prefix(b"\x01*") else { continue };
        if let Some(above) = table.place(above) {
            table.nodes_mut()[above as usize].wildcard = Some(place as u32);
        }
    }
}

/// The name without its first label; of the root nothing.
fn above(name: &[u8]) -> &[u8] {
    match name.split_first() {
        Some((&length, rest)) => rest.get(usize::from(length)..).unwrap_or_default(),
        None => &[],
    }
}

/// The authority section of "there is none" (RFC 2308 §3), behind a question for any name of the zone.
fn none(zone: &Zone) -> Body {
    let mut writer = BodyWriter::new(&zone.name);
    authority(&mut writer, zone);
    writer.finish(AUTHORITATIVE)
}

fn authority(writer: &mut BodyWriter, zone: &Zone) {
    let start = RecordData::Soa(Box::new(zone.soa.clone()));
    writer.record(Section::Authority, Owner::Name(&zone.name), zone.negative_ttl, &start);
}

struct Builder<'a> {
    zone: &'a Zone,
    number: u32,
    numbers: &'a HashMap<&'a DnsName, u32>,
    /// The zones right below: mostly none.
    lower: &'a [&'a DnsName],
    /// Whether others answer for some names of it.
    has_cuts: bool,
    /// The names above those that have something; worked out when it is asked for.
    above: OnceCell<HashSet<DnsName>>,
}

/// By zone, the apexes of those right below it.
fn lower<'a>(zones: &'a [Zone], numbers: &HashMap<&DnsName, u32>) -> HashMap<u32, Vec<&'a DnsName>> {
    let mut found: HashMap<u32, Vec<&DnsName>> = HashMap::new();
    for Zone { name, .. } in zones {
        let mut above = name.parent();
        while let Some(upper) = above {
            if let Some(&number) = numbers.get(&upper) {
                found.entry(number).or_default().push(name);
                break;
            }
            above = upper.parent();
        }
    }
    found
}

fn names_above(zone: &Zone, lower: &[&DnsName]) -> HashSet<DnsName> {
    let mut found = HashSet::new();
    for name in zone.names.keys().chain(zone.choices.keys()).chain(lower.iter().copied()) {
        let mut above = name.parent();
        while let Some(name) = above.filter(|name| name.is_within(&zone.name)) {
            above = name.parent();
            if !found.insert(name) {
                break;
            }
        }
    }
    found
}

impl<'a> Builder<'a> {
    fn new(
        zone: &'a Zone,
        (number, numbers): (u32, &'a HashMap<&'a DnsName, u32>),
        lower: &'a [&'a DnsName],
    ) -> Self {
        let is_cut = |(name, sets): (&DnsName, &RecordSets)| {
            *name != zone.name && sets.iter().any(|set| set.record_type == RecordType::NS)
        };
        let has_cuts = zone.names.iter().any(is_cut);
        Builder { zone, number, numbers, lower, has_cuts, above: OnceCell::new() }
    }

    fn add_all(&self, table: &mut Table) {
        // The apex is there in any case.
        place(table, empty(self.zone.name.as_wire(), self.number));
        for name in self.zone.names.keys().chain(self.zone.choices.keys()) {
            self.add(name, table);
        }
    }

    fn add(&self, name: &DnsName, table: &mut Table) {
        if self.lower_zone(name).is_some() {
            return;
        }
        let cut = self.cut_of(name);
        if cut.as_ref().is_none_or(|cut| cut == name) {
            place(table, self.node(name, cut.is_some()));
            self.add_above(name, table);
        }
    }

    /// Zones below are part of the tree: the names on the way to them are there, and the signatures of their keys stay here.
    fn join_lower(&self, table: &mut Table) {
        for apex in self.lower {
            if self.cut_of(apex).is_some_and(|cut| cut != **apex) {
                continue;
            }
            let signer = Some(Box::new((self.number, self.set_body(apex, RecordType::DS))));
            if let Some(place) = table.place(apex.as_wire()) {
                table.nodes_mut()[place as usize].signer = signer;
            }
            self.add_above(apex, table);
        }
    }

    /// Names between this one and the apex are there, too, if only as empty ones (RFC 8020).
    fn add_above(&self, name: &DnsName, table: &mut Table) {
        let mut name = above(name.as_wire());
        // They are all within the zone.
        while name.len() > self.zone.name.as_wire().len() && table.place(name).is_none() {
            table.insert(empty(name, self.number));
            name = above(name);
        }
    }

    fn cut_of(&self, name: &DnsName) -> Option<DnsName> {
        if self.has_cuts { self.zone.cut_of(name) } else { None }
    }

    /// The apex of a zone between this zone and the name.
    fn lower_zone(&self, name: &DnsName) -> Option<DnsName> {
        if self.lower.is_empty() {
            return None;
        }
        let mut above = Some(name.clone());
        while let Some(name) = above.filter(|name| *name != self.zone.name) {
            if self.numbers.contains_key(&name) {
                return Some(name);
            }
            above = name.parent();
        }
        None
    }

    fn node(&self, name: &DnsName, is_cut: bool) -> Node {
        let sets = self.zone.names.get(name).map_or(&[][..], RecordSets::as_slice);
        let alias = sets.iter().find(|set| set.record_type == RecordType::CNAME);
        let mut node = empty(name.as_wire(), self.number);
        if is_cut {
            node.kind = Kind::Cut(Box::new(self.referral(name)));
            node.signer = Some(Box::new((self.number, self.set_body(name, RecordType::DS))));
        } else if let Some(alias) = alias {
            let (kind, sets) = self.alias(name, alias);
            (node.kind, node.sets) = (kind, sets);
        } else {
            let body = |set: &RecordSet| (set.record_type.0, self.body(name, set));
            node.sets = sets.iter().map(body).collect();
            node.choice = self.zone.choices.get(name).copied();
        }
        node
    }

    fn set_body(&self, name: &DnsName, record_type: RecordType) -> Option<Body> {
        self.zone.set(name, record_type).map(|set| self.body(name, set))
    }

    /// The answer with these records, and with the addresses of the hosts that they name.
    fn body(&self, name: &DnsName, set: &RecordSet) -> Body {
        let mut writer = BodyWriter::new(name);
        let is_whole = write_set(&mut writer, Section::Answer, Owner::Question, set.ttl, &set.data);
        debug_assert!(is_whole, "no zone has larger ones");
        // Several services may be at one host.
        let mut known = HashSet::new();
        for host in set.data.iter().filter_map(host).filter(|host| known.insert(*host)) {
            self.addresses(&mut writer, Section::Additional, host);
        }
        writer.finish(AUTHORITATIVE)
    }

    /// As far as there is room: who needs them can ask for them.
    fn addresses(&self, writer: &mut BodyWriter, section: Section, host: &DnsName) {
        let sets = self.zone.names.get(host).map_or(&[][..], RecordSets::as_slice);
        for set in sets.iter().filter(|set| [RecordType::A, RecordType::AAAA].contains(&set.record_type)) {
            let _ = write_set(writer, section, Owner::Name(host), set.ttl, &set.data);
        }
    }

    /// Who answers for a name, with the addresses of servers that are below it (RFC 9471).
    fn referral(&self, name: &DnsName) -> Body {
        let mut writer = BodyWriter::new(name);
        if let Some(servers) = self.zone.set(name, RecordType::NS) {
            let owner = Owner::Name(name);
            let is_whole = write_set(&mut writer, Section::Authority, owner, servers.ttl, &servers.data);
            debug_assert!(is_whole, "no zone has larger ones");
            let hosts = || servers.data.iter().filter_map(host);
            for host in hosts().filter(|host| host.is_within(name)) {
                self.addresses(&mut writer, Section::Glue, host);
            }
            for host in hosts().filter(|host| !host.is_within(name)) {
                self.addresses(&mut writer, Section::Additional, host);
            }
        }
        writer.finish(0)
    }

    /// An alias with what its target has, as far as the zone knows that and it does not depend on who asks.
    fn alias(&self, name: &DnsName, alias: &RecordSet) -> (Kind, SmallVec<[(u16, Body); 1]>) {
        let chain = self.chain(name, alias);
        let write = |links: &[(DnsName, &RecordSet)]| {
            let mut writer = BodyWriter::new(name);
            let mut is_whole =
                write_set(&mut writer, Section::Answer, Owner::Question, alias.ttl, &alias.data);
            for (owner, set) in links {
                is_whole &= write_set(&mut writer, Section::Answer, Owner::Name(owner), set.ttl, &set.data);
            }
            debug_assert!(is_whole, "a few names are never too large");
            writer
        };
        let direct = write(&[]).finish(AUTHORITATIVE);
        match chain.end {
            End::Elsewhere => (
                Kind::Alias(Box::new([direct.clone(), write(&chain.links).finish(AUTHORITATIVE)])),
                SmallVec::new(),
            ),
            End::Name(target, sets) => {
                let body = |set: &RecordSet| {
                    let mut writer = write(&chain.links);
                    // Beside the links there may be no room for it: then it is asked for by itself.
                    let _ = write_set(&mut writer, Section::Answer, Owner::Name(&target), set.ttl, &set.data);
                    (set.record_type.0, writer.finish(AUTHORITATIVE))
                };
                let mut writer = write(&chain.links);
                authority(&mut writer, self.zone);
                (
                    Kind::Alias(Box::new([direct, writer.finish(AUTHORITATIVE)])),
                    sets.iter().map(body).collect(),
                )
            }
            End::Nothing => {
                let mut writer = write(&chain.links);
                authority(&mut writer, self.zone);
                (Kind::Alias(Box::new([direct, writer.finish(AUTHORITATIVE | NXDOMAIN)])), SmallVec::new())
            }
        }
    }

    /// Follows an alias within the zone.
    fn chain<'b>(&'b self, name: &DnsName, alias: &'b RecordSet) -> Chain<'b> {
        let mut chain = Chain { links: Vec::new(), end: End::Elsewhere };
        let mut target = match alias.data.first() {
            Some(RecordData::Cname(target)) => target.clone(),
            _ => return chain,
        };
        while chain.links.len() < LINKS_MAX && target != *name {
            let is_ours = target.is_within(&self.zone.name)
                && self.lower_zone(&target).is_none()
                && self.cut_of(&target).is_none();
            if !is_ours || self.zone.choices.contains_key(&target) {
                return chain;
            }
            let Some(sets) = self.zone.names.get(&target) else {
                if !self.is_covered(&target) {
                    chain.end = End::Nothing;
                }
                return chain;
            };
            match sets.iter().find(|set| set.record_type == RecordType::CNAME) {
                None => {
                    chain.end = End::Name(target, sets);
                    return chain;
                }
                Some(next) => {
                    let owner = target;
                    target = match next.data.first() {
                        Some(RecordData::Cname(target)) => target.clone(),
                        _ => return chain,
                    };
                    chain.links.push((owner, next));
                }
            }
        }
        // It leads back to itself, or nowhere: whoever asks finds out.
        chain.links.clear();
        chain
    }

    /// Whether a name that has nothing of its own is there nevertheless: above others, or by a wildcard.
    fn is_covered(&self, name: &DnsName) -> bool {
        let wildcard = || {
            let mut above = name.parent();
            while let Some(parent) = above.filter(|parent| parent.is_within(&self.zone.name)) {
                if parent.child(b"*").is_ok_and(|wildcard| self.has(&wildcard)) {
                    return true;
                }
                above = parent.parent();
            }
            false
        };
        self.above.get_or_init(|| names_above(self.zone, self.lower)).contains(name) || wildcard()
    }

    fn has(&self, name: &DnsName) -> bool {
        self.zone.names.contains_key(name) || self.zone.choices.contains_key(name)
    }
}

/// Where an alias leads to.
struct Chain<'a> {
    /// The further aliases on the way.
    links: Vec<(DnsName, &'a RecordSet)>,
    end: End<'a>,
}

enum End<'a> {
    /// Others know, it depends on who asks, or it never ends.
    Elsewhere,
    /// A name of the zone.
    Name(DnsName, &'a [RecordSet]),
    /// There is no such name.
    Nothing,
}

/// The host that a record names.
fn host(data: &RecordData) -> Option<&DnsName> {
    match data {
        RecordData::Ns(host) => Some(host),
        RecordData::Mx { exchange, .. } => Some(exchange),
        RecordData::Srv { target, .. } => Some(target),
        _ => None,
    }
}

/// Aliases of aliases that are followed.
const LINKS_MAX: usize = 8;
