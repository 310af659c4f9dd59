//! From zones to names that are ready to be looked up.

use std::collections::{BTreeMap, HashMap, HashSet};

use fulcrum_model::{DnsName, RecordData, RecordType};

use super::{Kind, Names, Node, ZoneEntry};
use crate::body::{Body, BodyWriter, Owner, Section, any_body, write_set};
use crate::query::{AUTHORITATIVE, NXDOMAIN};
use crate::zone::{RecordSet, Zone};

impl Names {
    /// The names of these zones. Where one zone is within another, the lower one answers for its names.
    pub fn new(zones: &[Zone]) -> Self {
        let numbers: HashMap<&DnsName, u32> =
            (0..).zip(zones).map(|(number, zone)| (&zone.name, number)).collect();
        let lower = lower(zones, &numbers);
        let builder = |(number, zone)| {
            let lower: &[&DnsName] = lower.get(&number).map_or(&[], Vec::as_slice);
            Builder { zone, number, numbers: &numbers, lower, above: above(zone, lower) }
        };
        let builders: Vec<Builder<'_>> = (0..).zip(zones).map(builder).collect();
        let mut nodes: BTreeMap<DnsName, Node> = BTreeMap::new();
        builders.iter().for_each(|builder| builder.add_all(&mut nodes));
        builders.iter().for_each(|builder| builder.join_lower(&mut nodes));
        let places: HashMap<Box<[u8]>, u32, _> =
            nodes.keys().zip(0..).map(|(name, place)| (Box::from(name.as_wire()), place)).collect();
        let wildcard = |name: &DnsName| places.get(name.child(b"*").ok()?.as_wire()).copied();
        let nodes =
            nodes.into_iter().map(|(name, node)| Node { wildcard: wildcard(&name), ..node }).collect();
        let entry = |zone: &Zone| ZoneEntry { name: zone.name.clone(), none: none(zone) };
        Names { nodes, zones: zones.iter().map(entry).collect(), places, any: any_body() }
    }
}

/// A name that has nothing.
fn empty(zone: u32) -> Node {
    Node { zone, kind: Kind::Plain, wildcard: None, sets: Box::default(), choice: None, signer: None }
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
    /// The zones right below.
    lower: &'a [&'a DnsName],
    /// The names above those that have something.
    above: HashSet<DnsName>,
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

fn above(zone: &Zone, lower: &[&DnsName]) -> HashSet<DnsName> {
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

impl Builder<'_> {
    fn add_all(&self, nodes: &mut BTreeMap<DnsName, Node>) {
        // The apex is there in any case.
        nodes.insert(self.zone.name.clone(), empty(self.number));
        for name in self.zone.names.keys().chain(self.zone.choices.keys()) {
            self.add(name, nodes);
        }
    }

    fn add(&self, name: &DnsName, nodes: &mut BTreeMap<DnsName, Node>) {
        if self.lower_zone(name).is_some() {
            return;
        }
        let cut = self.zone.cut_of(name);
        if cut.as_ref().is_none_or(|cut| cut == name) {
            nodes.insert(name.clone(), self.node(name, cut.is_some()));
            self.add_above(name, nodes);
        }
    }

    /// Zones below are part of the tree: the names on the way to them are there, and the signatures of their keys stay here.
    fn join_lower(&self, nodes: &mut BTreeMap<DnsName, Node>) {
        for apex in self.lower {
            if self.zone.cut_of(apex).is_some_and(|cut| cut != **apex) {
                continue;
            }
            let signer = Some(Box::new((self.number, self.set_body(apex, RecordType::DS))));
            nodes.entry(DnsName::clone(apex)).and_modify(|node| node.signer = signer);
            self.add_above(apex, nodes);
        }
    }

    /// Names between this one and the apex are there, too, if only as empty ones (RFC 8020).
    fn add_above(&self, name: &DnsName, nodes: &mut BTreeMap<DnsName, Node>) {
        let mut above = name.parent();
        while let Some(name) = above.filter(|name| *name != self.zone.name && name.is_within(&self.zone.name))
        {
            if nodes.contains_key(&name) {
                return;
            }
            above = name.parent();
            nodes.insert(name, empty(self.number));
        }
    }

    /// The apex of a zone between this zone and the name.
    fn lower_zone(&self, name: &DnsName) -> Option<DnsName> {
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
        let sets = self.zone.names.get(name).map_or(&[][..], Vec::as_slice);
        let alias = sets.iter().find(|set| set.record_type == RecordType::CNAME);
        let mut node = empty(self.number);
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
        let sets = self.zone.names.get(host).map_or(&[][..], Vec::as_slice);
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
    fn alias(&self, name: &DnsName, alias: &RecordSet) -> (Kind, Box<[(u16, Body)]>) {
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
                Box::default(),
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
                (Kind::Alias(Box::new([direct, writer.finish(AUTHORITATIVE | NXDOMAIN)])), Box::default())
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
                && self.zone.cut_of(&target).is_none();
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
        self.above.contains(name) || wildcard()
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
