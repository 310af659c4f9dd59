//! The instances of one service, as answers are put together from them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use fulcrum_model::DnsName;

use super::label;
use crate::hosts::spread;

/// An instance, as whoever fills the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its id in the registry.
    pub id: String,
    /// Where it is.
    pub address: IpAddr,
    /// Its main port.
    pub port: u16,
    /// Further ports by their names.
    pub ports: Vec<(String, u16)>,
    /// Its share relative to the others.
    pub weight: u16,
    /// Whether it takes new work. If not, it only keeps its own name.
    pub takes_work: bool,
}

/// The instances of a service at one moment.
#[derive(Debug)]
pub struct Instances {
    /// The name of the service, in wire form.
    pub(super) owner: Box<[u8]>,
    pub(super) ttl: u32,
    /// By label.
    pub(super) entries: Box<[Entry]>,
    /// Those that answer for the service by their IPv4 addresses, and by those of IPv6, each address once: where they are among the
    /// entries.
    pub(super) v4: Box<[u32]>,
    pub(super) v6: Box<[u32]>,
    /// Those with a main port: all that answer.
    pub(super) main: Box<[Door]>,
    /// Those with a port of this name.
    pub(super) named: Named,
}

/// By the names of ports.
type Named = Box<[(Box<[u8]>, Box<[Door]>)]>;

/// What is answered of an instance.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) label: Box<[u8]>,
    pub(super) address: IpAddr,
    /// Spread over 0 to 65,535: some clients divide it by 256.
    pub(super) weight: u16,
}

/// A port of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) entry: u32,
    pub(super) port: u16,
}

impl Instances {
    /// Of the service with this name.
    pub(super) fn new(owner: &DnsName, ttl: u32, hosts: Vec<Host>) -> Self {
        let mut hosts: Vec<_> = hosts.into_iter().map(|host| (label::of_instance(&host.id), host)).collect();
        // A label that does not fit in front of the name has no name.
        hosts.retain(|(label, _)| 1 + label.len() + owner.as_wire().len() <= LONGEST);
        hosts.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.id.cmp(&b.id)));
        let answering = || (0..).zip(&hosts).filter(|(_, (_, host))| host.takes_work);
        let most = answering().map(|(_, (_, host))| host.weight).max().unwrap_or(0);
        // Without any weight all are alike.
        let counts = |host: &Host| host.weight > 0 || most == 0;
        let family = |wants_v4: bool| {
            let of = answering().filter(|(_, (_, host))| host.address.is_ipv4() == wants_v4 && counts(host));
            let mut of: Vec<(IpAddr, u32)> = of.map(|(place, (_, host))| (host.address, place)).collect();
            // No record twice (RFC 2181 §5): several at one address are one answer.
            of.sort_unstable();
            of.dedup_by_key(|(address, _)| *address);
            of.into_iter().map(|(_, place)| place).collect()
        };
        let door = |(entry, (_, host)): (u32, &(_, Host))| Door { entry, port: host.port };
        let (v4, v6, main) = (family(true), family(false), answering().map(door).collect());
        let named = named(answering());
        let entry = |(label, host): (Box<[u8]>, Host)| Entry {
            label,
            address: host.address,
            weight: spread(host.weight, most),
        };
        let entries = hosts.into_iter().map(entry).collect();
        Instances { owner: owner.as_wire().into(), ttl, entries, v4, v6, main, named }
    }

    /// Where those with this label are: one, unless two ids have the same.
    pub(super) fn find(&self, label: &[u8]) -> Range<usize> {
        let start = self.entries.partition_point(|entry| *entry.label < *label);
        let count = self.entries[start..].partition_point(|entry| *entry.label == *label);
        start..start + count
    }

    /// The number of the list of those with a port of this name; where there are none, of those with a main port.
    pub(super) fn list(&self, port: Option<&[u8]>) -> usize {
        let named = port.and_then(|port| self.named.iter().position(|(name, _)| **name == *port));
        named.map_or(0, |place| place + 1)
    }

    /// A list by its number.
    pub(super) fn doors(&self, list: usize) -> &[Door] {
        let named = list.checked_sub(1).and_then(|place| self.named.get(place));
        named.map_or(&self.main, |(_, doors)| doors)
    }
}

fn named<'a>(answering: impl Iterator<Item = (u32, &'a (Box<[u8]>, Host))>) -> Named {
    let mut named: BTreeMap<Box<[u8]>, Vec<Door>> = BTreeMap::new();
    for (entry, (_, host)) in answering {
        for (name, port) in &host.ports {
            let name = name.to_ascii_lowercase().into_bytes().into();
            named.entry(name).or_default().push(Door { entry, port: *port });
        }
    }
    named.into_iter().map(|(name, doors)| (name, doors.into())).collect()
}

/// The longest name in wire form (RFC 1035 §2.3.4).
const LONGEST: usize = 255;
