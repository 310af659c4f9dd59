//! Answers that depend on who asks: which addresses, in which order, and for how many clients around.

mod draw;

use std::net::IpAddr;
use std::sync::Arc;

use fulcrum_balance::Rng;
use fulcrum_config::gslb::{Choose, TargetAnswer};
use fulcrum_model::{DnsName, RecordData, RecordType};

use crate::body::Body;
use crate::edns::ClientSubnet;
use crate::geo::{Class, Classes};
use crate::hosts::{Endpoint, Hosts};
use crate::parts::Parts;
use crate::policy::Plan;
use crate::region::Region;
use draw::{Draw, How, draw};

/// What answers for a name where it depends on who asks. A clone shares what it is made of.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Where clients are; `None`: that does not matter.
    places: Option<Places>,
    /// What is answered, for each kind of clients that there is a difference for.
    kinds: Arc<[Kind]>,
    /// The bits of an address that tell one client from another.
    key: (u8, u8),
    counts: Arc<Parts>,
    /// The endpoints of a service; `None` where it is none that answers.
    hosts: Option<Arc<Hosts>>,
    /// The regions that answers name, and for how long these may be remembered at most, in seconds.
    named: Arc<[(Region, u32)]>,
}

/// Where clients are, and what kind that makes them.
#[derive(Clone, Debug)]
pub struct Places {
    /// From addresses to classes.
    pub classes: Arc<Classes>,
    /// From classes to kinds.
    pub kinds: Arc<[u16]>,
}

/// What is answered to clients of one kind: to parts of them, one after the other.
#[derive(Clone, Debug)]
struct Kind {
    slices: Box<[Slice]>,
    /// Nobody knows yet what there is.
    is_unknown: bool,
}

#[derive(Clone, Debug)]
struct Slice {
    until: u64,
    a: Draw,
    aaaa: Draw,
    /// An alias answers whatever the type is.
    alias: Draw,
}

/// How a policy chooses, for a name.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// The name.
    pub owner: &'a DnsName,
    /// How.
    pub choose: Choose,
    /// Most records in an answer.
    pub max_answers: u8,
}

/// For whom an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whom {
    /// The client's address, or the first one of its network, or that of its resolver.
    pub address: IpAddr,
    /// How many bits of it are known: all those of a resolver.
    pub bits: u8,
    /// How many of them a scope may speak of: none when the client did not tell its network.
    pub told: u8,
}

impl Whom {
    /// A network that was told.
    pub(crate) fn told(net: ipnet::IpNet) -> Self {
        let (address, source) = (net.network(), net.prefix_len());
        Whom::of(address, Some(ClientSubnet { address, source }))
    }

    /// The network that was told; else whoever asks.
    pub(crate) fn of(address: IpAddr, subnet: Option<ClientSubnet>) -> Self {
        match subnet {
            Some(subnet) if subnet.source > 0 => {
                Whom { address: subnet.address, bits: subnet.source, told: subnet.source }
            }
            _ => Whom { address, bits: if address.is_ipv4() { 32 } else { 128 }, told: 0 },
        }
    }
}

/// What was chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picked<'a> {
    /// `None`: there is nothing of that type.
    pub(crate) body: Option<&'a Body>,
    /// `None`, but nobody knows yet whether there is.
    pub(crate) is_unknown: bool,
    /// Where it is counted.
    pub(crate) part: u16,
    /// The bits of the address that the choice depends on.
    pub(crate) scope: u8,
}

/// How a client is led to what it gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Its class; `None` where it does not matter where clients are.
    pub(crate) class: Option<Class>,
    /// The number of the plan.
    pub(crate) kind: usize,
    /// The number of the slice in the plan; `None` where there is nothing.
    pub(crate) slice: Option<usize>,
    /// The bits of its address that this depends on.
    pub(crate) depends: u8,
}

impl Choice {
    /// Of these plans, one for each kind of clients; without places there is one kind.
    pub fn new(manner: Manner<'_>, places: Option<Places>, plans: &[Plan]) -> Self {
        Choice::counting(manner, places, plans, Arc::default())
    }

    /// The same, and answers are counted there.
    pub fn counting(manner: Manner<'_>, places: Option<Places>, plans: &[Plan], counts: Arc<Parts>) -> Self {
        let key = match manner.choose {
            Choose::Sticky { v4, v6 } => (v4, v6),
            _ => SLICE_KEY,
        };
        let kinds = plans.iter().enumerate().map(|(kind, plan)| {
            let slice = |slice| self::slice(manner, (plan.ttl, &counts, kind), slice);
            Kind { slices: plan.slices.iter().map(slice).collect(), is_unknown: plan.is_unknown }
        });
        Choice { places, kinds: kinds.collect(), key, counts, named: Arc::default(), hosts: None }
    }

    /// Its answers name these regions, and may be remembered for so long.
    pub(crate) fn naming(self, named: Box<[(Region, u32)]>) -> Self {
        Choice { named: named.into(), ..self }
    }

    /// Answers with the ports of these endpoints, too; the plan is that of the choice.
    pub fn serving(self, owner: &DnsName, plan: &Plan, endpoints: &[Endpoint]) -> Self {
        Choice { hosts: Hosts::new(owner, plan, endpoints).map(Arc::new), ..self }
    }

    /// What an endpoint with this label has of a type; `None` where there is no such endpoint.
    pub(crate) fn host(&self, label: &[u8], record_type: u16) -> Option<Option<&Body>> {
        self.hosts.as_ref()?.find(label, record_type)
    }

