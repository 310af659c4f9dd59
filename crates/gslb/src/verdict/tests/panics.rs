//! When nobody is left, or everything seems to fail.

use super::super::*;
use super::world::{SECOND, World, at};
use crate::region::{Region, RegionSet};

/// One daemon that runs in none of the regions.
const ALONE: [Option<u8>; 1] = [None];

#[test]
fn names_that_wait_panic_only_when_they_have_nobody() {
    let mut world = World::new(1, 1, &ALONE);
    world.set_alive(0, false);
    world.seconds(120);
    let judge = &world.daemons[0].judge;
    let found = [Failover::Auto, Failover::Confirm].map(|failover| judge.eligible(failover).len());
    assert_eq!((world.standing(0).state, found), (State::DownConfirmed, [0, 1]));
    assert_eq!(judge.panic(Failover::Auto), Some(Panic::NoneEligible));
    assert_eq!(judge.panic(Failover::Confirm), Some(Panic::AllFailing));
}

#[test]
fn what_was_good_is_remembered_through_a_panic() {
    let good = |world: &World| world.daemons[0].judge.last_good();
    let set = |regions: &[u8]| regions.iter().copied().map(Region).collect::<RegionSet>();
    let mut world = World::new(1, 3, &ALONE);
    world.set_alive(0, false);
    world.seconds(200);
    assert_eq!(good(&world), set(&[1, 2]));
    world.daemons[0].is_cut = true;
    world.seconds(200);
    assert_eq!(world.daemons[0].judge.panic(Failover::Auto), Some(Panic::AllFailing));
    let now = at(world.now);
    let order = |forced| Order { forced, until: now.wall + 600 * SECOND, reason: "test".into() };
    let judge = &mut world.daemons[0].judge;
    judge.order(Region(0), order(Forced::Up), now).expect("sound");
    judge.order(Region(1), order(Forced::Drain), now).expect("sound");
    world.second();
    // Not what has become eligible since, for nobody has seen it well; nor who is ordered out.
    assert_eq!(good(&world), set(&[2]));
    let now = at(world.now);
    world.daemons[0].judge.lift(Region(1), now).expect("there is one");
    assert_eq!(good(&world), set(&[1, 2]));
}
