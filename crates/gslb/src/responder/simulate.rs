//! What would happen if a region went down: the same plans, made for a situation in which it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_config::gslb::{Answer, Gslb, TargetAnswer, Targets};
use fulcrum_model::{DnsName, RegionName};

use super::services::Services;
use super::world::Seen;
use super::{Responder, State, load};
use crate::compiled::{Chosen, Compiled};
use crate::policy::{Plan, Slice};
use crate::region::Region;
use crate::verdict::Standing;

/// What would happen if a region went down.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// How it stands now.
    pub standing: Standing,
    /// The names that are answered by regions, those with most answers first.
    pub names: Vec<NameShares>,
    /// All regions, in configured order: what they get of the clients of all names.
    pub regions: Vec<Receiver>,
    /// What happens to names of which nothing would be left, and how many there are.
    pub panics: usize,
    /// Whether shares of names are by answers that were counted; else all names count the same.
    pub is_counted: bool,
    /// By when clients have followed: the hold and the longest time-to-live.
    pub follows: Duration,
}

/// Who gets the clients of a name, in percent.
#[derive(Clone, Debug)]
pub struct NameShares {
    /// The name.
    pub owner: DnsName,
    /// How many of all answers were for it, in percent.
    pub weight: f64,
    /// Before and after, by region; under no name what is answered without one.
    pub shares: Vec<(Option<RegionName>, f64, f64)>,
    /// Nothing would be left for some of its clients: its panic mode would answer.
    pub panics: bool,
}

/// What a region gets.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name.
    pub region: RegionName,
    /// Its part of all clients before and after, in percent.
    pub shares: (f64, f64),
    /// What it works on now, where that is measured.
    pub load: Option<Load>,
    /// What it would have to work on; `None` where nobody can tell.
    pub load_after: Option<f64>,
}

/// What a region works on: requests in flight and queued.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Now.
    pub load: f64,
    /// What it can work on at a time; `None` where nobody has said.
    pub capacity: Option<f64>,
}

impl Receiver {
    /// Whether it gets more than before.
    pub fn gains(&self) -> bool {
        self.shares.1 > self.shares.0 + TINY
    }

    /// Whether what it gets fits; `None` where nobody can tell.
    pub fn fits(&self) -> Option<bool> {
        if !self.gains() {
            return Some(true);
        }
        Some(self.load_after? <= self.load?.capacity?)
    }
}

impl Simulation {
    /// Whether everything fits: not if anything does not, and nobody can tell if of some region nobody can.
    pub fn fits(&self) -> Option<bool> {
        let fits: Vec<Option<bool>> = self.regions.iter().map(Receiver::fits).collect();
        match () {
            () if self.panics > 0 || fits.contains(&Some(false)) => Some(false),
            () if fits.contains(&None) => None,
            () => Some(true),
        }
    }
}

impl Responder {
    /// What would happen if a region went down; `None`: there is no such region.
    pub fn simulate_down(&self, region: &RegionName) -> Option<Simulation> {
        let (world, standing, down) = {
            let state = self.state();
            let place = state.gslb.regions.iter().position(|known| known.name == *region)?;
            let down = Region::new(place)?;
            (World::of(&state), state.judge.as_ref()?.standing(down).clone(), down)
        };
        Some(world.simulate_down(standing, down))
    }
}

/// What plans are made of, taken out of the state: to make them all takes too long for its lock.
struct World {
    gslb: Arc<Gslb>,
    compiled: Arc<Compiled>,
    services: Services,
    seen: Arc<Seen>,
}

impl World {
    fn of(state: &State) -> Self {
        let seen = state.answered.as_ref().map(|answered| Arc::clone(&answered.seen));
        World {
            gslb: Arc::clone(&state.gslb),
            compiled: Arc::clone(&state.compiled),
            services: state.services.clone(),
            seen: seen.unwrap_or_else(|| Arc::new(state.see())),
        }
    }

    fn simulate_down(&self, standing: Standing, down: Region) -> Simulation {
        let before = Seen::clone(&self.seen);
        let mut after = before.clone();
        after.eligible.remove(down);
        after.shares[down.index()] = 0;
        let situations = [&before, &after];
        let by_region = |chosen: &&Chosen| match &chosen.answer {
            Answer::Policy(policy) => matches!(policy.targets, Targets::Regions { .. }),
            Answer::Service(_) => false,
        };
        let names: Vec<&Chosen> = self.compiled.chosen().iter().filter(by_region).collect();
        let total: u64 = names.iter().map(|chosen| chosen.counts().total()).sum();
        let weight = |chosen: &Chosen| match total {
            0 => 100.0 / names.len() as f64,
            _ => chosen.counts().total() as f64 * 100.0 / total as f64,
        };
        let ttl = |chosen: &&Chosen| match &chosen.answer {
            Answer::Policy(policy) => policy.ttl.max,
            Answer::Service(service) => service.ttl.max,
        };
        let longest = Duration::from_secs(names.iter().map(ttl).max().unwrap_or(0).into());
        let shares = names.iter().map(|chosen| self.name_shares(chosen, weight(chosen), situations));
        let mut shares: Vec<NameShares> = shares.collect();
        shares.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        Simulation {
            standing,
            regions: self.receivers(down, &shares),
            panics: shares.iter().filter(|name| name.panics).count(),
            names: shares,
            is_counted: total > 0,
            follows: self.gslb.verdict.hold + longest,
        }
    }

