//! What is seen at the moment, as policies ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use fulcrum_config::gslb::{Panic, Policy, ServiceAnswer, TargetAnswer};

use super::services::Served;
use super::{State, Target, regions};
use crate::compiled::World;
use crate::hosts::Endpoint;
use crate::policy::{ALL, Candidates, Plan, Situation, Slice, plan};
use crate::region::{Region, RegionSet};

/// Everything that answers depend on: while it is the same, they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) eligible: RegionSet,
    last_good: RegionSet,
    presentable: RegionSet,
    pub(super) shares: Vec<u8>,
    pub(super) unsettled: RegionSet,
    dispensable: RegionSet,
    pub(super) down: Arc<BTreeSet<Target>>,
    pub(super) unsettled_targets: Arc<BTreeSet<Target>>,
    pub(super) services: Arc<Served>,
}

/// What answers with a region depend on, its targets aside.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SeenRegion {
    is_in: [bool; 5],
    share: Option<u8>,
}

impl Seen {
    pub(super) fn of_region(&self, region: Region) -> SeenRegion {
        let Seen { eligible, last_good, presentable, unsettled, dispensable, .. } = self;
        let is_in = [eligible, last_good, presentable, unsettled, dispensable]
            .map(|regions| regions.contains(region));
        SeenRegion { is_in, share: self.shares.get(region.index()).copied() }
    }
}

impl State {
    /// The part of its clients that a region keeps for the sake of its headroom: all, where that is not looked at.
    pub(super) fn headroom(&self, region: Region) -> f64 {
        let configured = self.gslb.regions.get(region.index());
        let is_looked_at =
            self.gslb.headroom.is_some() && configured.is_some_and(|region| region.service.is_some());
        if is_looked_at { self.headroom.weight(region) } else { 1.0 }
    }

    /// What is seen at the moment.
    pub(super) fn see(&self) -> Seen {
        let failover = regions::failover(&self.gslb);
        let all = || Region::first(self.gslb.regions.len());
        let judge = self.judge.as_ref();
        let panics = judge.is_some_and(|judge| judge.panic(failover).is_some());
        let share = |region: Region| {
            let share = judge.map_or(100, |judge| judge.standing(region).share_for(failover));
            (f64::from(share) * self.headroom(region)).ceil() as u8
        };
        Seen {
            eligible: judge.filter(|_| !panics).map_or(RegionSet::EMPTY, |judge| judge.eligible(failover)),
            last_good: judge.map_or(RegionSet::EMPTY, crate::verdict::Judge::last_good),
            presentable: judge.map_or_else(|| all().collect(), crate::verdict::Judge::presentable),
            shares: all().map(share).collect(),
            unsettled: judge.map_or(RegionSet::EMPTY, crate::verdict::Judge::unsettled),
            dispensable: judge.map_or(RegionSet::EMPTY, |judge| judge.dispensable(failover)),
            down: Arc::clone(&self.down),
            unsettled_targets: Arc::clone(&self.unsettled_targets),
            services: Arc::clone(&self.services.served),
        }
    }
}

impl World for Seen {
    fn hosts(&self, service: &ServiceAnswer) -> Vec<Endpoint> {
        self.services.hosts.get(&service.service).cloned().unwrap_or_default()
    }

    fn plan(&self, policy: &Policy, candidates: &Candidates<'_>, together: bool) -> Plan {
        let check = policy.health.as_ref().map(super::identity);
        let among = |set: &BTreeSet<Target>, answer: &TargetAnswer| match (check, answer) {
            (Some(check), TargetAnswer::Address(address)) => set.contains(&(*address, check)),
            _ => false,
        };
        let seen = self;
        let is_down = |answer: &TargetAnswer| among(&seen.down, answer);
        let is_unsettled = |targets: &[fulcrum_config::gslb::Target]| {
            targets.iter().any(|target| among(&seen.unsettled_targets, &target.answer))
        };
        let situation = Situation {
            eligible: seen.eligible,
            last_good: seen.last_good,
            presentable: seen.presentable,
            shares: &seen.shares,
            unsettled: seen.unsettled,
            dispensable: seen.dispensable,
            is_down: &is_down,
            is_unsettled: candidates.iter().any(|(_, targets)| is_unsettled(targets)),
        };
        plan(policy, candidates, together, &situation)
    }

    fn presentable(&self) -> RegionSet {
        self.presentable
    }

    fn endpoints(&self, service: &ServiceAnswer) -> Plan {
        let known = self.services.addresses.get(&service.service).map_or(&[][..], Vec::as_slice);
        let all = known.len();
        let healthy: Vec<_> = known.iter().filter(|(_, _, is_healthy)| *is_healthy).collect();
        let is_unknown = self.services.unknown.contains(&service.service);
        let is_unsettled = healthy.len() < all || is_unknown;
        let ttl = if is_unsettled { service.ttl.min } else { service.ttl.max };
        let slice = |targets: Vec<(TargetAnswer, u64)>| match targets.is_empty() {
            true => Vec::new(),
            false => vec![Slice { until: ALL, region: None, targets }],
        };
        if !healthy.is_empty() {
            return Plan { slices: slice(joined(healthy.into_iter())), ttl, is_panic: false, is_unknown };
        }
        let slices = match &service.panic {
            Panic::All | Panic::LastGood => slice(joined(known.iter())),
            Panic::Fallback(addresses) => {
                slice(addresses.iter().map(|address| (TargetAnswer::Address(*address), 1)).collect())
            }
            Panic::NoData => Vec::new(),
        };
        Plan { slices, ttl, is_panic: true, is_unknown }
    }
}

/// Several endpoints at one address are one answer.
fn joined<'a>(endpoints: impl Iterator<Item = &'a (IpAddr, u16, bool)>) -> Vec<(TargetAnswer, u64)> {
    let mut weights: BTreeMap<IpAddr, u64> = BTreeMap::new();
    for (address, weight, _) in endpoints {
        *weights.entry(*address).or_default() += u64::from(*weight);
    }
    weights.into_iter().map(|(address, weight)| (TargetAnswer::Address(address), weight)).collect()
}
