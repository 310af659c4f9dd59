//! Why a name is answered as it is: read off the state that the answers in force were made of.

use std::net::IpAddr;
use std::sync::Arc;

use fulcrum_config::gslb::{
    Answer, Choose, Panic, Policy, RegionOrder, ServiceAnswer, ServiceChoose, Target, TargetAnswer, Targets,
};

use super::world::Seen;
use super::{Responder, State, identity, regions};
use crate::choice::{Choice, Way, Whom};
use crate::compiled::{Chosen, candidates};
use crate::explain::{
    Candidate, Choosing, Explanation, Found, Outcome, Panicking, Part, Question, RegionView, TargetState,
    TargetView, TtlReason, told,
};
use crate::geo::Candidate as Ranked;
use crate::names;
use crate::policy::{ALL, Plan, Slice, is_weighted};
use crate::region::Region;
use crate::snapshot::Snapshot;
use crate::verdict;

impl Responder {
    /// Why a question is answered as it is. `seed` decides where chance does.
    pub fn explain(&self, question: &Question, seed: u64) -> Option<Explanation> {
        // While nobody builds, what is answered, what it was made of and what is known belong together.
        let _building = self.building();
        let state = self.state();
        let snapshot = self.snapshot();
        let seen = Arc::clone(&state.answered.as_ref()?.seen);
        let told = told(&snapshot, question, seed)?;
        let (found, zone) = snapshot.names.find(question.name.as_wire(), question.record_type.0);
        let zone = snapshot.names.zones().nth(zone as usize).cloned();
        let (found, choosing) = match found {
            names::Found::Body(_) | names::Found::Any => (Found::Records, None),
            names::Found::NoData(_) => (Found::NoData, None),
            names::Found::NoName(_) => (Found::NoName, None),
            names::Found::Below(number, _) => {
                let (label, choice) = (question.name.labels().next(), snapshot.choices.get(number as usize));
                let host =
                    label.zip(choice).and_then(|(label, choice)| choice.host(label, question.record_type.0));
                match host {
                    Some(Some(_)) => (Found::Records, None),
                    Some(None) => (Found::NoData, None),
                    None => (Found::NoName, None),
                }
            }
            names::Found::Nowhere => (Found::Nowhere, None),
            names::Found::Choice(number, _) => {
                let why = Why { state: &state, seen: &seen, snapshot: &snapshot };
                (Found::Choice, why.choosing(question, number as usize))
            }
        };
        Some(Explanation { generation: snapshot.generation, zone, found, told, choosing })
    }
}

/// What the answers in force were made of.
struct Why<'a> {
    state: &'a State,
    seen: &'a Seen,
    snapshot: &'a Snapshot,
}

/// A plan, and how it chooses among the targets of a slice.
struct Planned<'a> {
    plan: &'a Plan,
    choose: Choose,
}

