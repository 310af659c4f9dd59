//! Who gets the next request: decisions over what is known of the endpoints, without a socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_balance::outlier::may_eject;
use fulcrum_balance::panic::in_panic;
use fulcrum_balance::{Member, Members, PickState, Picker, Rng, Share};
use fulcrum_model::InstanceId;

use crate::balancer::BalancerOptions;
use crate::condition::Condition;
use crate::view::{Endpoint, EndpointState};

/// The endpoints of a service at one time, and how to choose among them.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// What it was built of: the same place in memory is the same list.
    list: Arc<[Arc<Endpoint>]>,
    candidates: Arc<[Candidate]>,
    picker: Picker,
    state: PickState,
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
        Cluster { list: Arc::default(), candidates: Arc::default(), picker, state }
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
            let condition = condition.map_or_else(|| Arc::new(Condition::new(since)), Arc::clone);
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
        let up = || self.candidates.iter().filter(|candidate| candidate.is_up());
        let healthy = up().filter(|candidate| candidate.condition.is_healthy(now)).count();
        let is_panic = in_panic(healthy, up().count(), &options.panic);
        let trust = match is_panic {
            false => Trust::Healthy,
            true if up().all(|candidate| candidate.condition.is_hard_down()) => Trust::Everyone,
            true => Trust::Connectable,
        };
        let choice = Choice { candidates: &self.candidates, tried, trust, window: options.slow_start, now };
        let index = self.picker.pick(&mut self.state, &choice, key, rng)?;
        Some(self.candidates[index].clone())
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
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn endpoint(id: &str, epoch: u64, state: EndpointState) -> Arc<Endpoint> {
        Arc::new(Endpoint {
            service: "web".parse().expect("a name"),
            id: id.parse().expect("an id"),
            address: ([127, 0, 0, 1], 80).into(),
            ports: BTreeMap::new(),
            weight: fulcrum_model::Weight::ONE,
            locality: None,
            region: None,
            tags: Default::default(),
            meta: BTreeMap::new(),
            epoch,
            state,
            is_suspect: false,
            ttl: Duration::from_secs(30),
        })
    }

    struct Fixture {
        cluster: Cluster,
        options: BalancerOptions,
        rng: Rng,
    }

    impl Fixture {
        fn new(ids: &[&str]) -> Self {
            let options = BalancerOptions::default();
            let mut rng = Rng::from_seed(1);
            let cluster = Cluster::empty(&options, &mut rng);
            let mut fixture = Fixture { cluster, options, rng };
            let up: Vec<_> = ids.iter().map(|id| endpoint(id, 1, EndpointState::Up)).collect();
            fixture.follow(up, START);
            fixture
        }

        fn follow(&mut self, list: Vec<Arc<Endpoint>>, now: Duration) {
            self.cluster.follow(list.into(), &self.options, now, &mut self.rng);
        }

        fn candidate(&self, id: &str) -> Candidate {
            let found = self.cluster.candidates.iter().find(|candidate| candidate.endpoint.id.as_str() == id);
            found.expect("it is there").clone()
        }

        fn fail(&self, id: &str, times: usize, now: Duration) {
            for _ in 0..times {
                let may_eject = || self.cluster.may_eject(self.options.outlier.max_ejected_percent, now);
                self.candidate(id).condition.failed(now, &self.options.outlier, may_eject);
            }
        }

        /// Who gets some of a thousand requests, with those that were tried.
        fn picked(&mut self, tried: &[&str], now: Duration) -> BTreeMap<String, usize> {
            let tried: Vec<Candidate> = tried.iter().map(|id| self.candidate(id)).collect();
            let mut counts = BTreeMap::new();
            for _ in 0..1000 {
                let picked = self.cluster.pick(None, &tried, &self.options, now, &mut self.rng);
                let Some(picked) = picked else { return BTreeMap::new() };
                *counts.entry(picked.endpoint.id.to_string()).or_default() += 1;
            }
            counts
        }

        #[track_caller]
        fn check(&mut self, tried: &[&str], now: Duration, expected: &[&str]) {
            let picked = self.picked(tried, now);
            assert_eq!(picked.keys().map(String::as_str).collect::<Vec<_>>(), expected, "{picked:?}");
        }
    }

    #[test]
    fn only_who_is_up_and_was_not_tried_gets_requests() {
        let mut fixture = Fixture::new(&["a", "b", "c"]);
        fixture.check(&[], START, &["a", "b", "c"]);
        fixture.check(&["a"], START, &["b", "c"]);
        fixture.check(&["a", "b", "c"], START, &[]);
        let states = [EndpointState::Draining, EndpointState::Maintenance, EndpointState::Up];
        let list =
            ["a", "b", "c"].into_iter().zip(states).map(|(id, state)| endpoint(id, 1, state)).collect();
        fixture.follow(list, START);
        fixture.check(&[], START, &["c"]);
        fixture.check(&["c"], START, &[]);
    }

    #[test]
    fn who_fails_too_often_is_out_for_a_while() {
        let mut fixture = Fixture::new(&["a", "b", "c"]);
        fixture.fail("a", 4, START);
        fixture.check(&[], START + Duration::from_secs(2), &["a", "b", "c"]);
        fixture.fail("a", 1, START);
        fixture.check(&[], START + Duration::from_secs(2), &["b", "c"]);
        // One in ten at most, or one.
        fixture.fail("b", 50, START);
        fixture.check(&[], START + Duration::from_secs(2), &["b", "c"]);
        fixture.check(&[], START + Duration::from_secs(31), &["a", "b", "c"]);
        let condition = Arc::clone(&fixture.candidate("c").condition);
        fixture.fail("c", 4, START + Duration::from_secs(31));
        condition.answered();
        fixture.fail("c", 4, START + Duration::from_secs(31));
        fixture.check(&[], START + Duration::from_secs(33), &["a", "b", "c"]);
    }

    #[test]
    fn who_refuses_connections_is_out_until_it_takes_one() {
        let mut fixture = Fixture::new(&["a", "b"]);
        let (a, b) = (fixture.candidate("a").condition, fixture.candidate("b").condition);
        let later = START + Duration::from_secs(3600);
        assert_eq!([(); 4].map(|()| a.refused(START)), [false, false, true, false]);
        fixture.check(&[], later, &["b"]);
        assert_eq!([(); 3].map(|()| b.refused(START)), [false, false, true]);
        fixture.check(&[], later, &["a", "b"]);
        b.answered();
        fixture.check(&[], later, &["b"]);
        a.answered();
        fixture.check(&[], later, &["a", "b"]);
    }

    #[test]
    fn the_same_process_keeps_its_condition_and_another_starts_anew() {
        let mut fixture = Fixture::new(&["a", "b", "c"]);
        fixture.fail("a", 5, START);
        let a = fixture.candidate("a").condition;
        let now = START + Duration::from_secs(2);
        let up = |id, epoch| endpoint(id, epoch, EndpointState::Up);
        fixture.follow(vec![up("a", 1), up("c", 1), up("d", 1)], now);
        assert!(Arc::ptr_eq(&a, &fixture.candidate("a").condition));
        let picked = fixture.picked(&[], now);
        assert!(!picked.contains_key("a") && picked["d"] < picked["c"] / 2, "d starts slowly: {picked:?}");
        fixture.follow(vec![up("a", 2), up("c", 1), up("d", 1)], now);
        assert!(!Arc::ptr_eq(&a, &fixture.candidate("a").condition));
        fixture.check(&[], now + Duration::from_secs(20), &["a", "c", "d"]);
    }

    #[test]
    fn what_fails_at_once_does_not_look_idle() {
        let mut fixture = Fixture::new(&["a", "b"]);
        fixture.candidate("b").condition.begin();
        fixture.fail("a", 3, START);
        let picked = fixture.picked(&[], START + Duration::from_millis(900));
        assert_eq!(picked.keys().collect::<Vec<_>>(), ["b"], "{picked:?}");
        let picked = fixture.picked(&[], START + Duration::from_millis(1100));
        assert_eq!(picked.keys().collect::<Vec<_>>(), ["a"], "{picked:?}");
    }
}
