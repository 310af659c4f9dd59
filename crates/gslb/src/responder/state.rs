//! What is known at the moment: what one look at everything needs, and what comes of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fulcrum_config::gslb::{Answer, Gslb};
use fulcrum_model::ServiceName;

use super::building::Answered;
use super::checked::{Checked, Target, keep};
use super::dependents::Dependents;
use super::exposure::Exposure;
use super::groundwork::Groundwork;
use super::services::Services;
use super::{Answers, Load, Next, ServiceView, explain, regions};
use crate::choices::Choices;
use crate::compiled::{Chosen, Compiled};
use crate::cookie::CookieKeys;
use crate::counters::Counters;
use crate::headroom::Headroom;
use crate::region::Region;
use crate::snapshot::{Named, Snapshot};
use crate::target::TargetHealth;
use crate::verdict::{Evidence, Judge, Memory, Now, Observer, Report, Transition, Vote};

/// What one look at everything needs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) gslb: Arc<Gslb>,
    pub(super) compiled: Arc<Compiled>,
    pub(super) generation: u64,
    pub(super) judge: Option<Judge>,
    pub(super) headroom: Headroom,
    pub(super) targets: BTreeMap<Target, Checked>,
    /// The targets that are left out.
    pub(super) down: Arc<BTreeSet<Target>>,
    /// Those that may be left out, or come back, soon.
    pub(super) unsettled_targets: Arc<BTreeSet<Target>>,
    pub(super) services: Services,
    /// The services that names and regions speak of.
    pub(super) asked: Arc<BTreeSet<ServiceName>>,
    pub(super) dependents: Dependents,
    /// How late clients may follow.
    largest_ttl: Duration,
    /// The answers in force; none before they have been built for the first time.
    pub(super) answered: Option<Answered>,
    pub(super) sequence: u64,
    /// How long answers with each region are remembered.
    pub(super) exposure: Exposure,
    /// Answers of names that are not there any more.
    pub(super) past: Answers,
}

impl State {
    pub(super) fn new(next: Next, generation: u64, memory: Option<&Memory>, now: Now) -> Self {
        let Next { gslb, compiled, groundwork, .. } = next;
        let Groundwork { targets, sites, rules, largest_ttl, services, dependents } = groundwork;
        let mut headroom = Headroom::new(gslb.regions.len(), regions::headroom(&gslb));
        for (region, configured) in Region::first(gslb.regions.len()).zip(&gslb.regions) {
            if let Some(weight) = memory.and_then(|memory| memory.weight(configured.name.as_str(), now)) {
                headroom.recall(region, weight, now.clock);
            }
        }
        State {
            compiled: Arc::new(compiled),
            generation,
            judge: sites.map(|sites| Judge::new(sites, rules, memory, now)),
            headroom,
            targets,
            down: Arc::default(),
            unsettled_targets: Arc::default(),
            services: Services::default(),
            asked: services,
            dependents,
            largest_ttl,
            answered: None,
            sequence: 0,
            exposure: Exposure::default(),
            past: BTreeMap::new(),
            gslb,
        }
    }

    pub(super) fn replace(&mut self, next: Next, generation: u64, now: Now) {
        let Next { gslb, compiled, groundwork, .. } = next;
        let Groundwork { mut targets, sites, rules, largest_ttl, services, dependents } = groundwork;
        keep(&mut targets, std::mem::take(&mut self.targets));
        let judge = sites.map(|sites| match &self.judge {
            Some(judge) => judge.reconfigured(sites, rules, now),
            None => Judge::new(sites, rules, None, now),
        });
        let was = |region: &fulcrum_config::gslb::Region| {
            self.gslb.regions.iter().position(|before| before.name == region.name).and_then(Region::new)
        };
        let was: Vec<_> = gslb.regions.iter().map(was).collect();
        let headroom = self.headroom.reconfigured(&was, regions::headroom(&gslb));
        let mut exposure = std::mem::take(&mut self.exposure);
        exposure.reconfigure(&was, now.clock);
        let mut past = std::mem::take(&mut self.past);
        let kept: HashSet<_> = compiled.chosen().iter().map(|chosen| Arc::as_ptr(chosen.counts())).collect();
        let gone = |chosen: &&Chosen| !kept.contains(&Arc::as_ptr(chosen.counts()));
        add_answers(&mut past, &self.gslb, self.compiled.chosen().iter().filter(gone));
        *self = State {
            compiled: Arc::new(compiled),
            generation,
            judge,
            headroom,
            down: among(&targets, TargetHealth::is_down),
            unsettled_targets: among(&targets, TargetHealth::is_unsettled),
            targets,
            services: std::mem::take(&mut self.services),
            asked: services,
            dependents,
            largest_ttl,
            answered: None,
            sequence: self.sequence,
            exposure,
            past,
            gslb,
        };
    }