impl Why<'_> {
    fn choosing(&self, question: &Question, number: usize) -> Option<Choosing> {
        let choice = self.snapshot.choices.get(number)?;
        let chosen = self.state.compiled.chosen().get(number)?;
        let whom = Whom::told(question.from);
        let way = choice.way(whom);
        let plan = chosen.plans_in_force(&self.state.gslb, self.seen).into_iter().nth(way.kind)?;
        let (candidates, panic, reason) = match &chosen.answer {
            Answer::Policy(policy) => self.of_policy(chosen, policy, (choice, whom, way), &plan),
            Answer::Service(service) => self.of_service(service, &plan),
        };
        let atlas = self.state.compiled.atlas();
        let place = chosen.ranking().zip(atlas).map(|(ranking, atlas)| (atlas.locate(whom.address), ranking));
        Some(Choosing {
            owner: chosen.owner.clone(),
            by: by(&chosen.answer),
            class: way.class.map(|class| class.0),
            place,
            candidates,
            slices: self.parts(&plan),
            slice: way.slice,
            panic,
            ttl: (plan.ttl, reason),
        })
    }

    fn of_policy(
        &self,
        chosen: &Chosen,
        policy: &Policy,
        (choice, whom, way): (&Choice, Whom, Way),
        plan: &Plan,
    ) -> (Vec<Candidate>, Option<Panicking>, TtlReason) {
        let all = candidates(&self.state.gslb, &policy.targets);
        let order = chosen.order(way.kind, all.len());
        let ranked = self.ranked(chosen, choice, whom);
        let planned = Planned { plan, choose: policy.choose };
        let view = |place: usize, is_for_client: bool| {
            let (region, targets) = all[place];
            let clients = planned.clients(region, targets);
            let outcome = match is_for_client {
                true => self.outcome(policy, (region, targets), clients, plan),
                false => Outcome::NotForClient,
            };
            let rank =
                region.and_then(|region| ranked.iter().find(|ranked| ranked.region == region).copied());
            let target = |target: &Target| TargetView {
                answers: Some(chosen.counts().of(region, &target.answer)),
                ..self.target(policy, target, planned.first(region, &target.answer))
            };
            Candidate {
                region: region.map(|region| self.region(region)),
                rank,
                clients,
                outcome,
                targets: targets.iter().map(target).collect(),
            }
        };
        let others = (0..all.len()).filter(|place| !order.contains(place));
        let views =
            order.iter().map(|place| view(*place, true)).chain(others.map(|place| view(place, false)));
        let views: Vec<Candidate> = views.collect();
        let in_order = order.iter().filter_map(|place| all.get(*place));
        let unsettled: Vec<String> = in_order
            .clone()
            .filter_map(|(region, _)| region.filter(|region| self.seen.unsettled.contains(*region)))
            .map(|region| self.region(region).name)
            .collect();
        let mut targets = in_order.flat_map(|(_, targets)| targets.iter());
        let reason = match unsettled.is_empty() {
            false => TtlReason::Regions(unsettled),
            true if targets.any(|target| self.is_unsettled(policy, target)) => TtlReason::Targets,
            true => TtlReason::Settled,
        };
        let panic = plan.is_panic.then(|| Panicking { mode: mode(&policy.panic), why: self.why_panic() });
        (views, panic, reason)
    }

    fn of_service(
        &self,
        service: &ServiceAnswer,
        plan: &Plan,
    ) -> (Vec<Candidate>, Option<Panicking>, TtlReason) {
        let choose = match service.choose {
            ServiceChoose::All => Choose::All,
            ServiceChoose::Weighted => Choose::Weighted,
        };
        let planned = Planned { plan, choose };
        let known = self.seen.services.addresses.get(&service.service).map_or(&[][..], Vec::as_slice);
        let target = |(address, weight, is_healthy): &(IpAddr, u16, bool)| TargetView {
            answer: address.to_string(),
            weight: (*weight).into(),
            health: if *is_healthy { TargetState::Up } else { TargetState::Down },
            complaint: None,
            first: planned.first(None, &TargetAnswer::Address(*address)),
            answers: None,
        };
        let is_answered = !plan.slices.is_empty();
        let outcome = match plan.is_panic {
            false => Outcome::Answers,
            true if is_answered && matches!(service.panic, Panic::All | Panic::LastGood) => {
                Outcome::LastResort
            }
            true => Outcome::NoTarget,
        };
        let candidate = Candidate {
            region: None,
            rank: None,
            clients: if outcome == Outcome::NoTarget { 0.0 } else { 100.0 },
            outcome,
            targets: known.iter().map(target).collect(),
        };
        let why = "no endpoint of the service is healthy";
        let panic = plan.is_panic.then(|| Panicking { mode: mode(&service.panic), why });
        let is_settled = plan.ttl == service.ttl.max;
        (vec![candidate], panic, if is_settled { TtlReason::Settled } else { TtlReason::Endpoints })
    }

    /// Why regions stand where they do for this client; nothing where its network has clients of several classes, of which
    /// most are elsewhere.
    fn ranked(&self, chosen: &Chosen, choice: &Choice, whom: Whom) -> Vec<Ranked> {
        let alone = Whom { bits: if whom.address.is_ipv4() { 32 } else { 128 }, ..whom };
        let is_typical = choice.way(whom).class == choice.way(alone).class;
        let rank = |(ranking, atlas): (_, &crate::geo::Atlas)| {
            let located = atlas.locate(whom.address);
            atlas.rank(ranking, located.net, &located.place)
        };
        let known = chosen.ranking().zip(self.state.compiled.atlas()).filter(|_| is_typical);
        known.map_or_else(Vec::new, rank)
    }

    fn outcome(
        &self,
        policy: &Policy,
        (region, targets): (Option<Region>, &[Target]),
        clients: f64,
        plan: &Plan,
    ) -> Outcome {
        let is_down = |target: &Target| {
            matches!(self.health(policy, target).0, TargetState::Down | TargetState::Returning)
        };
        match region {
            _ if clients > 0.0 && plan.is_panic => Outcome::LastResort,
            _ if clients > 0.0 => Outcome::Answers,
            Some(region) if !self.seen.eligible.contains(region) => Outcome::NotEligible,
            _ if targets.iter().all(is_down) => Outcome::NoTarget,
            _ if targets.iter().all(|target| target.weight == 0) => Outcome::NoWeight,
            _ => Outcome::NotReached,
        }
    }

    fn region(&self, region: Region) -> RegionView {
        let configured = self.state.gslb.regions.get(region.index());
        RegionView {
            name: configured.map(|region| region.name.to_string()).unwrap_or_default(),
            standing: self.state.judge.as_ref().map(|judge| judge.standing(region).clone()),
            share: self.seen.shares.get(region.index()).copied().unwrap_or(100),
        }
    }

    fn target(&self, policy: &Policy, target: &Target, first: f64) -> TargetView {
        let (health, complaint) = self.health(policy, target);
        TargetView {
            answer: match &target.answer {
                TargetAnswer::Address(address) => address.to_string(),
                TargetAnswer::Alias(name) => name.to_string(),
            },
            weight: target.weight.into(),
            health,
            complaint,
            first,
            answers: None,
        }
    }

    /// How well a target is, and what its last bad check complained of.
    fn health(&self, policy: &Policy, target: &Target) -> (TargetState, Option<String>) {
        let (Some(check), TargetAnswer::Address(address)) = (&policy.health, &target.answer) else {
            return (TargetState::Unchecked, None);
        };
        let Some(checked) = self.state.targets.get(&(*address, identity(check))) else {
            return (TargetState::Unchecked, None);
        };
        // What is answered follows within a second: until then it is only suspect.
        let is_out = self.seen.down.contains(&(*address, identity(check)));
        let state = match (is_out, checked.health.is_down() != is_out || checked.health.is_unsettled()) {
            (true, true) => TargetState::Returning,
            (true, false) => TargetState::Down,
            (false, true) => TargetState::Suspect,
            (false, false) if checked.health.last().is_none() => TargetState::Unchecked,
            (false, false) => TargetState::Up,
        };
        (state, checked.health.complaint().map(str::to_owned))
    }

    fn is_unsettled(&self, policy: &Policy, target: &Target) -> bool {
        let (Some(check), TargetAnswer::Address(address)) = (&policy.health, &target.answer) else {
            return false;
        };
        self.seen.unsettled_targets.contains(&(*address, identity(check)))
    }

    fn why_panic(&self) -> &'static str {
        let failover = regions::failover(&self.state.gslb);
        match self.state.judge.as_ref().and_then(|judge| judge.panic(failover)) {
            Some(verdict::Panic::NoneEligible) => "no region is eligible",
            Some(verdict::Panic::AllFailing) => {
                "every observer sees every region fail: more likely it is their own links"
            }
            None => "no target is in order in any region that is eligible",
        }
    }

    fn parts(&self, plan: &Plan) -> Vec<Part> {
        let region = |slice: &Slice| slice.region.map(|region| self.region(region).name);
        plan.parts().map(|(slice, clients)| Part { region: region(slice), clients }).collect()
    }
}

