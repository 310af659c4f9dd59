//! What a region's load will be once clients have followed the weight that it has.

use std::collections::VecDeque;
use std::time::Duration;

/// One region's load, capacity and weight.
#[derive(Clone, Debug)]
pub(super) struct Forecast {
    weight: f64,
    changed: Option<Duration>,
    /// Weights of the past, with when each began: as far back as clients may still follow one.
    past: VecDeque<(Duration, f64)>,
    known: Option<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    at: Duration,
    /// Averaged.
    load: f64,
    /// The weight that clients follow, averaged over the same time: what `load` belongs to.
    followed: f64,
    /// Not averaged: capacity is what there is now. Infinite where nothing bounds it.
    capacity: f64,
}

/// The most weights of the past: with one change in 30 s more than half an hour of time-to-live.
const PAST: usize = 64;

/// A load that was measured under less than this weight tells too little to be scaled up.
const LEAST_FOLLOWED: f64 = 0.01;

impl Default for Forecast {
    fn default() -> Self {
        Forecast { weight: 1.0, changed: None, past: VecDeque::new(), known: None }
    }
}

impl Forecast {
    pub(super) fn weight(&self) -> f64 {
        self.weight
    }

    /// Takes a load that was measured now, from clients that follow what was decided a time-to-live ago.
    pub(super) fn observe(
        &mut self,
        load: f64,
        capacity: f64,
        ttl: Duration,
        smoothing: Duration,
        now: Duration,
    ) {
        let followed = self.weight_at(now.checked_sub(ttl));
        let smooth = |known: Known| {
            let passed = now.saturating_sub(known.at).as_secs_f64();
            let part = -(-passed / smoothing.as_secs_f64().max(f64::MIN_POSITIVE)).exp_m1();
            let mix = |old: f64, new: f64| old + (new - old) * part;
            Known { at: now, load: mix(known.load, load), followed: mix(known.followed, followed), capacity }
        };
        self.known = Some(self.known.map_or(Known { at: now, load, followed, capacity }, smooth));
    }

    /// Nothing is known of its load any more; its weight stays.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// It had this weight before, and clients follow it already.
    pub(super) fn recall(&mut self, weight: f64, now: Duration) {
        *self = Forecast { weight, changed: Some(now), ..Forecast::default() };
    }

    fn weight_at(&self, when: Option<Duration>) -> f64 {
        let began = |entry: &&(Duration, f64)| when.is_some_and(|when| entry.0 <= when);
        let first = self.past.front().map_or(self.weight, |entry| entry.1);
        self.past.iter().rev().find(began).map_or(first, |entry| entry.1)
    }

    /// The part of its capacity that it will have to spare.
    pub(super) fn spare(&self, freshness: Duration, now: Duration) -> Option<f64> {
        let known = self.known.filter(|known| now.saturating_sub(known.at) <= freshness)?;
        Some(1.0 - self.load_at(self.weight) / known.capacity)
    }

    /// The load that a weight would bring.
    fn load_at(&self, weight: f64) -> f64 {
        self.known.map_or(0.0, |known| known.load * weight / known.followed.max(LEAST_FOLLOWED))
    }

    /// The weight that would leave that part of its capacity to spare.
    pub(super) fn weight_for(&self, spare: f64) -> f64 {
        let capacity = self.known.map_or(0.0, |known| known.capacity);
        let whole = self.load_at(1.0);
        if whole > 0.0 { capacity * (1.0 - spare) / whole } else { 1.0 }
    }

    /// The load that goes elsewhere with another weight; negative when it comes back.
    pub(super) fn moved_by(&self, weight: f64) -> f64 {
        self.load_at(self.weight) - self.load_at(weight)
    }

    /// The load that has been sent elsewhere and has not got there yet.
    pub(super) fn on_its_way(&self) -> f64 {
        self.known.map_or(0.0, |known| (known.load - self.load_at(self.weight)).max(0.0))
    }

    /// A part of its capacity in units of load.
    pub(super) fn of_capacity(&self, part: f64) -> f64 {
        self.known.map_or(0.0, |known| known.capacity * part)
    }

    pub(super) fn may_change(&self, pace: Duration, now: Duration) -> bool {
        self.changed.is_none_or(|changed| now.saturating_sub(changed) >= pace)
    }

    pub(super) fn change(&mut self, weight: f64, now: Duration) {
        if self.past.is_empty() {
            self.past.push_back((Duration::ZERO, self.weight));
        }
        if self.past.len() == PAST {
            self.past.pop_front();
        }
        self.past.push_back((now, weight));
        (self.weight, self.changed) = (weight, Some(now));
    }
}
