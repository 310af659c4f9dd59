//! Regions, links and daemons that fail at random, seen by 1, 2, 3 and 7 daemons. Replay one by its seed:
//! `FULCRUM_SEED=17 cargo test -p fulcrum-gslb simulation`.

use fulcrum_balance::Rng;

use super::super::*;
use super::stories;
use super::world::{World, evidence};
use crate::region::Region;

/// What befalls the world, and what the judges must make of it.
#[derive(Clone, Copy, Debug)]
enum Story {
    /// A region dies, and lives again.
    Death,
    /// A region dies while a daemon ends and starts again.
    Restart,
    /// A daemon's own link is cut for a while.
    Cut,
    /// A daemon hears of no other one, and loses its way to one region.
    Deaf,
    /// The ways to a region lose some of what goes over them, or all of it now and then.
    Flapping,
    /// All regions die.
    AllDead,
    /// A daemon stands still while a region dies.
    Paused,
    /// Two regions of four die, one a little after the other.
    Cascade,
    /// Anything at any time.
    Chaos,
}

const STORIES: [Story; 9] = [
    Story::Death,
    Story::Restart,
    Story::Cut,
    Story::Deaf,
    Story::Flapping,
    Story::AllDead,
    Story::Paused,
    Story::Cascade,
    Story::Chaos,
];

/// From the last event until everything is as it was: seen, held, ramped, one region after the other.
const QUIET: u64 = 20 + 300 + 4 * 60 + 4 * 60;

#[test]
fn one_observer_makes_no_wrong_switch() {
    simulate_all(1);
}

#[test]
fn two_observers_make_no_wrong_switch() {
    simulate_all(2);
}

#[test]
fn three_observers_make_no_wrong_switch() {
    simulate_all(3);
}

#[test]
fn seven_observers_make_no_wrong_switch() {
    simulate_all(7);
}

fn simulate_all(observers: usize) {
    let replayed = std::env::var("FULCRUM_SEED").ok();
    let replayed: Option<u64> = replayed.map(|seed| seed.parse().expect("FULCRUM_SEED is a number"));
    for seed in replayed.map_or(0..256, |seed| seed..seed + 1) {
        let ended = std::panic::catch_unwind(|| simulate(seed, observers));
        assert!(ended.is_ok(), "FULCRUM_SEED={seed} replays this: {observers} observers");
    }
}

fn simulate(seed: u64, observers: usize) {
    let mut world = World::new(seed, 4, &[]);
    // Every region has daemons in turn, but for the first region: that is the one that dies.
    let is_spread = observers == 7 || world.rng.below(2) == 0;
    let home = |number: usize| is_spread.then_some((number % 4) as u8);
    let homes: Vec<_> = (1..=observers).map(home).collect();
    let rng = std::mem::replace(&mut world.rng, Rng::from_seed(0));
    world = World::new(seed, 4, &homes);
    world.rng = rng;
    for region in &mut world.regions {
        region.evidence = (world.rng.below(2) == 0).then(|| evidence(3));
    }
    let noise = world.rng.below(3);
    for daemon in &mut world.daemons {
        daemon.loss.fill(noise);
    }
    let before = 30 + u64::from(world.rng.below(60));
    seconds(&mut world, before);
    let story = STORIES[world.rng.below(STORIES.len() as u32) as usize];
    match story {
        Story::Death => stories::death(&mut world),
        Story::Restart => stories::restart(&mut world),
        Story::Cut => stories::cut(&mut world),
        Story::Deaf => stories::deaf(&mut world),
        Story::Flapping => stories::flapping(&mut world),
        Story::AllDead => stories::all_dead(&mut world),
        Story::Paused => stories::paused(&mut world),
        Story::Cascade => stories::cascade(&mut world),
        Story::Chaos => stories::chaos(&mut world),
    }
    heal(&mut world);
}

/// Everything heals, and all is as it was.
fn heal(world: &mut World) {
    stories::mend(world);
    seconds(world, QUIET + 300);
    for daemon in &world.daemons {
        for region in Region::first(4) {
            let standing = daemon.judge.standing(region);
            let found = (standing.state, standing.share, &standing.reason, standing.ttl);
            assert_eq!(
                found,
                (State::Up, 100, &Reason::Well, Ttl::Normal),
                "seed {}: {region:?}",
                world.seed
            );
        }
        assert_eq!(daemon.judge.panic(Failover::Auto), None, "seed {}", world.seed);
    }
}

pub(super) fn seconds(world: &mut World, count: u64) {
    for _ in 0..count {
        let before: Vec<_> = world.daemons.iter().map(super::invariants::Before::of).collect();
        world.second();
        for (daemon, before) in world.daemons.iter().zip(&before) {
            super::invariants::check_invariants(world, daemon, before);
        }
    }
}
