//! What must hold after each second, whatever fails.

use super::super::*;
use super::world::{Daemon, SECOND, World, at};
use crate::region::Region;

/// How a daemon saw the world a second ago.
pub(super) struct Before {
    standings: Vec<Standing>,
    transitions: usize,
}

impl Before {
    pub(super) fn of(daemon: &Daemon) -> Self {
        let regions = daemon.judge.sites().regions();
        let standings = regions.map(|region| daemon.judge.standing(region).clone()).collect();
        Before { standings, transitions: daemon.transitions.len() }
    }
}

pub(super) fn check_invariants(world: &World, daemon: &Daemon, before: &Before) {
    let seed = world.seed;
    if daemon.is_stopped {
        assert_eq!(daemon.transitions.len(), before.transitions, "seed {seed}: it judged asleep");
        return;
    }
    for (region, was) in daemon.judge.sites().regions().zip(&before.standings) {
        check_standing(world, daemon, region);
        check_way(seed, was, daemon.judge.standing(region));
    }
    check_brake(seed, daemon);
    check_recorder(seed, daemon, before);
    let is_none = daemon.judge.eligible(Failover::Auto).is_empty();
    assert_eq!(daemon.judge.panic(Failover::Auto) == Some(Panic::NoneEligible), is_none, "seed {seed}");
    let (good, presentable) = (daemon.judge.last_good(), daemon.judge.presentable());
    assert!(good.iter().all(|region| presentable.contains(region)), "seed {seed}: {good:?}, {presentable:?}");
    let is_ordered = daemon.ordered.iter().any(|(until, _)| world.now < *until);
    assert!(is_ordered || !good.is_empty(), "seed {seed}: there was something good once");
}

/// How a region stands makes sense in itself.
fn check_standing(world: &World, daemon: &Daemon, region: Region) {
    let (seed, standing) = (world.seed, daemon.judge.standing(region));
    let shares: &[u8] = match standing.state {
        State::Up | State::Suspect | State::ForcedUp => &[100],
        State::Recovering => &[0, 5, 25, 50],
        State::DownConfirmed | State::Drained | State::ForcedDown => &[0],
    };
    assert!(shares.contains(&standing.share), "seed {seed}: {standing:?}");
    assert!(standing.since <= at(world.now).wall, "seed {seed}: {standing:?}");
    let is_ordered = matches!(standing.reason, Reason::Ordered(_));
    let is_forced = matches!(standing.state, State::ForcedUp | State::Drained | State::ForcedDown);
    assert_eq!(is_ordered, is_forced, "seed {seed}: {standing:?}");
    // The longest way is that of a region that says that it serves, seen by one of two.
    assert!(standing.next_change <= Some(300 * SECOND), "seed {seed}: {standing:?}");
    let (until, forced) = daemon.ordered[region.index()];
    let ordered = forced.filter(|_| world.now < until).map(|forced| match forced {
        Forced::Up => State::ForcedUp,
        Forced::Down => State::ForcedDown,
        Forced::Drain => State::Drained,
    });
    assert_eq!(ordered, is_forced.then_some(standing.state), "seed {seed}: not as ordered");
    if is_forced {
        assert!(standing.next_change > Some(Duration::ZERO), "seed {seed}: {standing:?} is over");
    }
    assert!(standing.state != State::Suspect || standing.ttl == Ttl::Low, "seed {seed}: {standing:?}");
}

/// One second takes a region one step.
fn check_way(seed: u64, was: &Standing, is: &Standing) {
    use State::{DownConfirmed, Drained, ForcedDown, ForcedUp, Recovering, Suspect, Up};
    let is_allowed = match (was.state, is.state) {
        (Up, Up | Suspect) | (Suspect, Suspect | Up | DownConfirmed) => true,
        (DownConfirmed, DownConfirmed | Recovering) => true,
        // The ramp goes up, step by step, or everything is lost again.
        (Recovering, Recovering) => is.share == was.share || is.share > was.share && is.share <= 50,
        (Recovering, Up) => was.share == 50 || was.share == 0,
        (Recovering, DownConfirmed) => true,
        // Orders begin and end.
        (Drained | ForcedUp | ForcedDown, _) | (_, Drained | ForcedUp | ForcedDown) => true,
        _ => false,
    };
    assert!(is_allowed, "seed {seed}: from {was:?} to {is:?}");
    if (was.state, is.state) == (Recovering, Up) && was.share == 0 {
        panic!("seed {seed}: it came back without its ramp, and others were there: {is:?}");
    }
}

/// One region is taken out in a window; and one comes back only when nothing changed in it.
fn check_brake(seed: u64, daemon: &Daemon) {
    let is_ordered = |state| matches!(state, State::ForcedUp | State::ForcedDown | State::Drained);
    let by_itself = daemon.switches().filter(|(_, it)| !is_ordered(it.from) && !is_ordered(it.to));
    let switches: Vec<_> = by_itself.collect();
    let [.., (first, earlier), (second, later)] = &switches[..] else { return };
    let is_back = later.share.0 == 0;
    if is_back || earlier.share.0 > 0 {
        assert!(*second >= *first + 60 * SECOND, "seed {seed}: {earlier:?} then {later:?}");
    }
}

/// Every change is told, once, in order, and no more of them are kept than there is room for.
fn check_recorder(seed: u64, daemon: &Daemon, before: &Before) {
    let judge = &daemon.judge;
    assert!(judge.recorded().len() <= RECORDED, "seed {seed}");
    let new = &daemon.transitions[before.transitions..];
    let last: Vec<_> = judge.recorded().rev().take(new.len()).collect();
    assert!(new.iter().rev().map(|(_, transition)| transition).eq(last), "seed {seed}: not recorded");
    for (region, was) in judge.sites().regions().zip(&before.standings) {
        let is = judge.standing(region);
        let name = &judge.sites().site(region).expect("it is there").name;
        let told = new.iter().filter(|(_, transition)| transition.region == *name).count();
        let has_changed = (was.state, was.share) != (is.state, is.share);
        assert_eq!(told, usize::from(has_changed), "seed {seed}: {was:?}, {is:?}");
    }
}