    /// Whether nothing is known yet of the endpoints of its service.
    pub(crate) fn is_unknown(&self) -> bool {
        self.kinds.first().is_some_and(|kind| kind.is_unknown)
    }

    /// The regions that its answers name, and for how long these may be remembered at most, in seconds.
    pub(crate) fn named(&self) -> &[(Region, u32)] {
        &self.named
    }

    /// Everything that answers are made of, for tests.
    #[cfg(test)]
    pub(crate) fn told(&self) -> String {
        let places = self.places.as_ref().map(|places| &places.kinds);
        format!("{:?}", (places, &self.kinds, self.key, &self.hosts, &self.named))
    }

    /// How often each target answered.
    pub fn counts(&self) -> &Arc<Parts> {
        &self.counts
    }

    /// Counts an answer of a worker.
    pub(crate) fn count(&self, worker: usize, part: u16) {
        self.counts.count(worker, part);
    }

    /// What a client gets.
    pub(crate) fn pick(&self, record_type: u16, whom: Whom, rng: &mut Rng) -> Picked<'_> {
        let way = self.way(whom);
        let mut depends = way.depends;
        let (slices, is_unknown) =
            self.kinds.get(way.kind).map_or((&[][..], false), |kind| (&kind.slices, kind.is_unknown));
        let slice = way.slice.and_then(|place| slices.get(place));
        let nothing = Picked { body: None, is_unknown: false, part: 0, scope: depends.min(whom.told) };
        let Some(slice) = slice else { return Picked { is_unknown, ..nothing } };
        let draw = match RecordType(record_type) {
            RecordType::SRV if self.hosts.is_some() => {
                let body = self.hosts.as_ref().and_then(|hosts| hosts.ports());
                return Picked { body, scope: 0, ..nothing };
            }
            _ if !slice.alias.bodies.is_empty() => &slice.alias,
            RecordType::A => &slice.a,
            RecordType::AAAA => &slice.aaaa,
            _ => return Picked { scope: 0, ..nothing },
        };
        if matches!(draw.how, How::Sticky(_)) {
            depends = depends.max(self.key_bits(whom));
        }
        let (first, place) = draw.pick(|| self.client(whom), rng);
        let part = draw.cells.get(first).copied().unwrap_or(0);
        Picked { body: draw.bodies.get(place), part, scope: depends.min(whom.told), ..nothing }
    }

    /// Which of the plans that this was made of speaks of a client, and which of its slices.
    #[inline]
    pub(crate) fn way(&self, whom: Whom) -> Way {
        let (class, kind, scope) = match &self.places {
            None => (None, 0, 0),
            Some(places) => {
                let (class, scope) = places.classes.class_of(whom.address, whom.bits);
                let kind = places.kinds.get(usize::from(class.0)).map_or(0, |kind| usize::from(*kind));
                (Some(class), kind, scope)
            }
        };
        let slices = self.kinds.get(kind).map_or(&[][..], |kind| &kind.slices);
        let (slice, depends) = match slices {
            [] => (None, scope),
            [_] => (Some(0), scope),
            several => {
                let place = mix(self.client(whom)) >> 32;
                let slice = several.iter().position(|slice| place < slice.until);
                (slice, scope.max(self.key_bits(whom)))
            }
        };
        Way { class, kind, slice, depends }
    }

    /// How many bits of the address tell a client from others.
    fn key_bits(&self, whom: Whom) -> u8 {
        if whom.address.is_ipv4() { self.key.0.min(whom.bits) } else { self.key.1.min(whom.bits) }
    }

    /// A number for the client's network, the same at every server.
    fn client(&self, whom: Whom) -> u64 {
        let bits = u32::from(self.key_bits(whom));
        match whom.address {
            IpAddr::V4(address) => {
                mix(u64::from(address.to_bits().checked_shr(32 - bits).unwrap_or(0)) | 1 << 40)
            }
            IpAddr::V6(address) => {
                let prefix = address.to_bits().checked_shr(128 - bits).unwrap_or(0);
                mix(mix((prefix >> 64) as u64) ^ prefix as u64)
            }
        }
    }
}

fn slice(
    manner: Manner<'_>,
    (ttl, counts, kind): (u32, &Parts, usize),
    slice: &crate::policy::Slice,
) -> Slice {
    let of = |record: fn(&TargetAnswer) -> Option<RecordData>| {
        let (mut records, mut cells) = (Vec::new(), Vec::new());
        for (answer, weight) in &slice.targets {
            if let Some(data) = record(answer) {
                records.push((data, *weight));
                cells.push(counts.cell(kind, slice.region, answer));
            }
        }
        draw(manner, ttl, &records, cells.into())
    };
    Slice {
        until: slice.until,
        a: of(|answer| match answer {
            TargetAnswer::Address(IpAddr::V4(address)) => Some(RecordData::A(*address)),
            _ => None,
        }),
        aaaa: of(|answer| match answer {
            TargetAnswer::Address(IpAddr::V6(address)) => Some(RecordData::Aaaa(*address)),
            _ => None,
        }),
        alias: of(|answer| match answer {
            TargetAnswer::Alias(name) => Some(RecordData::Cname(name.clone())),
            TargetAnswer::Address(_) => None,
        }),
    }
}

/// Spreads a number over all bits (splitmix64).
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// The networks that are sent to a region that comes back, one after the other: those that a resolver tells of its clients.
const SLICE_KEY: (u8, u8) = (24, 56);

#[cfg(test)]
mod tests;