impl Planned<'_> {
    /// How many of the clients a region gets, in percent; for targets without regions, how many they get.
    fn clients(&self, region: Option<Region>, targets: &[Target]) -> f64 {
        let own = self.plan.parts().filter(|(slice, _)| slice.region == region && region.is_some());
        let own: f64 = own.map(|(_, part)| part).sum();
        let together = self.plan.parts().filter(|(slice, _)| slice.region.is_none());
        let of_slice = |slice: &Slice| {
            let total: u64 = slice.targets.iter().map(|(_, weight)| self.counts(*weight)).sum();
            let is_own = |answer: &TargetAnswer| targets.iter().any(|target| target.answer == *answer);
            let own = slice.targets.iter().filter(|(answer, _)| is_own(answer));
            let own: u64 = own.map(|(_, weight)| self.counts(*weight)).sum();
            own as f64 / total.max(1) as f64
        };
        own + together.map(|(slice, part)| part * of_slice(slice)).sum::<f64>()
    }

    /// How many answers to the clients of a target's part begin with it, in percent, among those of its type.
    fn first(&self, region: Option<Region>, answer: &TargetAnswer) -> f64 {
        let is_there = |slice: &&Slice| {
            let is_own = slice.region.is_none() || slice.region == region;
            is_own && slice.targets.iter().any(|(found, _)| found == answer)
        };
        let Some(slice) = self.plan.slices.iter().find(is_there) else { return 0.0 };
        let kind = |answer: &TargetAnswer| match answer {
            TargetAnswer::Address(address) => u8::from(address.is_ipv6()),
            TargetAnswer::Alias(_) => 2,
        };
        let mut alike = slice.targets.iter().filter(|(found, _)| kind(found) == kind(answer));
        if self.choose == Choose::First {
            return if alike.next().is_some_and(|(found, _)| found == answer) { 100.0 } else { 0.0 };
        }
        let total: u64 = alike.clone().map(|(_, weight)| self.counts(*weight)).sum();
        let own = alike.find(|(found, _)| found == answer).map_or(0, |(_, weight)| self.counts(*weight));
        own as f64 * 100.0 / total.max(1) as f64
    }

    /// What a weight counts. Weights of zero are there only when all are.
    fn counts(&self, weight: u64) -> u64 {
        if is_weighted(self.choose) { weight.max(1) } else { 1 }
    }
}

