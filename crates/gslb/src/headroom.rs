//! How much of its clients a region keeps, by what it can still take: it spills before it is overloaded, slowly.
//!
//! ```text
//!   spare   0 % ──────── low ──────── middle ──────── high ──────── 100 %
//!           sheds towards the middle │   nothing changes    │ takes clients back, up to the middle
//! ```
//!
//! Clients follow one time-to-live late. What has been decided but not followed yet is therefore counted as if it were:
//! the load that is measured belongs to the weight of a while ago. Without that each decision would be made again until
//! the first one shows, and the load would swing.
//!
//! Nothing is decided of a region that is not heard of: its weight stays, for clients move one time-to-live late. A region
//! that says that nothing bounds what it can take is another thing: it takes back whom it has shed, step by step.
//!
//! Pure: loads and the time in, weights out. A region that is confirmed down takes no part: that all of its clients
//! leave is not a question of who has room for them.

mod forecast;
mod shift;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::region::{Region, RegionSet};
use crate::verdict::Evidence;
use forecast::Forecast;

pub use shift::{Shift, shift};

/// How weights follow headroom. Bounds are those that the configuration checks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadroomRules {
    /// With less than this part of its capacity to spare a region sheds clients: 0 to 1, below `high`. Default 0.1.
    pub low: f64,
    /// With more than this part to spare it takes back whom it has shed: 0 to 1. Default 0.3.
    pub high: f64,
    /// The most that a weight changes at a time, in parts of the whole: 0.01 to 1. Default 0.1.
    pub step: f64,
    /// Smaller changes are not made, but for the return to the whole: 0 to `step`. Default 0.05.
    pub dead_band: f64,
    /// The least weight of a region that serves: 0 to 1. Default 0.05.
    pub floor: f64,
    /// The time over which loads are averaged: 1 s to 10 min. Default 60 s.
    pub smoothing: Duration,
    /// The least time from one change of a weight to the next, however short the time-to-live: 1 s to 10 min.
    /// Default 30 s.
    pub pace: Duration,
    /// A load that is older says nothing: the weight stays. 300 ms to 180 s. Default 6 s, three heartbeats.
    pub freshness: Duration,
}

impl Default for HeadroomRules {
    fn default() -> Self {
        HeadroomRules {
            low: 0.1,
            high: 0.3,
            step: 0.1,
            dead_band: 0.05,
            floor: 0.05,
            smoothing: Duration::from_secs(60),
            pace: Duration::from_secs(30),
            freshness: Duration::from_secs(6),
        }
    }
}

/// The weights of all regions.
#[derive(Clone, Debug)]
pub struct Headroom {
    rules: HeadroomRules,
    regions: Vec<Forecast>,
}

impl Headroom {
    /// Everyone has the whole weight, and nothing is known of loads.
    pub fn new(regions: usize, rules: HeadroomRules) -> Self {
        Headroom { rules, regions: vec![Forecast::default(); regions] }
    }

    /// The weights of a new configuration: `was` has for each of its regions which one it was, if it was there.
    pub fn reconfigured(&self, was: &[Option<Region>], rules: HeadroomRules) -> Self {
        let forecast = |was: &Option<Region>| was.and_then(|was| self.regions.get(was.index()).cloned());
        Headroom { rules, regions: was.iter().map(|was| forecast(was).unwrap_or_default()).collect() }
    }

    /// Takes what a region says of itself. `ttl` is the largest time-to-live of answers with it: how late clients follow.
    pub fn observe(&mut self, region: Region, evidence: &Evidence, ttl: Duration, now: Duration) {
        let Some(forecast) = self.regions.get_mut(region.index()) else { return };
        let capacity = match evidence.capacity {
            // Nothing bounds it.
            None => f64::INFINITY,
            Some(capacity) if capacity.is_finite() && capacity > 0.0 => capacity,
            Some(_) => return forecast.forget(),
        };
        if evidence.load.is_finite() && evidence.load >= 0.0 {
            forecast.observe(evidence.load, capacity, ttl, self.rules.smoothing, now);
        }
    }

    /// Takes up the weight that a region had before a restart: its clients have been led by it, and go on with it.
    pub fn recall(&mut self, region: Region, weight: f64, now: Duration) {
        let weight = if weight.is_finite() { weight.clamp(self.rules.floor, 1.0) } else { 1.0 };
        if let Some(forecast) = self.regions.get_mut(region.index()) {
            forecast.recall(weight, now);
        }
    }

    /// The part of its clients that a region keeps: from `floor` to 1.
    pub fn weight(&self, region: Region) -> f64 {
        self.regions.get(region.index()).map_or(1.0, Forecast::weight)
    }

    /// The part of its capacity that a region will have to spare once clients have followed what was decided, at most
    /// 1 (where nothing bounds it) and below 0 when it is overloaded; `None` where that is not known.
    pub fn spare(&self, region: Region, now: Duration) -> Option<f64> {
        self.regions.get(region.index())?.spare(self.rules.freshness, now)
    }

    /// Decides anew. `eligible` are the regions that serve: see [`Judge::eligible`](crate::verdict::Judge::eligible).
    /// To be called every second or so; gives the regions whose weights have changed.
    pub fn tick(&mut self, eligible: RegionSet, ttl: Duration, now: Duration) -> RegionSet {
        let pace = ttl.max(self.rules.pace);
        let mut room = self.room(eligible, now);
        let mut changed = RegionSet::EMPTY;
        for region in Region::first(self.regions.len()).filter(|&region| eligible.contains(region)) {
            let Some(spare) = self.spare(region, now) else { continue };
            let forecast = &self.regions[region.index()];
            if !forecast.may_change(pace, now) {
                continue;
            }
            let Some(weight) = self.decide(forecast, spare, room) else { continue };
            room -= forecast.moved_by(weight).max(0.0);
            self.regions[region.index()].change(weight, now);
            changed.insert(region);
        }
        changed
    }

    /// What the others could take until they too are at the middle, in units of load, without what is on its way to
    /// them. Whoever is not known to have room has none, nor whoever does not say how much.
    fn room(&self, eligible: RegionSet, now: Duration) -> f64 {
        let room = eligible.iter().filter_map(|region| {
            let spare = self.spare(region, now)?;
            Some(self.regions[region.index()].of_capacity(spare - self.middle()))
        });
        let room: f64 = room.filter(|room| room.is_finite() && *room > 0.0).sum();
        let on_its_way: f64 = self.regions.iter().map(Forecast::on_its_way).sum();
        (room - on_its_way).max(0.0)
    }

    /// The weight that a region gets instead of the one that it has.
    fn decide(&self, forecast: &Forecast, spare: f64, room: f64) -> Option<f64> {
        let weight = forecast.weight();
        let wanted = match spare {
            _ if spare < self.rules.low => forecast.weight_for(self.middle()),
            _ if spare > self.rules.high && weight < 1.0 => forecast.weight_for(self.middle()),
            _ => return None,
        };
        let bounded = wanted.clamp(weight - self.rules.step, weight + self.rules.step);
        let mut next = bounded.clamp(self.rules.floor.min(weight), 1.0);
        // It sheds no more than the others can take, or they would be overloaded in its place.
        let moved = forecast.moved_by(next);
        if moved > room {
            next = weight - (weight - next) * (room / moved);
        }
        let is_whole = next >= 1.0 && weight < 1.0;
        ((next - weight).abs() >= self.rules.dead_band - 1e-9 || is_whole).then_some(next)
    }

    fn middle(&self) -> f64 {
        (self.rules.low + self.rules.high) / 2.0
    }
}
