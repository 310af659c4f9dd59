//! Who gets the next request: decisions over what is known of the endpoints, without a socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_balance::outlier::may_eject;
use fulcrum_balance::panic::{PanicPolicy, in_panic};
use fulcrum_balance::{Member, Members, PickState, Picker, Rng, Share};
use fulcrum_model::InstanceId;

use crate::balancer::BalancerOptions;
use crate::condition::{Changes, Condition};
use crate::view::{Endpoint, EndpointState};

/// The endpoints of a service at one time, and how to choose among them.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// What it was built of: the same place in memory is the same list.
    list: Arc<[Arc<Endpoint>]>,
    candidates: Arc<[Candidate]>,
    picker: Picker,
    state: PickState,
    changes: Arc<Changes>,
    /// Nothing where the endpoints are others than those that were counted.
    counted: Option<Counted>,
}

/// Whom to trust, as it was found when everyone was looked at last.
#[derive(Debug)]
struct Counted {
    trust: Trust,
    /// Of [`Changes`] then.
    changes: u64,
    /// When the next ejection ends.
    until: Duration,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) condition: Arc<Condition>,
}

impl Cluster {
    /// Nobody, before anything is known.
    pub(crate) fn empty(options: &BalancerOptions, rng: &mut Rng) -> Self {
        let picker = Picker::new(options.policy, &[]);
        let state = PickState::new(&picker, rng);
        Cluster {
            list: Arc::default(),
            candidates: Arc::default(),
            picker,
            state,
            changes: Arc::default(),
            counted: None,
        }
    }

    /// Takes another list, if it is one. The same process keeps its condition; one that is new starts slowly, but for those
    /// that were there first.
    pub(crate) fn follow(
        &mut self,
        list: Arc<[Arc<Endpoint>]>,
        options: &BalancerOptions,
        now: Duration,
        rng: &mut Rng,
    ) {
        if Arc::ptr_eq(&list, &self.list) || list.is_empty() && self.list.is_empty() {
            return;
        }
        let since = (!self.candidates.is_empty()).then_some(now);
        let known: HashMap<&InstanceId, &Candidate> =
            self.candidates.iter().map(|candidate| (&candidate.endpoint.id, candidate)).collect();
        let candidate = |endpoint: &Arc<Endpoint>| {
            let is_same = |candidate: &&&Candidate| {
                let before = &candidate.endpoint;
                (before.epoch, before.address) == (endpoint.epoch, endpoint.address)
            };
            let condition = known.get(&endpoint.id).filter(is_same).map(|candidate| &candidate.condition);
            let condition =
                condition.map_or_else(|| Arc::new(Condition::new(since, &self.changes)), Arc::clone);
            Candidate { endpoint: Arc::clone(endpoint), condition }
        };
        let candidates: Arc<[Candidate]> = list.iter().map(candidate).collect();
        let members: Vec<Member<'_>> = list
            .iter()
            .map(|endpoint| Member { id: endpoint.id.as_str(), weight: endpoint.weight.get() })
            .collect();
        self.picker = Picker::new(options.policy, &members);
        self.state = PickState::new(&self.picker, rng);
        self.candidates = candidates;
        self.list = list;
        self.counted = None;
    }

    /// Somebody for a request, but none of those that were tried for it.
    pub(crate) fn pick(
        &mut self,
        key: Option<u64>,
        tried: &[Candidate],
        options: &BalancerOptions,
        now: Duration,
        rng: &mut Rng,
    ) -> Option<Candidate> {
        let trust = self.trust(&options.panic, now);
        let choice = Choice { candidates: &self.candidates, tried, trust, window: options.slow_start, now };
        let index = self.picker.pick(&mut self.state, &choice, key, rng)?;
        Some(self.candidates[index].clone())
    }

    /// Whose health is believed. To look at everyone with every request would cost more than the request.
    fn trust(&mut self, panic: &PanicPolicy, now: Duration) -> Trust {
        let changes = self.changes.count();
        let is_valid = |counted: &&Counted| counted.changes == changes && now < counted.until;
        if let Some(counted) = self.counted.as_ref().filter(is_valid) {
            return counted.trust;
        }
        let up = || self.candidates.iter().filter(|candidate| candidate.is_up());
        let healthy = up().filter(|candidate| candidate.condition.is_healthy(now)).count();
        let trust = match in_panic(healthy, up().count(), panic) {
            false => Trust::Healthy,
            true if up().all(|candidate| candidate.condition.is_hard_down()) => Trust::Everyone,
            true => Trust::Connectable,
        };
        let until = up().filter_map(|candidate| candidate.condition.ejected_until(now)).min();
        self.counted = Some(Counted { trust, changes, until: until.unwrap_or(Duration::MAX) });
        trust
    }

    /// Whether one more may be ejected.
    pub(crate) fn may_eject(&self, most_percent: u8, now: Duration) -> bool {
        let ejected = self.candidates.iter().filter(|candidate| candidate.condition.is_ejected(now));
        may_eject(ejected.count(), self.candidates.len(), most_percent)
    }

    /// Requests in flight at all of them.
    pub(crate) fn in_flight(&self) -> u64 {
        self.candidates.iter().map(|candidate| u64::from(candidate.condition.in_flight())).sum()
    }
}

impl Candidate {
    fn is_up(&self) -> bool {
        self.endpoint.state == EndpointState::Up
    }
}

/// Whose health is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Healthy,
    /// Too few are healthy: those that take connections.
    Connectable,
    Everyone,
}

struct Choice<'a> {
    candidates: &'a [Candidate],
    tried: &'a [Candidate],
    trust: Trust,
    window: Duration,
    now: Duration,
}

impl Members for Choice<'_> {
    fn load(&self, index: usize) -> u32 {
        self.candidates[index].condition.load(self.now)
    }

    fn share(&self, index: usize) -> Share {
        let candidate = &self.candidates[index];
        let condition = &candidate.condition;
        let is_tried = self.tried.iter().any(|tried| Arc::ptr_eq(&tried.condition, condition));
        let is_trusted = match self.trust {
            Trust::Healthy => condition.is_healthy(self.now),
            Trust::Connectable => !condition.is_hard_down(),
            Trust::Everyone => true,
        };
        match candidate.is_up() && is_trusted && !is_tried {
            true => condition.share(self.now, self.window),
            false => Share::NONE,
        }
    }
}

#[cfg(test)]
mod tests;