impl Plan {
    /// The parts of the clients, and how many each has, in percent.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&Slice, f64)> {
        let begins = std::iter::once(0).chain(self.slices.iter().map(|slice| slice.until));
        let part = |(slice, begin): (_, u64)| {
            let slice: &Slice = slice;
            (slice, (slice.until.saturating_sub(begin)) as f64 * 100.0 / ALL as f64)
        };
        self.slices.iter().zip(begins).map(part)
    }
}

/// What a name answers by, as it is configured.
fn by(answer: &Answer) -> String {
    match answer {
        Answer::Policy(policy) => format!("policy {}", words(policy).join(", ")),
        Answer::Service(service) => format!("service {}", service.service),
    }
}

/// The words of its policy.
pub(super) fn words(policy: &Policy) -> Vec<&'static str> {
    let order = match &policy.targets {
        Targets::Regions { order: RegionOrder::Geo, .. } => Some("geo"),
        Targets::Regions { order: RegionOrder::Nearest, .. } => Some("nearest"),
        Targets::Regions { order: RegionOrder::Configured, .. } => Some("failover"),
        Targets::Regions { order: RegionOrder::Together, .. } | Targets::Endpoints(_) => None,
    };
    let choose = match policy.choose {
        Choose::All if order.is_some() => None,
        Choose::All => Some("round_robin"),
        Choose::Weighted => Some("weighted"),
        Choose::Sticky { .. } => Some("sticky"),
        Choose::First => Some("failover"),
    };
    order.into_iter().chain(choose).collect()
}

/// A panic mode as it is configured.
fn mode(panic: &Panic) -> &'static str {
    match panic {
        Panic::All => "all",
        Panic::LastGood => "last_good",
        Panic::Fallback(_) => "fallback",
        Panic::NoData => "nodata",
    }
}
