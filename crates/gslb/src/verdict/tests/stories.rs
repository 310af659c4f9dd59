//! What befalls the world, and what the judges must make of it.

use super::super::*;
use super::simulation::seconds;
use super::world::{NAMES, SECOND, World, at, evidence};
use crate::region::Region;

/// A region of which no daemon is deaf afterwards: 0, whose daemons (of seven: one) die with it.
const VICTIM: u8 = 0;

pub(super) fn death(world: &mut World) {
    world.set_alive(VICTIM, false);
    let lasts = 400 + u64::from(world.rng.below(1200));
    seconds(world, lasts);
    for daemon in world.daemons.iter().filter(|daemon| !daemon.is_stopped) {
        check_one_switch(world.seed, daemon, world.now - lasts as u32 * SECOND);
    }
}

/// Once, after the hold, and soon after it.
fn check_one_switch(seed: u64, daemon: &super::world::Daemon, died: Duration) {
    let downs: Vec<_> = daemon.switches().collect();
    assert_eq!(downs.len(), 1, "seed {seed}: {downs:?}");
    let (when, transition) = downs[0];
    assert_eq!(
        (transition.region.as_str(), transition.to),
        (NAMES[usize::from(VICTIM)], State::DownConfirmed)
    );
    let took = *when - died;
    assert!(took >= 90 * SECOND && took <= 120 * SECOND, "seed {seed}: {took:?}");
}

pub(super) fn restart(world: &mut World) {
    let died = world.now;
    world.set_alive(VICTIM, false);
    let first = 150 + u64::from(world.rng.below(400));
    seconds(world, first);
    check_one_switch(world.seed, &world.daemons[0], died);
    let before: Vec<_> = states(world);
    let pause = Duration::from_secs(u64::from(world.rng.below(600)));
    world.restart(0, pause);
    assert_eq!(states(world), before, "seed {}: it has forgotten", world.seed);
    seconds(world, 300);
    assert_eq!(states(world), before, "seed {}", world.seed);
    check_one_switch(world.seed, &world.daemons[0], died);
}

fn states(world: &World) -> Vec<State> {
    Region::first(4).map(|region| world.daemons[0].judge.standing(region).state).collect()
}

pub(super) fn cut(world: &mut World) {
    let whom = world.rng.below(world.daemons.len() as u32) as usize;
    world.daemons[whom].is_cut = true;
    for _ in 0..1 + world.rng.below(4) {
        let lasts = 20 + u64::from(world.rng.below(1200));
        seconds(world, lasts);
        // Now and then it is there for a moment.
        world.daemons[whom].is_cut = false;
        let heals = u64::from(world.rng.below(20));
        seconds(world, heals);
        world.daemons[whom].is_cut = true;
    }
    check_no_switch(world);
}

/// One of three or more is too few; one alone is all there is, and one of two takes twice as long.
pub(super) fn deaf(world: &mut World) {
    let count = world.daemons.len();
    let whom = world.rng.below(count as u32) as usize;
    let began = world.now;
    world.daemons[whom].is_deaf = true;
    world.daemons[whom].loss[usize::from(VICTIM)] = 100;
    seconds(world, 800);
    let (seed, mut daemons) = (world.seed, world.daemons.iter().enumerate());
    assert!(
        daemons.all(|(number, daemon)| number == whom || daemon.switches().next().is_none()),
        "seed {seed}"
    );
    let lives_there = world.daemons[whom].home == Some(Region(VICTIM));
    let hold = match count {
        _ if lives_there => None,
        1 => Some(90 * SECOND),
        2 => Some(180 * SECOND),
        _ => None,
    };
    // A region that says that it serves is believed for longer.
    let believed = world.regions[usize::from(VICTIM)].evidence.map(|_| 270 * SECOND);
    let least = hold.map(|hold| began + hold.max(believed.unwrap_or_default()));
    let first = world.daemons[whom].switches().next().map(|(when, _)| *when);
    assert!(first.is_some() == least.is_some() && first >= least, "seed {seed}: {first:?}, {least:?}");
}

fn check_no_switch(world: &World) {
    for daemon in &world.daemons {
        let switches: Vec<_> = daemon.switches().collect();
        assert!(switches.is_empty(), "seed {}: {switches:?}", world.seed);
    }
}

pub(super) fn flapping(world: &mut World) {
    let loss = 20 + world.rng.below(70);
    let period = 2 + world.rng.below(60);
    let is_burst = world.rng.below(2) == 0;
    for second in 0..2000u32 {
        let is_bad = !is_burst || (second / period).is_multiple_of(2);
        for daemon in &mut world.daemons {
            daemon.loss[usize::from(VICTIM)] = if is_bad { if is_burst { 100 } else { loss } } else { 0 };
        }
        seconds(world, 1);
    }
    for daemon in &world.daemons {
        let switches: Vec<_> = daemon.switches().collect();
        assert!(switches.len() <= 1, "seed {}: {switches:?}", world.seed);
    }
}

