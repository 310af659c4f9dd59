//! Rosters against sorted maps.

use std::collections::BTreeMap;
use std::time::Duration;

use fulcrum_balance::Rng;

use super::*;
use crate::state::{Sequence, testing};

/// Numbers by id.
type Model = BTreeMap<InstanceId, u64>;

fn id(number: u32) -> InstanceId {
    format!("i{number:05}").parse().expect("an id")
}

fn entry(id: &InstanceId, number: u64) -> Entry {
    let instance = testing::instance(testing::key("web", id.as_str()));
    let lease = Lease::new(1, Duration::from_secs(30), Duration::ZERO);
    Entry { instance: Arc::new(Instance { sequence: Sequence(number), ..instance }), lease: Arc::new(lease) }
}

fn number(entry: &Entry) -> u64 {
    entry.instance.sequence.0
}

fn check(roster: &Roster, model: &Model) {
    roster.root.check_invariants();
    assert_eq!((roster.len(), roster.is_empty()), (model.len(), model.is_empty()));
    assert_eq!(roster.iter().len(), model.len());
    let found = roster.iter().map(|entry| (&entry.instance.key.id, number(entry)));
    assert!(found.eq(model.iter().map(|(id, number)| (id, *number))));
    for (place, (id, expected)) in model.iter().enumerate() {
        assert_eq!(roster.find(id).map(number), Some(*expected));
        assert_eq!(number(&roster[place]), *expected);
    }
    assert!(roster.get(model.len()).is_none());
}

/// It holds what a map would, and a copy what it held then.
#[test]
fn holds_what_a_map_holds_and_copies_stay_as_they_were() {
    for seed in 0..32 {
        let mut rng = Rng::from_seed(seed);
        let (mut roster, mut model) = (Roster::default(), Model::new());
        let mut copies: Vec<(Roster, Model)> = Vec::new();
        let ids = [10, 100, 3000][rng.below(3) as usize];
        for step in 0..3000 {
            // It grows, and becomes small again.
            let puts = if step < 1500 { 4 } else { 1 };
            let id = id(rng.below(ids));
            if rng.below(5) < puts {
                let before = roster.insert(entry(&id, step));
                assert_eq!(before.as_ref().map(number), model.insert(id, step), "seed {seed}");
            } else {
                assert_eq!(roster.remove(&id).as_ref().map(number), model.remove(&id), "seed {seed}");
                assert!(roster.find(&id).is_none(), "seed {seed}");
            }
            if step % 500 == 0 {
                check(&roster, &model);
                copies.push((roster.clone(), model.clone()));
            }
        }
        check(&roster, &model);
        copies.iter().for_each(|(copy, model)| check(copy, model));
        for id in model.keys() {
            assert!(roster.remove(id).is_some(), "seed {seed}");
        }
        check(&roster, &Model::new());
    }
}

/// Nodes are filled, in whichever order ids come.
#[test]
fn nodes_are_filled() {
    let orders: [fn(u32) -> u32; 3] =
        [|number| number, |number| 9999 - number, |number| number.wrapping_mul(7919) % 10_000];
    for (order, least) in orders.into_iter().zip([30, 16, 16]) {
        let mut roster = Roster::default();
        (0..10_000).for_each(|number| drop(roster.insert(entry(&id(order(number)), 1))));
        assert_eq!(roster.len(), 10_000);
        roster.root.check_invariants();
        let leaves = roster.root.leaves();
        assert!(10_000 / leaves >= least, "{leaves} leaves");
    }
}

/// What a change copies does not grow with the roster: all but a few nodes are those of the copy that readers have.
#[test]
fn a_change_leaves_most_of_it_as_it_is() {
    let mut roster = Roster::default();
    (0..10_000).for_each(|number| drop(roster.insert(entry(&id(number), 1))));
    let copy = roster.clone();
    roster.insert(entry(&id(5000), 2));
    roster.remove(&id(7000));
    let (before, after) = (copy.root.nodes(), roster.root.nodes());
    let new = after.iter().filter(|node| !before.contains(node)).count();
    assert!(before.len() > 300 && new <= 6, "{new} of {} are new", after.len());
}
