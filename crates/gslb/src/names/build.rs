//! From zones to names that are ready to be looked up.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fulcrum_model::{DnsName, RecordData, RecordType};
use smallvec::SmallVec;

use super::index::Index;
use super::{ELSEWHERE, Kind, Names, Node, ZoneEntry, ZoneNames};
use crate::body::{Body, BodyWriter, Owner, Section, address_body, any_body, write_set};
use crate::query::{AUTHORITATIVE, NXDOMAIN};
use crate::table::Table;
use crate::zone::{RecordSet, RecordSets, Zone};

impl Names {
    /// The names of these zones. Where one zone is within another, the lower one answers for its names.
    /// Choices have the numbers that the zones say.
    pub fn new(zones: &[Zone]) -> Self {
        let lower = lower(zones.iter().map(|zone| &zone.name));
        let of = |zone: &Zone| {
            let lower: &[&DnsName] = lower.get(&zone.name).map_or(&[], Vec::as_slice);
            (Arc::new(ZoneNames::new(zone, lower)), 0)
        };
        Names::joined(zones.iter().map(of).collect())
    }

    /// The names of these zones, which know of each other; with each zone the number of its first choice.
    pub(crate) fn joined(zones: Vec<(Arc<ZoneNames>, u32)>) -> Self {
        let entry = |(of, first_choice)| ZoneEntry { of, first_choice, signer: None };
        let mut zones: Vec<ZoneEntry> = zones.into_iter().map(entry).collect();
        let signers: HashMap<DnsName, (u32, Option<Body>)> = (0..)
            .zip(&zones)
            .flat_map(|(number, zone)| zone.of.lower.iter().map(move |lower| (number, lower)))
            .map(|(number, (apex, signer))| (apex.clone(), (number, signer.clone())))
            .collect();
        for zone in &mut zones {
            zone.signer = signers.get(&zone.of.name).cloned();
        }
        Names { index: Index::new(&zones), zones, any: any_body() }
    }
}

impl ZoneNames {
    /// The names of a zone; `lower` are the apexes of the zones right below it.
    pub(crate) fn new(zone: &Zone, lower: &[&DnsName]) -> Self {
        let builder = Builder::new(zone, lower);
        let mut table = Table::with_capacity(1 + zone.names.len() + zone.choices.len());
        builder.add_all(&mut table);
        let lower = builder.join_lower(&mut table);
        link_wildcards(&mut table, &lower);
        let (nodes, hashes) = table.into_parts();
        ZoneNames { name: zone.name.clone(), none: none(zone), nodes, hashes, lower }
    }
}

/// A name that has nothing.
fn empty(name: &[u8]) -> Node {
    Node {
        name: SmallVec::from_slice(name),
        kind: Kind::Plain,
        wildcard: None,
        sets: SmallVec::new(),
        choice: None,
        signer: None,
    }
}

/// Tells each name with a `*` below it of that.
fn link_wildcards(table: &mut Table<Node>, lower: &[(DnsName, Option<Body>)]) {
    let own =
        (0..).zip(table.things()).filter_map(|(place, node)| Some((above_of(table, &node.name)?, place)));
    let lower = lower.iter().filter_map(|(apex, _)| Some((above_of(table, apex.as_wire())?, ELSEWHERE)));
    let links: Vec<(u32, u32)> = own.chain(lower).collect();
    for (above, place) in links {
        table.things_mut()[above as usize].wildcard = Some(place);
    }
}

/// The place of the name that a wildcard is below; of other names nothing.
fn above_of(table: &Table<Node>, name: &[u8]) -> Option<u32> {
    table.place(name.strip_prefix(b"\x01*")?)
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
    /// The zones right below: mostly none.
    lower: &'a [&'a DnsName],
    /// Their apexes in wire form.
    apexes: HashSet<&'a [u8]>,
    /// Whether others answer for some names of it.
    has_cuts: bool,
    /// The names above those that have something; worked out when it is asked for.
    above: OnceCell<HashSet<DnsName>>,
}

