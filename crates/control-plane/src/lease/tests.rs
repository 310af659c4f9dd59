//! Leases, their clock and their wheel.

use std::collections::BTreeMap;

use fulcrum_balance::Rng;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_late_look_stops_the_clock_for_as_long_as_it_was_late() {
    let mut clock = LeaseClock::default();
    assert_eq!(clock.tick(SECOND), Duration::ZERO);
    assert_eq!(clock.tick(SECOND * 3), Duration::ZERO, "a second late is within patience");
    assert_eq!(clock.tick(SECOND * 14), SECOND * 10);
    assert_eq!(clock.now(SECOND * 14), SECOND * 4);
    assert_eq!(clock.tick(SECOND * 15), Duration::ZERO);
    assert_eq!(clock.now(SECOND * 15), SECOND * 5);
}

#[test]
fn what_an_instance_has_under_way_is_unknown_until_it_says_so() {
    let lease = Lease::new(1, SECOND, SECOND);
    assert_eq!(lease.in_flight(), None);
    assert_eq!(lease.cpu(), None);
    lease.report(Load { in_flight: Some(u32::MAX), cpu: None });
    lease.report(Load { in_flight: None, cpu: Some(0.5) });
    assert_eq!((lease.in_flight(), lease.cpu()), (Some(u32::MAX - 1), Some(0.5)));
}

#[test]
fn the_writer_is_told_of_a_weight_once_until_it_looks() {
    let lease = Lease::new(1, SECOND, SECOND);
    let weight = |number| Weight::new(number).expect("not zero");
    let check = |number, is_told| assert_eq!(lease.weigh(weight(number)), is_told, "{number}");
    assert_eq!(lease.weighed(), None);
    check(3, true);
    check(3, false);
    check(4, false);
    assert_eq!(lease.weighed(), Some(weight(4)), "what was said last");
    check(4, false);
    check(3, true);
    lease.unweigh();
    check(3, false);
    assert_eq!(lease.weighed(), Some(weight(3)));
    lease.unweigh();
    assert_eq!(lease.weighed(), None);
    check(3, true);
}

#[test]
fn leases_of_registrations_that_are_gone_are_forgotten() {
    let mut wheel = Wheel::new(Duration::ZERO);
    wheel.insert("gone", Arc::new(Lease::new(1, SECOND, Duration::ZERO)));
    assert_eq!(wheel.len(), 1);
    assert_eq!(wheel.lapsed(SECOND * 5).len(), 0);
    assert!(wheel.is_empty());
}

/// Against a list that is searched: whoever has lapsed is told once, within two ticks, and nobody else is.
#[test]
fn tells_of_each_lapse_once_and_soon() {
    for seed in 0..64 {
        let mut rng = Rng::from_seed(seed);
        let mut now = Duration::from_millis(u64::from(rng.below(10_000)));
        let mut wheel = Wheel::new(now);
        let mut leases: BTreeMap<u32, Arc<Lease>> = BTreeMap::new();
        for key in 0..400u32 {
            match rng.below(4) {
                0 => {
                    let ttl = Duration::from_millis(u64::from(rng.below(600_000)) + 1);
                    let lease = Arc::new(Lease::new(1, ttl, now));
                    wheel.insert(key, Arc::clone(&lease));
                    leases.insert(key, lease);
                }
                1 => {
                    if let Some(lease) = leases.values().nth(rng.below(leases.len() as u32) as usize) {
                        lease.renew(now);
                    }
                }
                2 => {
                    let gone = leases.keys().nth(rng.below(leases.len() as u32) as usize).copied();
                    leases.retain(|key, _| Some(*key) != gone);
                }
                _ => {
                    now += Duration::from_millis(u64::from(rng.below(if key % 50 == 0 {
                        900_000
                    } else {
                        5_000
                    })))
                }
            }
            for (key, lease) in wheel.lapsed(now) {
                assert!(lease.is_lapsed(now), "seed {seed}");
                assert!(leases.remove(&key).is_some(), "seed {seed}: {key} is told twice, or was gone");
            }
            let overdue = leases.values().find(|lease| lease.deadline() + 2 * TICK < now);
            assert!(overdue.is_none(), "seed {seed}: {overdue:?} was missed at {now:?}");
        }
    }
}
