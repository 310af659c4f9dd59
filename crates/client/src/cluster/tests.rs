//! Who gets requests, and who does not.

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
    let list = ["a", "b", "c"].into_iter().zip(states).map(|(id, state)| endpoint(id, 1, state)).collect();
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

/// What was found stands until somebody is put out or taken back, an ejection ends, or the list is another.
#[test]
fn everyone_is_looked_at_when_something_has_changed() {
    let mut fixture = Fixture::new(&["a", "b", "c"]);
    let (a, b) = (fixture.candidate("a").condition, fixture.candidate("b").condition);
    (0..3).for_each(|_| {
        a.refused(START);
    });
    fixture.check(&[], START + Duration::from_secs(2), &["b", "c"]);
    let believe_nobody = |fixture: &mut Fixture, until| {
        let changes = fixture.cluster.changes.count();
        fixture.cluster.counted = Some(Counted { trust: Trust::Everyone, changes, until });
        fixture.check(&[], START + Duration::from_secs(2), &["a", "b", "c"]);
    };
    believe_nobody(&mut fixture, Duration::MAX);
    (0..3).for_each(|_| {
        b.refused(START);
    });
    fixture.check(&[], START + Duration::from_secs(2), &["c"]);
    believe_nobody(&mut fixture, Duration::MAX);
    b.answered();
    fixture.check(&[], START + Duration::from_secs(2), &["b", "c"]);
    believe_nobody(&mut fixture, START + Duration::from_secs(3));
    fixture.check(&[], START + Duration::from_secs(3), &["b", "c"]);
    believe_nobody(&mut fixture, Duration::MAX);
    let list = ["a", "b"].map(|id| endpoint(id, 1, EndpointState::Up)).to_vec();
    fixture.follow(list, START);
    fixture.check(&[], START + Duration::from_secs(2), &["b"]);
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
