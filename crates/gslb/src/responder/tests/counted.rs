//! For one change so many names are built anew, and no others.

use super::*;

/// Names with targets of their own, with regions, and with services.
fn names() -> String {
    let mut text = String::new();
    for number in 0..300 {
        let _ = writeln!(
            text,
            "        own{number}: {{ policy: weighted, endpoints: [10.0.{}.{}, 10.1.0.1], health: {HEALTH} }}\n        \
             r{number}: {{ policy: failover, regions: {{ eu: [10.2.0.1], {}: [10.2.0.2] }} }}\n        \
             s{number}: {{ service: {} }}",
            number / 256,
            number % 256,
            if number < 100 { "us" } else { "asia" },
            if number < 7 { "app" } else { "other" },
        );
    }
    text
}

fn state() -> State {
    let mut state = State::new(next(&gslb(&names())), 1, None, at(0));
    state.serve(|_| Some(view(&[(1, true), (2, true)])));
    assert_eq!(state.follow(at(0)), 900, "the first time, all are built");
    assert_eq!(state.follow(at(0)), 0);
    state
}

fn fails(state: &mut State, address: [u8; 4], second: u64) {
    let is_it = |target: &&Target| target.0 == IpAddr::from(address);
    let target = *state.targets.keys().find(is_it).expect("it is checked");
    state.checked(target, Err("refused".to_owned()), at(second));
}

#[test]
fn a_target_of_one_name_changes_one() {
    let mut state = state();
    let before = state.told();
    fails(&mut state, [10, 0, 0, 5], 1);
    assert_eq!(state.follow(at(1)), 1, "it may go soon: the smaller time-to-live");
    fails(&mut state, [10, 0, 0, 5], 2);
    assert_eq!(state.follow(at(2)), 1, "it has gone");
    fails(&mut state, [10, 0, 0, 5], 3);
    assert_eq!(state.follow(at(3)), 0);
    let changed = before.iter().zip(state.told()).filter(|(before, now)| **before != *now).count();
    assert_eq!(changed, 1);
}

#[test]
fn a_target_of_many_names_changes_these() {
    let mut state = state();
    fails(&mut state, [10, 1, 0, 1], 1);
    assert_eq!(state.follow(at(1)), 300);
}

#[test]
fn a_service_changes_its_names() {
    let mut state = state();
    state.serve(|name| Some(view(&[(1, true), (2, name.as_str() != "app")])));
    assert_eq!(state.follow(at(1)), 7);
    // What it works on is nothing that answers depend on.
    let busy =
        |name: &ServiceName| ServiceView { load: 9.0, ..view(&[(1, true), (2, name.as_str() != "app")]) };
    state.serve(move |name| Some(busy(name)));
    assert_eq!(state.follow(at(2)), 0);
}

#[test]
fn a_region_changes_its_names() {
    let mut state = state();
    let us = crate::Region::new(1).expect("the second one");
    let until = at(1000).wall;
    let order = Order { forced: Forced::Down, until, reason: "a test".into() };
    let judge = state.judge.as_mut().expect("there are regions");
    assert!(!judge.order(us, order, at(1)).expect("it can be ordered").is_empty());
    assert_eq!(state.follow(at(1)), 100);
    let told = state.told();
    state.answered = None;
    assert_eq!(state.follow(at(1)), 900);
    assert_eq!(state.told(), told);
}