/// By zone, the apexes of those right below it.
pub(crate) fn lower<'a>(apexes: impl Iterator<Item = &'a DnsName>) -> HashMap<DnsName, Vec<&'a DnsName>> {
    let apexes: Vec<&DnsName> = apexes.collect();
    let known: HashSet<&DnsName> = apexes.iter().copied().collect();
    let mut found: HashMap<DnsName, Vec<&DnsName>> = HashMap::new();
    for name in apexes {
        let mut above = name.parent();
        while let Some(upper) = above {
            above = upper.parent();
            if known.contains(&upper) {
                found.entry(upper).or_default().push(name);
                break;
            }
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
    fn new(zone: &'a Zone, lower: &'a [&'a DnsName]) -> Self {
        let is_cut = |(name, sets): (&DnsName, &RecordSets)| {
            *name != zone.name && sets.iter().any(|set| set.record_type == RecordType::NS)
        };
        let has_cuts = zone.names.iter().any(is_cut);
        let apexes = lower.iter().map(|apex| apex.as_wire()).collect();
        Builder { zone, lower, apexes, has_cuts, above: OnceCell::new() }
    }

    fn add_all(&self, table: &mut Table<Node>) {
        // The apex is there in any case, and the first.
        table.put(empty(self.zone.name.as_wire()));
        for (name, sets) in self.zone.names.iter() {
            self.add(name, sets, table);
        }
        for name in self.zone.choices.keys().filter(|name| !self.zone.names.contains(name)) {
            self.add(name, &[], table);
        }
    }

    fn add(&self, name: &DnsName, sets: &[RecordSet], table: &mut Table<Node>) {
        if self.is_lower(name) {
            return;
        }
        let cut = self.cut_of(name);
        if cut.as_ref().is_none_or(|cut| cut == name) {
            table.put(self.node(name, sets, cut.is_some()));
            self.add_above(name, table);
        }
    }

    /// Zones below are part of the tree: the names on the way to them are there, and the signatures of their keys stay here.
    fn join_lower(&self, table: &mut Table<Node>) -> Vec<(DnsName, Option<Body>)> {
        let is_ours = |apex: &&&DnsName| self.cut_of(apex).is_none_or(|cut| cut == ***apex);
        let joined = self.lower.iter().filter(is_ours).map(|apex| {
            self.add_above(apex, table);
            (DnsName::clone(apex), self.set_body(apex, RecordType::DS))
        });
        joined.collect()
    }

    /// Names between this one and the apex are there, too, if only as empty ones (RFC 8020).
    fn add_above(&self, name: &DnsName, table: &mut Table<Node>) {
        let mut name = above(name.as_wire());
        // They are all within the zone.
        while name.len() > self.zone.name.as_wire().len() && table.place(name).is_none() {
            table.put(empty(name));
            name = above(name);
        }
    }

    fn cut_of(&self, name: &DnsName) -> Option<DnsName> {
        if self.has_cuts { self.zone.cut_of(name) } else { None }
    }

    /// Whether there is the apex of a zone between this zone and the name.
    fn is_lower(&self, name: &DnsName) -> bool {
        if self.apexes.is_empty() {
            return false;
        }
        let (mut name, zone) = (name.as_wire(), self.zone.name.as_wire().len());
        while name.len() > zone && !self.apexes.contains(name) {
            name = above(name);
        }
        name.len() > zone
    }

    fn node(&self, name: &DnsName, sets: &[RecordSet], is_cut: bool) -> Node {
        let alias = sets.iter().find(|set| set.record_type == RecordType::CNAME);
        let mut node = empty(name.as_wire());
        if is_cut {
            node.kind = Kind::Cut(Box::new(self.referral(name)));
            node.signer = Some(Box::new(self.set_body(name, RecordType::DS)));
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
        if let Some(body) = address_body(name, set.ttl, &set.data) {
            return body;
        }
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
                && !self.is_lower(&target)
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
        self.zone.names.contains(name) || self.zone.choices.contains_key(name)
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
