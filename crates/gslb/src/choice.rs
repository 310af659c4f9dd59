//! Answers that depend on who asks: which addresses, in which order, and for how many clients around.

use std::net::IpAddr;
use std::sync::Arc;

use fulcrum_balance::{Alias, Rng};
use fulcrum_config::gslb::{Choose, TargetAnswer};
use fulcrum_model::{DnsName, RecordData, RecordType};

use crate::body::{Body, BodyWriter, Owner, Section};
use crate::edns::ClientSubnet;
use crate::geo::{Class, Classes};
use crate::parts::Parts;
use crate::policy::{Plan, is_weighted};
use crate::region::Region;

/// What answers for a name where it depends on who asks.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Where clients are; `None`: that does not matter.
    places: Option<Places>,
    /// What is answered, for each kind of clients that there is a difference for.
    kinds: Box<[Kind]>,
    /// The bits of an address that tell one client from another.
    key: (u8, u8),
    counts: Arc<Parts>,
    /// The regions that answers name, and for how long these may be remembered at most, in seconds.
    named: Box<[(Region, u32)]>,
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

/// One of several bodies.
#[derive(Clone, Debug)]
struct Draw {
    /// For each record that comes first, as many as there are tails.
    bodies: Box<[Body]>,
    /// Where each first record is counted.
    cells: Box<[u16]>,
    /// How many ways there are to go on behind the first record.
    tails: u32,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    /// Always the first.
    First,
    /// Each as often.
    Even,
    /// By weight.
    Weighted(Arc<Alias>),
    /// By weight, and for one client always the same: its seed, and its weight.
    Sticky(Box<[(u64, f64)]>),
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
        Choice { places, kinds: kinds.collect(), key, counts, named: Box::default() }
    }

    /// Its answers name these regions, and may be remembered for so long.
    pub(crate) fn naming(self, named: Box<[(Region, u32)]>) -> Self {
        Choice { named, ..self }
    }

    /// The regions that its answers name, and for how long these may be remembered at most, in seconds.
    pub(crate) fn named(&self) -> &[(Region, u32)] {
        &self.named
    }

    /// How often each target answered.
    pub fn counts(&self) -> &Arc<Parts> {
        &self.counts
    }

    pub(crate) fn count(&self, part: u16) {
        self.counts.count(part);
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

impl Draw {
    /// The number of a first record, and that of a body which begins with it.
    fn pick(&self, client: impl FnOnce() -> u64, rng: &mut Rng) -> (usize, usize) {
        let (first, tail) = match &self.how {
            How::First => (0, 0),
            How::Even => (rng.below(self.bodies.len() as u32) as usize, 0),
            How::Weighted(_) if self.bodies.is_empty() => (0, 0),
            How::Weighted(alias) if self.tails == 1 => (alias.draw(rng), 0),
            How::Weighted(alias) => (alias.draw(rng), rng.below(self.tails) as usize),
            How::Sticky(seeds) => {
                let client = client();
                (nearest(seeds, client), (client % u64::from(self.tails)) as usize)
            }
        };
        (first, first * self.tails as usize + tail)
    }
}

/// Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): when one goes, only its own clients move.
fn nearest(seeds: &[(u64, f64)], client: u64) -> usize {
    let scores = seeds.iter().map(|seed| score(seed, client)).enumerate();
    scores.min_by(|(_, one), (_, other)| one.total_cmp(other)).map_or(0, |(place, _)| place)
}

/// How far a target is from a client.
fn score(&(seed, weight): &(u64, f64), client: u64) -> f64 {
    // From above zero to one: 53 bits.
    let chance = ((mix(seed ^ client) >> 11) + 1) as f64 / (1u64 << 53) as f64;
    -chance.ln() / weight
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

/// Bodies that begin with one record each, and go on with others.
fn draw(manner: Manner<'_>, ttl: u32, records: &[(RecordData, u64)], cells: Box<[u16]>) -> Draw {
    let is_alias = matches!(records.first(), Some((RecordData::Cname(_), _)));
    let length = if is_alias { 1 } else { usize::from(manner.max_answers).min(records.len()) };
    let body = |places: &mut dyn Iterator<Item = usize>| {
        let mut writer = BodyWriter::new(manner.owner);
        for place in places.take(length) {
            writer.record(Section::Answer, Owner::Question, ttl, &records[place].0);
        }
        writer.finish(crate::query::AUTHORITATIVE)
    };
    let all = 0..records.len();
    if records.len() <= 1 || manner.choose == Choose::First {
        let bodies = records.first().map(|_| body(&mut all.clone())).into_iter().collect();
        return Draw { bodies, cells, tails: 1, how: How::First };
    }
    if !is_weighted(manner.choose) {
        let bodies = all.clone().map(|first| body(&mut all.clone().cycle().skip(first)));
        return Draw { bodies: bodies.collect(), cells, tails: 1, how: How::Even };
    }
    let ways = |tails| all.clone().flat_map(move |first| (0..tails).map(move |tail| (first, tail)));
    if let Choose::Sticky { .. } = manner.choose {
        let tails = if length > 1 { TAILS } else { 1 };
        let seeds: Box<[_]> =
            records.iter().map(|(data, weight)| (seed(data), (*weight).max(1) as f64)).collect();
        let bodies = ways(tails).map(|(first, tail)| body(&mut nearest_tail(&seeds, first, tail)));
        return Draw { bodies: bodies.collect(), cells, tails, how: How::Sticky(seeds) };
    }
    let weights = weights(records);
    // Behind many first ones there are many second ones, too.
    let tails = if length > 1 { (64 / records.len() as u32).clamp(4, TAILS) } else { 1 };
    let bodies = ways(tails).map(|(first, tail)| body(&mut drawn_tail(&weights, first, (tail, tails))));
    Draw { bodies: bodies.collect(), cells, tails, how: How::Weighted(Arc::new(Alias::new(&weights))) }
}

/// The weights of records, the largest as large as can be. Weights of zero are there only when all are.
fn weights(records: &[(RecordData, u64)]) -> Vec<u16> {
    let most = records.iter().map(|(_, weight)| *weight).max().unwrap_or(0).max(1);
    records.iter().map(|(_, weight)| (weight * u64::from(u16::MAX) / most).max(1) as u16).collect()
}

/// A record, and behind it the others as they are nearest to the clients of a tail: when one goes, the order of the others stays.
fn nearest_tail(seeds: &[(u64, f64)], first: usize, tail: u32) -> impl Iterator<Item = usize> {
    let client = mix(u64::from(tail));
    let mut others: Vec<usize> = (0..seeds.len()).filter(|place| *place != first).collect();
    others.sort_by(|one, other| score(&seeds[*one], client).total_cmp(&score(&seeds[*other], client)));
    [first].into_iter().chain(others)
}

/// A record, and behind it the others as they are drawn by weight, none twice. The second ones of all tails together have their
/// shares; from there on a seed decides.
fn drawn_tail(weights: &[u16], first: usize, (tail, tails): (u32, u32)) -> impl Iterator<Item = usize> {
    let mut rng = Rng::from_seed(mix((first as u64) << 32 | u64::from(tail)));
    let mut others: Vec<usize> = (0..weights.len()).filter(|place| *place != first).collect();
    let all = others.len();
    let weight = |place: &usize| u64::from(weights[*place]);
    let drawn = std::iter::from_fn(move || {
        let total: u64 = others.iter().map(weight).sum();
        let point = match others.len() {
            0 => return None,
            // Evenly over all tails, and elsewhere behind each first one.
            left if left == all => {
                ((u64::from(tail) << 32) + u64::from((first as u32).wrapping_mul(GOLDEN))) * total
                    / (u64::from(tails) << 32)
            }
            _ => rng.next_u64() % total,
        };
        let sums = others.iter().scan(0, |sum, place| {
            *sum += weight(place);
            Some(*sum)
        });
        let next = sums.take_while(|sum| *sum <= point).count();
        Some(others.remove(next))
    });
    [first].into_iter().chain(drawn)
}

/// A number of a target, the same at every server: FNV-1a.
fn seed(data: &RecordData) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let begin = 0xcbf2_9ce4_8422_2325;
    mix(match data {
        RecordData::A(address) => address.octets().iter().fold(begin, step),
        RecordData::Aaaa(address) => address.octets().iter().fold(begin, step),
        RecordData::Cname(name) => name.as_wire().iter().fold(begin, step),
        _ => begin,
    })
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
/// Ways to go on behind each first record. Where clients keep their way, for any number of records.
const TAILS: u32 = 16;
/// Steps of this part of a circle divide it evenly, however many there are (the golden section, of 2^32).
const GOLDEN: u32 = 0x9e37_79b9;

#[cfg(test)]
mod tests;
