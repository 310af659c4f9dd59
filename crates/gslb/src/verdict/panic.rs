//! When there is nobody left to send clients to, or nothing that is seen can be believed.

use std::time::Duration;

use super::{Failover, Forced, Judge, Outcome, Reason, Standing, State, Ttl};
use crate::region::{Region, RegionSet};

/// Why names answer as they do when everything is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Panic {
    /// No region is eligible: each is down, drained, or has not got its data.
    NoneEligible,
    /// For the hold, every observer that sees anything has seen every region fail. It is more likely its own link, and
    /// no region has been taken out for it.
    AllFailing,
}

/// What leads to a panic, and what was before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// How long everything has been failing.
    pub(super) failing: Duration,
    /// The regions that were eligible when something was still seen well.
    pub(super) last_good: RegionSet,
}

impl Judge {
    /// Whether names are to answer by their panic mode, and why.
    pub fn panic(&self, failover: Failover) -> Option<Panic> {
        if self.eligible(failover).is_empty() {
            return Some(Panic::NoneEligible);
        }
        (self.watch.failing >= self.rules().hold).then_some(Panic::AllFailing)
    }

    /// The regions that get clients, of names that follow verdicts so.
    pub fn eligible(&self, failover: Failover) -> RegionSet {
        let gets_clients = |region: &Region| self.standing(*region).share_for(failover) > 0;
        self.sites().regions().filter(gets_clients).collect()
    }

    /// The regions that may change soon: answers with them have the smaller time-to-live.
    pub fn unsettled(&self) -> RegionSet {
        self.sites().regions().filter(|&region| self.standing(region).ttl == Ttl::Low).collect()
    }

    /// The regions that a name may leave by itself when all of its own targets there fail: others see the region well, so
    /// it is the name's own fault and neither the region's nor that of the link it is seen by; and no word keeps it.
    pub fn dispensable(&self, failover: Failover) -> RegionSet {
        let is_dispensable = |region: &Region| {
            let watched = self.watched(*region);
            watched.is_some_and(|watched| {
                watched.seen.outcome == Outcome::Ok && watched.orders.forced() != Some(Forced::Up)
            })
        };
        match failover {
            Failover::Auto => self.sites().regions().filter(is_dispensable).collect(),
            Failover::Confirm => RegionSet::EMPTY,
        }
    }

    /// For the panic mode `last_good`: the regions that were eligible when one was last seen well, but for those that
    /// are not presentable. May be empty.
    pub fn last_good(&self) -> RegionSet {
        let presentable = self.presentable();
        self.watch.last_good.iter().filter(|&region| presentable.contains(region)).collect()
    }

    /// For the panic mode `all`: every region but those that an operator has taken out, and those that have not got
    /// their data. May be empty.
    pub fn presentable(&self) -> RegionSet {
        let is_presentable = |standing: &Standing| {
            let is_out = matches!(standing.state, State::Drained | State::ForcedDown);
            !is_out && standing.reason != Reason::DataNotReady
        };
        self.sites().regions().filter(|&region| is_presentable(self.standing(region))).collect()
    }

    /// Looks whether everything fails. Where nobody can tell, what was held before stands.
    pub(super) fn look_for_panic(&mut self, passed: Duration) {
        let judged = self.sites().regions().filter(|&region| self.sites().targets(region) > 0);
        let votes: Vec<_> = judged.map(|region| self.votes(region)).collect();
        let is_all = !votes.is_empty() && votes.iter().all(|votes| votes.is_seen_failing_only());
        if votes.iter().any(|votes| votes.ok() > 0) {
            self.watch.failing = Duration::ZERO;
        } else if is_all {
            self.watch.failing += passed;
        }
    }

    /// Remembers who is eligible while something is seen well.
    pub(super) fn remember_good(&mut self) {
        let eligible = self.eligible(Failover::Auto);
        let is_seen = self.sites().regions().any(|region| self.votes(region).ok() > 0);
        if is_seen && !eligible.is_empty() {
            self.watch.last_good = eligible;
        }
    }
}
