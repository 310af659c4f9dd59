//! What is seen at the moment, as policies ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use fulcrum_config::gslb::{Panic, Policy, ServiceAnswer, TargetAnswer};
use fulcrum_model::ServiceName;

use super::{State, Target, regions};
use crate::compiled::World;
use crate::hosts::Endpoint;
use crate::policy::{ALL, Candidates, Plan, Situation, Slice, plan};
use crate::region::{Region, RegionSet};

/// Everything that answers depend on: while it is the same, they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) eligible: RegionSet,
    last_good: RegionSet,
    presentable: RegionSet,
    pub(super) shares: Vec<u8>,
    pub(super) unsettled: RegionSet,
    dispensable: RegionSet,
    pub(super) down: BTreeSet<Target>,
    pub(super) unsettled_targets: BTreeSet<Target>,
    /// Addresses by service: their weights, and whether they are healthy.
    pub(super) services: BTreeMap<ServiceName, Vec<(IpAddr, u16, bool)>>,
    /// The same endpoints with their ports.
    hosts: BTreeMap<ServiceName, Vec<Endpoint>>,
    /// The services that have not been heard of yet.
    unknown: BTreeSet<ServiceName>,
}

impl State {
    /// The part of its clients that a region keeps for the sake of its headroom: all, where that is not looked at.
    pub(super) fn headroom(&self, region: Region) -> f64 {
        let configured = self.gslb.regions.get(region.index());
        let is_looked_at =
            self.gslb.headroom.is_some() && configured.is_some_and(|region| region.service.is_some());
        if is_looked_at { self.headroom.weight(region) } else { 1.0 }
    }

    fn unknown_services(&self) -> BTreeSet<ServiceName> {
        let is_unknown = |name: &&ServiceName| self.services.get(*name).is_none_or(|view| view.is_unknown);
        self.gslb.services().filter(is_unknown).cloned().collect()
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
        let endpoints = |view: &super::ServiceView| {
            let endpoint =
                |endpoint: &super::EndpointView| (endpoint.address, endpoint.weight, endpoint.is_healthy);
            view.endpoints.iter().map(endpoint).collect()
        };
        let hosts = |view: &super::ServiceView| {
            let host = |endpoint: &super::EndpointView| Endpoint {
                address: SocketAddr::new(endpoint.address, endpoint.port),
                weight: endpoint.weight,
                is_healthy: endpoint.is_healthy,
            };
            view.endpoints.iter().map(host).collect()
        };
        let of = |is: fn(&crate::target::TargetHealth) -> bool| {
            self.targets
                .iter()
                .filter(|(_, checked)| is(&checked.health))
                .map(|(target, _)| *target)
                .collect()
        };
        Seen {
            eligible: judge.filter(|_| !panics).map_or(RegionSet::EMPTY, |judge| judge.eligible(failover)),
            last_good: judge.map_or(RegionSet::EMPTY, crate::verdict::Judge::last_good),
            presentable: judge.map_or_else(|| all().collect(), crate::verdict::Judge::presentable),
            shares: all().map(share).collect(),
            unsettled: judge.map_or(RegionSet::EMPTY, crate::verdict::Judge::unsettled),
            dispensable: judge.map_or(RegionSet::EMPTY, |judge| judge.dispensable(failover)),
            down: of(crate::target::TargetHealth::is_down),
            unsettled_targets: of(crate::target::TargetHealth::is_unsettled),
            unknown: self.unknown_services(),
            services: self.services.iter().map(|(name, view)| (name.clone(), endpoints(view))).collect(),
            hosts: self.services.iter().map(|(name, view)| (name.clone(), hosts(view))).collect(),
        }
    }
}

impl World for Seen {
    fn hosts(&self, service: &ServiceAnswer) -> Vec<Endpoint> {
        self.hosts.get(&service.service).cloned().unwrap_or_default()
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
        let known = self.services.get(&service.service).map_or(&[][..], Vec::as_slice);
        let all = known.len();
        let healthy: Vec<_> = known.iter().filter(|(_, _, is_healthy)| *is_healthy).collect();
        let is_unknown = self.unknown.contains(&service.service);
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