    /// What is answered with these choices.
    pub(super) fn snapshot(
        &self,
        counters: &Counters,
        own_key: &Arc<CookieKeys>,
        choices: Choices,
    ) -> Snapshot {
        let keys: Vec<[u8; 16]> = self.gslb.cookie_keys.iter().map(|key| key.expose()).collect();
        let cookies = if keys.is_empty() { Arc::clone(own_key) } else { Arc::new(CookieKeys::new(keys)) };
        let (zone_cells, nowhere_cells) = counters.of_zones(self.compiled.names.zones());
        Snapshot {
            generation: self.generation,
            names: Arc::clone(&self.compiled.names),
            choices,
            cookies,
            identity: self.gslb.nsid.as_deref().unwrap_or_default().as_bytes().into(),
            zone_cells: zone_cells.into(),
            nowhere_cells,
            directory: None,
            regions: self.gslb.regions.iter().map(|region| Named(region.name.clone())).collect(),
        }
    }

    /// What is to be remembered over a restart; nothing where there are no regions.
    pub(super) fn memory(&self, now: Now) -> Option<Memory> {
        let regions = Region::first(self.gslb.regions.len()).zip(&self.gslb.regions);
        let weights = regions.map(|(region, known)| (known.name.as_str(), self.headroom(region)));
        Some(self.judge.as_ref()?.memory(now).with_weights(weights))
    }

    /// Takes the outcome of a check; it is a vote on the regions that the target stands for.
    pub(super) fn checked(&mut self, target: Target, outcome: Result<(), String>, now: Now) {
        let Some(checked) = self.targets.get_mut(&target) else { return };
        let vote = if outcome.is_ok() { Vote::Ok } else { Vote::Fail };
        checked.doubt(self.judge.as_ref());
        checked.health.checked(outcome, &checked.rules, now.clock);
        note(&mut self.down, target, checked.health.is_down());
        note(&mut self.unsettled_targets, target, checked.health.is_unsettled());
        let votes = checked.votes.clone();
        for (region, number) in votes {
            self.report(region, number, vote, now);
        }
    }

    pub(super) fn report(&mut self, region: Region, target: u16, vote: Vote, now: Now) {
        self.sequence += 1;
        let report = Report {
            observer: Observer(0),
            region,
            target,
            vote,
            sequence: self.sequence,
            age: Duration::ZERO,
        };
        if let Some(judge) = &mut self.judge {
            judge.report(report, now);
        }
    }

    /// Takes what the services of regions are like, and decides.
    pub(super) fn judge(&mut self, now: Now) -> Vec<Transition> {
        let gslb = Arc::clone(&self.gslb);
        let (ttl, views) = (self.largest_ttl, Arc::clone(&self.services.views));
        for (region, configured) in Region::first(gslb.regions.len()).zip(&gslb.regions) {
            let view = configured.service.as_ref().and_then(|service| views.get(service));
            let Some(view) = view else { continue };
            let healthy = view.healthy;
            let evidence = Evidence { healthy, load: view.load, capacity: view.capacity, data_ready: true };
            let vote = match healthy {
                _ if view.is_unknown => Vote::Unknown,
                0 => Vote::Fail,
                _ => Vote::Ok,
            };
            self.report(region, 0, vote, now);
            if gslb.headroom.is_some() && !view.is_unknown {
                self.headroom.observe(region, &evidence, ttl, now.clock);
            }
            if let Some(judge) = self.judge.as_mut().filter(|_| !view.is_unknown) {
                judge.heartbeat(region, evidence, now);
            }
        }
        let Some(judge) = &mut self.judge else { return Vec::new() };
        let transitions = judge.tick(now);
        let eligible = judge.eligible(regions::failover(&gslb));
        self.headroom.tick(eligible, ttl, now.clock);
        transitions
    }
}

/// What the service of a region works on.
pub(super) fn load(
    views: &BTreeMap<ServiceName, ServiceView>,
    region: &fulcrum_config::gslb::Region,
) -> Option<Load> {
    let view = views.get(region.service.as_ref()?)?;
    Some(Load { load: view.load, capacity: view.capacity })
}

/// Adds up how often each region answered for these names.
pub(super) fn add_answers<'a>(to: &mut Answers, gslb: &Gslb, names: impl Iterator<Item = &'a Chosen>) {
    for chosen in names {
        let policy = match &chosen.answer {
            Answer::Policy(policy) => explain::words(policy).join("+"),
            Answer::Service(_) => "service".to_owned(),
        };
        for (region, count) in chosen.counts().regions() {
            let region = region.and_then(|region| gslb.regions.get(region.index()));
            let key = (region.map(|region| region.name.clone()), policy.clone());
            *to.entry(key).or_default() += count;
        }
    }
}

/// Whether a target is among these from now on.
fn note(among: &mut Arc<BTreeSet<Target>>, target: Target, is_among: bool) {
    if among.contains(&target) != is_among {
        let among = Arc::make_mut(among);
        if is_among {
            among.insert(target)
        } else {
            among.remove(&target)
        };
    }
}

fn among(targets: &BTreeMap<Target, Checked>, is: fn(&TargetHealth) -> bool) -> Arc<BTreeSet<Target>> {
    let among = targets.iter().filter(|(_, checked)| is(&checked.health));
    Arc::new(among.map(|(target, _)| *target).collect())
}
