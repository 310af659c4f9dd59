//! The services of a registry as names: looked up while they change, one service at a time.
//!
//! ```text
//!   svc.<domain>                            the zone: its start, its server
//!   <service>.svc.<domain>                  A, AAAA, SRV of the instances that take work
//!   _<port>._tcp.<service>.svc.<domain>     SRV with the port of that name, else the main one
//!   <id>.<service>.svc.<domain>             A or AAAA of one instance: what the SRV records point to
//! ```
//!
//! Answers are put together from the list of a service, so that a change costs what its service is large, and no more.

mod instances;
mod label;
mod server;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use fulcrum_balance::Rng;
use fulcrum_model::{DnsName, RecordData, RecordType, ServiceName, Soa};

use crate::body::{Body, BodyWriter, Owner, Section, write_set};
use crate::query::AUTHORITATIVE;

pub use instances::{Host, Instances};
pub use server::DirectoryServer;
pub(crate) use write::{Fit, Live};

/// The names of all services. Whoever asks never waits for whoever changes it.
#[derive(Debug)]
pub struct Directory {
    apex: DnsName,
    ttl: u32,
    fixed: Fixed,
    services: ArcSwap<Services>,
    owners: Mutex<Owners>,
}

/// By label. A change of one service exchanges its instances alone; one of the set of services, this map of pointers.
type Services = HashMap<Box<[u8]>, Arc<ArcSwap<Instances>>>;

/// The services of each label: there may be several names with the same one, of which the first answers.
type Owners = HashMap<Box<[u8]>, BTreeMap<Precedence, Arc<Instances>>>;

/// A service that is called like its label goes before others.
type Precedence = (bool, ServiceName);

/// What is always the same.
#[derive(Debug)]
struct Fixed {
    /// "There is none."
    none: Body,
    any: Body,
    /// Of the zone's own name, by type.
    apex: Vec<(RecordType, Body)>,
}