    fn name_shares(&self, chosen: &Chosen, weight: f64, situations: [&Seen; 2]) -> NameShares {
        let plans = situations.map(|seen| chosen.plans(&self.gslb, seen));
        let weights = kind_weights(chosen, plans[0].len());
        let mut shares: BTreeMap<Option<Region>, [f64; 2]> = BTreeMap::new();
        for (side, plans) in plans.iter().enumerate() {
            for (plan, weight) in plans.iter().zip(&weights) {
                for (region, part) in self.parts_by_region(chosen, plan) {
                    shares.entry(region).or_default()[side] += part * weight;
                }
            }
        }
        let name = |region: Region| self.gslb.regions.get(region.index()).map(|region| region.name.clone());
        let share =
            |(region, [before, after]): (Option<Region>, [f64; 2])| (region.and_then(name), before, after);
        let panics = plans[1].iter().zip(&plans[0]).any(|(after, before)| after.is_panic && !before.is_panic);
        NameShares {
            owner: chosen.owner.clone(),
            weight,
            shares: shares.into_iter().map(share).collect(),
            panics,
        }
    }

    /// The parts of the clients that regions get by a plan, in percent; where several answer together, by the weights of
    /// their targets.
    fn parts_by_region(&self, chosen: &Chosen, plan: &Plan) -> Vec<(Option<Region>, f64)> {
        let region_of = |answer: &TargetAnswer| chosen.counts().region_of(answer);
        let split = |(slice, part): (&Slice, f64)| -> Vec<(Option<Region>, f64)> {
            if slice.region.is_some() {
                return vec![(slice.region, part)];
            }
            let counts = |weight: u64| match &chosen.answer {
                Answer::Policy(policy) if crate::policy::is_weighted(policy.choose) => weight.max(1) as f64,
                _ => 1.0,
            };
            let total: f64 = slice.targets.iter().map(|(_, weight)| counts(*weight)).sum();
            let target =
                |(answer, weight): &(TargetAnswer, u64)| (region_of(answer), part * counts(*weight) / total);
            slice.targets.iter().map(target).collect()
        };
        plan.parts().flat_map(split).collect()
    }

    fn receivers(&self, down: Region, names: &[NameShares]) -> Vec<Receiver> {
        let shares = |region: &RegionName| {
            let of = |name: &NameShares| {
                let own = name.shares.iter().find(|(of, _, _)| of.as_ref() == Some(region));
                own.map_or((0.0, 0.0), |(_, before, after)| (before * name.weight, after * name.weight))
            };
            let sum = names.iter().map(of).fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
            (sum.0 / 100.0, sum.1 / 100.0)
        };
        let all: Vec<_> = self.gslb.regions.iter().map(|region| (region, shares(&region.name))).collect();
        let lost = all.get(down.index()).map_or(0.0, |(_, (before, after))| before - after);
        let moved = self.gslb.regions.get(down.index()).and_then(|region| load(&self.services.views, region));
        let receiver = |(region, shares): &(&fulcrum_config::gslb::Region, (f64, f64))| {
            let now = load(&self.services.views, region);
            let gained = shares.1 - shares.0;
            let load_after = now.and_then(|load| match moved {
                _ if gained.abs() <= TINY => Some(load.load),
                // What leaves is measured, and goes where its clients go.
                Some(moved) if lost > TINY => Some((load.load + moved.load * gained / lost).max(0.0)),
                // It is not: what it has now, in proportion.
                None if shares.0 > TINY => Some(load.load * shares.1 / shares.0),
                _ => None,
            });
            Receiver { region: region.name.clone(), shares: *shares, load: now, load_after }
        };
        all.iter().map(receiver).collect()
    }
}

/// The part of a name's clients that each kind is: as counted; where nothing is, all kinds are the same.
fn kind_weights(chosen: &Chosen, kinds: usize) -> Vec<f64> {
    let counted = chosen.counts().kinds().filter(|counts| counts.len() == kinds);
    let total: u64 = counted.iter().flatten().sum();
    match counted {
        Some(counts) if total > 0 => counts.iter().map(|count| *count as f64 / total as f64).collect(),
        _ => vec![1.0 / kinds.max(1) as f64; kinds],
    }
}

/// Shares that differ by less are the same, in percent.
const TINY: f64 = 1e-6;
