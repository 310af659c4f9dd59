//! Which records are answered: bodies for all draws, made before anybody asks.

use std::sync::Arc;

use fulcrum_balance::{Alias, Rng};
use fulcrum_config::gslb::Choose;
use fulcrum_model::RecordData;

use super::{Manner, mix};
use crate::body::{Body, BodyWriter, Owner, Section};
use crate::policy::is_weighted;

/// One of several bodies.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    /// For each record that comes first, as many as there are tails.
    pub(super) bodies: Box<[Body]>,
    /// Where each first record is counted.
    pub(super) cells: Box<[u16]>,
    /// How many ways there are to go on behind the first record.
    tails: u32,
    pub(super) how: How,
}

#[derive(Clone, Debug)]
pub(super) enum How {
    /// Always the first.
    First,
    /// Each as often.
    Even,
    /// By weight.
    Weighted(Arc<Alias>),
    /// By weight, and for one client always the same: its seed, and its weight.
    Sticky(Box<[(u64, f64)]>),
}

impl Draw {
    /// The number of a first record, and that of a body which begins with it.
    pub(super) fn pick(&self, client: impl FnOnce() -> u64, rng: &mut Rng) -> (usize, usize) {
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

/// Bodies that begin with one record each, and go on with others.
pub(super) fn draw(manner: Manner<'_>, ttl: u32, records: &[(RecordData, u64)], cells: Box<[u16]>) -> Draw {
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

/// Ways to go on behind each first record. Where clients keep their way, for any number of records.
const TAILS: u32 = 16;
/// Steps of this part of a circle divide it evenly, however many there are (the golden section, of 2^32).
const GOLDEN: u32 = 0x9e37_79b9;
