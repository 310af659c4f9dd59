//! How long clients may still be led to a region by what resolvers remember.
//!
//! What has been answered is not known one by one; what could be answered is. As long as an answer that names a region is
//! among those that are given, it may be remembered for its time-to-live from now on; once none is, until the last one
//! that was has run out.

use std::collections::BTreeMap;
use std::time::Duration;

use fulcrum_config::gslb::{Answer, Gslb};

use crate::choice::Choice;
use crate::compiled::{Compiled, candidates};
use crate::region::{MAX_REGIONS, Region};

/// Who may still be led to a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposed {
    /// How many names are answered with it now.
    pub names: usize,
    /// The longest time-to-live of these answers, in seconds.
    pub ttl: u32,
    /// For how long from now answers with it may be remembered, those that are given now included.
    pub left: Duration,
}

/// For each region, what is answered with it now, and until when what was answered before is remembered.
#[derive(Debug)]
pub(super) struct Exposure {
    now: [Given; MAX_REGIONS],
    until: [Duration; MAX_REGIONS],
}

/// How many names are answered with each region, by time-to-live.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<(Region, u32), usize>);

impl Named {
    /// Of these choices. Of many it takes its time.
    pub(super) fn of<'a>(choices: impl Iterator<Item = &'a Choice>) -> Self {
        let mut named = Named::default();
        for key in choices.flat_map(Choice::named) {
            *named.0.entry(*key).or_default() += 1;
        }
        named
    }
}

/// How many names are answered with a region, by time-to-live.
#[derive(Debug, Default)]
struct Given(BTreeMap<u32, usize>);

impl Given {
    fn names(&self) -> usize {
        self.0.values().sum()
    }

    fn longest(&self) -> Option<u32> {
        self.0.last_key_value().map(|(ttl, _)| *ttl)
    }

    fn add(&mut self, ttl: u32, names: usize) {
        *self.0.entry(ttl).or_default() += names;
    }

    fn remove(&mut self, ttl: u32, names: usize) {
        if let Some(known) = self.0.get_mut(&ttl) {
            *known = known.saturating_sub(names);
            if *known == 0 {
                self.0.remove(&ttl);
            }
        }
    }
}

impl Default for Exposure {
    fn default() -> Self {
        Exposure { now: std::array::from_fn(|_| Given::default()), until: [Duration::ZERO; MAX_REGIONS] }
    }
}

impl Exposure {
    /// What was answered before the start is not known: anything that could have been.
    pub(super) fn begin(&mut self, compiled: &Compiled, gslb: &Gslb) {
        for chosen in compiled.chosen() {
            let Answer::Policy(policy) = &chosen.answer else { continue };
            for (region, _) in candidates(gslb, &policy.targets) {
                let Some(region) = region else { continue };
                let until = &mut self.until[region.index()];
                *until = remembered(policy.ttl.max).max(*until);
            }
        }
    }

    /// From now on these answers are given, and no others.
    pub(super) fn renew(&mut self, given: &Named, now: Duration) {
        self.close(now);
        self.now = std::array::from_fn(|_| Given::default());
        self.add(given);
    }

    /// From now on some are given in the place of others.
    pub(super) fn exchange(&mut self, gone: &Named, given: &Named, now: Duration) {
        self.close(now);
        for ((region, ttl), names) in &gone.0 {
            self.now[region.index()].remove(*ttl, *names);
        }
        self.add(given);
    }

    fn add(&mut self, given: &Named) {
        for ((region, ttl), names) in &given.0 {
            self.now[region.index()].add(*ttl, *names);
        }
    }

    /// Regions have other numbers from now on: `was` has for each of them which one it was. The answers stay for now.
    pub(super) fn reconfigure(&mut self, was: &[Option<Region>], now: Duration) {
        self.close(now);
        let mut before = std::mem::take(self);
        for (region, was) in Region::first(was.len()).zip(was) {
            let Some(was) = was else { continue };
            self.until[region.index()] = before.until[was.index()];
            self.now[region.index()] = std::mem::take(&mut before.now[was.index()]);
        }
    }

    /// What is given now is given until now.
    fn close(&mut self, now: Duration) {
        for (given, until) in self.now.iter().zip(&mut self.until) {
            if let Some(ttl) = given.longest() {
                *until = (now + remembered(ttl)).max(*until);
            }
        }
    }

    pub(super) fn exposed(&self, region: Region, now: Duration) -> Exposed {
        let given = &self.now[region.index()];
        let (names, ttl) = (given.names(), given.longest().unwrap_or(0));
        let given = given.longest().map_or(Duration::ZERO, remembered);
        Exposed { names, ttl, left: self.until[region.index()].saturating_sub(now).max(given) }
    }
}

/// How long an answer is remembered that is given now.
fn remembered(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into()) + ON_ITS_WAY
}

/// A worker exchanges its answers between two batches, and an answer needs its time.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const EU: Region = Region(0);
    const US: Region = Region(1);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn all(choices: &[Choice]) -> Named {
        Named::of(choices.iter())
    }

    fn naming(named: &[(Region, u32)]) -> Choice {
        let owner = "www.example.com".parse().expect("a name");
        let choose = fulcrum_config::gslb::Choose::All;
        let manner = crate::choice::Manner { owner: &owner, choose, max_answers: 1 };
        Choice::new(manner, None, &[]).naming(named.into())
    }

    #[test]
    fn what_was_answered_counts_down_once_nothing_is_answered_with_it() {
        let mut exposure = Exposure::default();
        let first = [naming(&[(EU, 60), (US, 60)]), naming(&[(EU, 300)])];
        exposure.renew(&all(&first), seconds(10));
        assert_eq!(exposure.exposed(EU, seconds(500)), Exposed { names: 2, ttl: 300, left: seconds(301) });
        assert_eq!(exposure.exposed(US, seconds(500)).left, seconds(61));
        // It is drained: the smaller one for the last moments does not make the longer one forgotten.
        let second = [naming(&[(EU, 5), (US, 5)])];
        exposure.exchange(&all(&first), &all(&second), seconds(500));
        assert_eq!(exposure.exposed(EU, seconds(501)), Exposed { names: 1, ttl: 5, left: seconds(300) });
        let third = [naming(&[(US, 60)])];
        exposure.exchange(&all(&second), &all(&third), seconds(510));
        assert_eq!(exposure.exposed(EU, seconds(520)), Exposed { names: 0, ttl: 0, left: seconds(281) });
        assert_eq!(exposure.exposed(EU, seconds(801)).left, Duration::ZERO);
    }

    #[test]
    fn a_reload_changes_numbers_but_not_what_is_remembered() {
        let mut exposure = Exposure::default();
        exposure.renew(&all(&[naming(&[(US, 60)])]), seconds(0));
        exposure.reconfigure(&[Some(US), None], seconds(100));
        // What was built for the numbers before is answered until the new ones are ready.
        assert_eq!(exposure.exposed(EU, seconds(105)), Exposed { names: 1, ttl: 60, left: seconds(61) });
        exposure.renew(&all(&[]), seconds(105));
        assert_eq!(exposure.exposed(EU, seconds(110)).left, seconds(56));
        assert_eq!(exposure.exposed(US, seconds(110)).left, Duration::ZERO);
    }
}