pub(super) fn all_dead(world: &mut World) {
    let is_same_moment = world.rng.below(2) == 0;
    for region in 0..4 {
        // The daemons live, or there would be nobody to judge.
        world.regions[region].is_alive = false;
        if !is_same_moment {
            let gap = u64::from(world.rng.below(8));
            seconds(world, gap);
        }
    }
    // Daemons that see each other tell that all links cannot be broken; but each doubts what it sees.
    seconds(world, 150);
    for _ in 0..600 {
        for daemon in &world.daemons {
            assert!(
                daemon.judge.panic(Failover::Auto).is_some(),
                "seed {}: it answers as if nothing were",
                world.seed
            );
        }
        seconds(world, 1);
    }
    check_no_switch(world);
}

pub(super) fn paused(world: &mut World) {
    let whom = world.rng.below(world.daemons.len() as u32) as usize;
    let before = u64::from(world.rng.below(80));
    let died = world.now;
    world.regions[usize::from(VICTIM)].is_alive = false;
    seconds(world, before);
    let pause = 5 + u64::from(world.rng.below(600));
    world.daemons[whom].is_stopped = true;
    seconds(world, pause);
    world.daemons[whom].is_stopped = false;
    let awake = world.now;
    seconds(world, 300);
    let daemon = &world.daemons[whom];
    let (when, _) = daemon.switches().next().expect("it is dead for sure");
    let judged_again = if pause > 6 { awake } else { died };
    assert!(*when >= judged_again + 90 * SECOND, "seed {}: it judged asleep, at {when:?}", world.seed);
}

pub(super) fn cascade(world: &mut World) {
    world.regions[0].is_alive = false;
    let gap = u64::from(world.rng.below(200));
    seconds(world, gap);
    world.regions[1].is_alive = false;
    seconds(world, 600);
    for daemon in &world.daemons {
        let downs: Vec<_> = daemon.switches().collect();
        // With a daemon in each region, those in 2 and 3 see one of two other regions fail: they may not tell.
        assert!(downs.len() <= 2, "seed {}: {downs:?}", world.seed);
        if daemon.home.is_none() {
            assert_eq!(downs.len(), 2, "seed {}: {downs:?}", world.seed);
        }
    }
}

pub(super) fn chaos(world: &mut World) {
    for _ in 0..1500 {
        let region = world.rng.below(4);
        let whom = world.rng.below(world.daemons.len() as u32) as usize;
        match world.rng.below(300) {
            0 => world.regions[region as usize].is_alive = false,
            1 => world.regions[region as usize].is_unreachable = true,
            2 => world.daemons[whom].is_cut = true,
            11 => world.daemons[whom].is_deaf = true,
            3 => world.daemons[whom].is_stopped = true,
            4 => world.daemons[whom].loss[region as usize] = world.rng.below(101),
            5 => world.regions[region as usize].evidence = Some(evidence(world.rng.below(2))),
            6..9 => mend(world),
            9 => force(world, whom, region as u8),
            10 => {
                let stopped = std::mem::take(&mut world.daemons[whom].is_stopped);
                world.restart(whom, Duration::ZERO);
                world.daemons[whom].is_stopped = stopped;
            }
            _ => {}
        }
        seconds(world, 1);
    }
}

fn force(world: &mut World, whom: usize, region: u8) {
    let forced = [Forced::Up, Forced::Down, Forced::Drain][world.rng.below(3) as usize];
    let now = at(world.now);
    let lasts = Duration::from_secs(1 + u64::from(world.rng.below(300)));
    let until = now.wall + lasts;
    let order = Order { forced, until, reason: "chaos".into() };
    let daemon = &mut world.daemons[whom];
    if !daemon.is_stopped {
        daemon.ordered[usize::from(region)] = (now.clock + lasts, Some(forced));
        let transitions = daemon.judge.order(Region(region), order, now).expect("sound");
        daemon.transitions.extend(transitions.into_iter().map(|transition| (now.clock, transition)));
    }
}

pub(super) fn mend(world: &mut World) {
    for region in &mut world.regions {
        (region.is_alive, region.is_unreachable) = (true, false);
    }
    for daemon in &mut world.daemons {
        (daemon.is_cut, daemon.is_deaf, daemon.is_stopped) = (false, false, false);
        daemon.loss.fill(0);
    }
}