/// What there is to say of a name and a type.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// This.
    Body(&'a Body),
    /// What these instances are at the moment.
    Live(Live),
    /// The name is there, but has nothing of the type.
    NoData(&'a Body),
    /// There is no such name.
    NoName(&'a Body),
    /// It is not within the zone.
    Nowhere,
}

impl Directory {
    /// Of no services yet, for names below `svc.<domain>`, which this server answers at these addresses.
    pub fn new(domain: &DnsName, ttl: u32, servers: &[IpAddr]) -> Result<Self, fulcrum_model::DnsNameError> {
        let apex = domain.child(b"svc")?;
        let fixed = Fixed::new(&apex, ttl, servers);
        Ok(Directory { apex, ttl, fixed, services: ArcSwap::default(), owners: Mutex::default() })
    }

    /// The zone that its names are in.
    pub fn zone(&self) -> &DnsName {
        &self.apex
    }

    /// How many services have a name.
    pub fn count(&self) -> usize {
        self.services.load().len()
    }

    /// A service has these instances now, or is forgotten (`None`); all that have changed at once.
    pub fn update(&self, changes: Vec<(ServiceName, Option<Vec<Host>>)>) {
        let built: Vec<_> = changes.into_iter().filter_map(|change| self.built(change)).collect();
        // Whoever panicked with it changed it entry by entry; each of them is whole.
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let services = self.services.load();
        let mut others: Option<Services> = None;
        for (label, precedence, instances) in built {
            let of_label = owners.entry(label.clone()).or_default();
            match instances {
                Some(instances) => of_label.insert(precedence, Arc::new(instances)),
                None => of_label.remove(&precedence),
            };
            let first = of_label.values().next().cloned();
            let known = others.as_ref().unwrap_or(&services).get(&label);
            match (known, first) {
                (Some(known), Some(first)) => known.store(first),
                (None, Some(first)) => {
                    let others = others.get_or_insert_with(|| Services::clone(&services));
                    others.insert(label, Arc::new(ArcSwap::new(first)));
                }
                (_, None) => {
                    others.get_or_insert_with(|| Services::clone(&services)).remove(&label);
                    owners.remove(&label);
                }
            }
        }
        if let Some(others) = others {
            self.services.store(Arc::new(others));
        }
    }

    fn built(
        &self,
        (name, hosts): (ServiceName, Option<Vec<Host>>),
    ) -> Option<(Box<[u8]>, Precedence, Option<Instances>)> {
        let label = label::of_service(name.as_str());
        // With a domain so long that nothing fits in front of it, there is no such name.
        let owner = self.apex.child(&label).ok()?;
        let precedence = (*label != *name.as_str().as_bytes(), name);
        Some((label, precedence, hosts.map(|hosts| Instances::new(&owner, self.ttl, hosts))))
    }

    /// What there is of a name in wire form and lower case.
    pub(crate) fn find(&self, name: &[u8], record_type: u16, client: IpAddr, rng: &mut Rng) -> Found<'_> {
        let Some(labels) = &labels_below(name, self.apex.as_wire()) else { return Found::Nowhere };
        let none = &self.fixed.none;
        let asked = RecordType(record_type);
        let (service, below) = match labels {
            Below { count: 0, .. } => {
                let set = self.fixed.apex.iter().find(|(known, _)| *known == asked);
                return match set {
                    Some((_, body)) => Found::Body(body),
                    None if asked == RecordType::ANY => Found::Body(&self.fixed.any),
                    None => Found::NoData(none),
                };
            }
            Below { count, labels } if *count <= MOST_LABELS => (labels[count - 1], &labels[..count - 1]),
            _ => (&[][..], &[][..]),
        };
        let services = self.services.load();
        let Some(instances) = services.get(service) else { return Found::NoName(none) };
        let instances = instances.load_full();
        let live = match below {
            [] => Live::of_service(instances, asked, None, client, rng),
            [protocol] if is_protocol(protocol) => return Found::NoData(none),
            [host] => match Live::of_host(instances, host, asked) {
                Some(live) => live,
                None => return Found::NoName(none),
            },
            [port, protocol] if is_protocol(protocol) && port.len() > 1 && port[0] == b'_' => {
                Live::of_service(instances, asked, Some(&port[1..]), client, rng)
            }
            _ => return Found::NoName(none),
        };
        match live {
            _ if asked == RecordType::ANY => Found::Body(&self.fixed.any),
            live if live.is_empty() => Found::NoData(none),
            live => Found::Live(live),
        }
    }
}

impl Fixed {
    fn new(apex: &DnsName, ttl: u32, servers: &[IpAddr]) -> Self {
        let addresses = |wants_v4: bool| -> Vec<RecordData> {
            let record = |address: &IpAddr| match address {
                IpAddr::V4(address) => RecordData::A(*address),
                IpAddr::V6(address) => RecordData::Aaaa(*address),
            };
            let mut known: Vec<IpAddr> = servers.to_vec();
            known.sort();
            known.dedup();
            known.iter().filter(|address| address.is_ipv4() == wants_v4).map(record).collect()
        };
        let set = |data: &[RecordData], more: &[RecordData]| {
            let mut writer = BodyWriter::new(apex);
            // A few addresses fit into any message.
            let _ = write_set(&mut writer, Section::Answer, Owner::Question, FIXED_TTL, data);
            let _ = write_set(&mut writer, Section::Additional, Owner::Name(apex), FIXED_TTL, more);
            writer.finish(AUTHORITATIVE)
        };
        let start = RecordData::Soa(Box::new(start(apex, ttl)));
        let (v4, v6) = (addresses(true), addresses(false));
        let sets = [
            (RecordType::SOA, set(std::slice::from_ref(&start), &[])),
            (RecordType::NS, set(&[RecordData::Ns(apex.clone())], &[v4.clone(), v6.clone()].concat())),
        ];
        let sets = sets.into_iter();
        let v4 = (!v4.is_empty()).then(|| (RecordType::A, set(&v4, &[])));
        let v6 = (!v6.is_empty()).then(|| (RecordType::AAAA, set(&v6, &[])));
        let mut none = BodyWriter::new(apex);
        none.record(Section::Authority, Owner::Name(apex), ttl, &start);
        Fixed {
            none: none.finish(AUTHORITATIVE),
            any: crate::body::any_body(),
            apex: sets.chain(v4).chain(v6).collect(),
        }
    }
}

/// The zone's start. It has no contact that anybody knows of, and is never transferred.
fn start(apex: &DnsName, ttl: u32) -> Soa {
    Soa {
        primary: apex.clone(),
        contact: apex.clone(),
        serial: 1,
        refresh: FIXED_TTL,
        retry: FIXED_TTL,
        expire: FIXED_TTL,
        minimum: ttl,
    }
}

/// The labels in front of a zone's name.
struct Below<'a> {
    /// The leftmost first; as many as any name has.
    labels: [&'a [u8]; MOST_LABELS],
    /// How many there are; perhaps more.
    count: usize,
}

/// `None` of what is not within the zone.
fn labels_below<'a>(name: &'a [u8], apex: &[u8]) -> Option<Below<'a>> {
    let mut below = Below { labels: [&[]; MOST_LABELS], count: 0 };
    let mut rest = name;
    while rest.len() > apex.len() {
        let (&length, behind) = rest.split_first()?;
        let (label, others) = behind.split_at_checked(usize::from(length))?;
        if let Some(place) = below.labels.get_mut(below.count) {
            *place = label;
        }
        below.count += 1;
        rest = others;
    }
    (rest == apex).then_some(below)
}

fn is_protocol(label: &[u8]) -> bool {
    [b"_tcp".as_slice(), b"_udp"].contains(&label)
}

/// `_port._tcp.service`.
const MOST_LABELS: usize = 3;

/// Of what does not change while the daemon runs, in seconds.
const FIXED_TTL: u32 = 300;

#[cfg(test)]
mod tests;
