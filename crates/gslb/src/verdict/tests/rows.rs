//! The rules, one by one.

use super::super::*;
use super::world::{SECOND, World, at, evidence};
use crate::region::{Region, RegionSet};

/// One daemon that runs in none of the regions.
const ALONE: [Option<u8>; 1] = [None];

fn order(world: &World, forced: Forced, lasts: u64) -> Order {
    Order { forced, until: at(world.now).wall + Duration::from_secs(lasts), reason: "maintenance".into() }
}

#[test]
fn a_dead_region_is_suspected_and_confirmed_after_the_hold() {
    let mut world = World::new(1, 3, &ALONE);
    world.seconds(20);
    assert_eq!((world.standing(0).state, &world.standing(0).reason), (State::Up, &Reason::Well));
    world.set_alive(0, false);
    world.seconds(10);
    let standing = world.standing(0);
    assert_eq!((standing.state, standing.share, standing.ttl), (State::Suspect, 100, Ttl::Low));
    assert_eq!(standing.reason, Reason::Held);
    let left = standing.next_change.expect("the end of the hold");
    assert!(left >= 85 * SECOND && left <= 90 * SECOND, "{left:?}");
    world.seconds(left.as_secs() - 1);
    assert_eq!(world.standing(0).state, State::Suspect, "the hold is respected");
    world.seconds(2);
    let standing = world.standing(0);
    assert_eq!(
        (standing.state, standing.share, &standing.reason),
        (State::DownConfirmed, 0, &Reason::Confirmed)
    );
    let recorded: Vec<_> = world.daemons[0].judge.recorded().collect();
    assert_eq!(
        recorded.iter().map(|entry| (entry.from, entry.to)).collect::<Vec<_>>(),
        [(State::Up, State::Suspect), (State::Suspect, State::DownConfirmed)]
    );
    assert_eq!(recorded[1].votes, [("lb-0".into(), "fail")]);
}

#[test]
fn a_region_comes_back_after_a_hold_and_by_steps() {
    let mut world = World::new(1, 3, &ALONE);
    world.set_alive(0, false);
    world.seconds(120);
    world.set_alive(0, true);
    world.seconds(12);
    assert_eq!((world.standing(0).state, &world.standing(0).reason), (State::Recovering, &Reason::Returning));
    world.seconds(280);
    assert_eq!(world.standing(0).share, 0);
    let mut shares = vec![0];
    for _ in 0..220 {
        world.second();
        let share = world.standing(0).share;
        if shares.last() != Some(&share) {
            shares.push(share);
        }
    }
    assert_eq!((shares, world.standing(0).state), (vec![0, 5, 25, 50, 100], State::Up));
}

#[test]
fn failback_as_configured() {
    let check = |failback, expected: (State, u8, Reason)| {
        let rules = Rules { failback, ..Rules::default() };
        let mut world = World::with_rules(1, 3, &ALONE, rules);
        world.set_alive(0, false);
        world.seconds(120);
        world.set_alive(0, true);
        world.seconds(330);
        let standing = world.standing(0);
        assert_eq!((standing.state, standing.share, standing.reason.clone()), expected, "{failback:?}");
        world
    };
    check(Failback::Auto, (State::Up, 100, Reason::Well));
    check(Failback::Ramp, (State::Recovering, 5, Reason::Ramping));
    let mut world = check(Failback::Manual, (State::Recovering, 0, Reason::AwaitsOperator));
    assert!(world.standing(0).reason.is_alarming());
    let now = at(world.now);
    world.daemons[0].judge.confirm(Region(0), now).expect("it waits for that");
    world.second();
    assert_eq!(world.standing(0).share, 5);
}

#[test]
fn its_own_link_is_not_taken_for_dead_regions() {
    let mut world = World::new(1, 3, &ALONE);
    world.seconds(60);
    world.daemons[0].is_cut = true;
    world.seconds(3600);
    assert_eq!(world.daemons[0].switches().count(), 0);
    assert_eq!(world.daemons[0].judge.panic(Failover::Auto), Some(Panic::AllFailing));
    assert_eq!(world.daemons[0].judge.last_good(), Region::first(3).collect::<RegionSet>());
    world.daemons[0].is_cut = false;
    world.seconds(20);
    assert_eq!((world.states(), world.daemons[0].judge.panic(Failover::Auto)), (vec![State::Up; 3], None));
}

#[test]
fn what_lasts_for_less_than_the_hold_changes_nothing() {
    let mut world = World::new(1, 3, &ALONE);
    for _ in 0..20 {
        world.set_alive(0, false);
        world.seconds(70);
        world.set_alive(0, true);
        world.seconds(20);
    }
    assert_eq!(world.daemons[0].switches().count(), 0);
}

#[test]
fn its_own_region_does_not_show_that_its_link_works() {
    let mut world = World::new(1, 3, &[Some(0)]);
    world.set_alive(2, false);
    world.seconds(200);
    world.daemons[0].is_cut = true;
    world.seconds(600);
    assert_eq!(world.states(), [State::Up, State::Up, State::DownConfirmed]);
}

#[test]
fn a_second_region_can_die_while_another_is_down() {
    let mut world = World::new(1, 3, &ALONE);
    world.set_alive(0, false);
    world.seconds(200);
    world.set_alive(1, false);
    world.seconds(200);
    assert_eq!(world.states(), [State::DownConfirmed, State::DownConfirmed, State::Up]);
    world.set_alive(2, false);
    world.seconds(600);
    let judge = &world.daemons[0].judge;
    assert_eq!(world.states()[2], State::Up, "the last one is not taken out by somebody who sees nothing");
    assert_eq!(
        (judge.panic(Failover::Auto), judge.last_good()),
        (Some(Panic::AllFailing), [Region(2)].into_iter().collect())
    );
}

#[test]
fn who_says_that_it_serves_is_believed_for_three_times_the_hold() {
    let mut world = World::new(1, 3, &ALONE);
    world.regions[0].evidence = Some(evidence(4));
    world.seconds(20);
    world.regions[0].is_unreachable = true;
    world.seconds(270);
    assert_eq!(
        (world.standing(0).state, &world.standing(0).reason),
        (State::Suspect, &Reason::Uncorroborated)
    );
    world.seconds(20);
    assert_eq!(
        (world.standing(0).state, &world.standing(0).reason),
        (State::DownConfirmed, &Reason::Overruled)
    );
}

#[test]
fn who_says_that_nothing_serves_is_believed_at_once() {
    let check = |evidence| {
        let mut world = World::new(1, 3, &ALONE);
        world.regions[0].evidence = Some(evidence);
        world.seconds(20);
        assert_eq!(world.standing(0).state, State::Up, "only what is seen from outside condemns");
        world.regions[0].is_unreachable = true;
        world.seconds(105);
        world.standing(0).state
    };
    assert_eq!(check(evidence(0)), State::DownConfirmed);
    assert_eq!(check(evidence(1)), State::Suspect);
}

#[test]
fn one_of_two_alone_takes_twice_the_hold() {
    let mut world = World::new(1, 3, &[None, Some(1)]);
    world.seconds(20);
    world.daemons[1].is_stopped = true;
    world.set_alive(0, false);
    world.seconds(180);
    assert_eq!((world.standing(0).state, &world.standing(0).reason), (State::Suspect, &Reason::HeldAlone));
    world.seconds(15);
    assert_eq!(world.standing(0).state, State::DownConfirmed);
}

#[test]
fn two_that_disagree_change_nothing() {
    let mut world = World::new(1, 3, &[None, None]);
    world.seconds(20);
    world.daemons[0].loss[0] = 100;
    world.seconds(3600);
    assert_eq!((world.standing(0).state, &world.standing(0).reason), (State::Up, &Reason::Split));
    assert!(world.standing(0).reason.is_alarming());
}

#[test]
fn names_that_wait_for_an_operator() {
    let mut world = World::new(1, 3, &ALONE);
    world.set_alive(0, false);
    world.seconds(120);
    let shares = |world: &World| {
        [Failover::Auto, Failover::Confirm].map(|failover| world.standing(0).share_for(failover))
    };
    assert_eq!(shares(&world), [0, 100]);
    let now = at(world.now);
    let judge = &mut world.daemons[0].judge;
    assert_eq!(judge.confirm(Region(1), now), Err(Refused::NothingToConfirm));
    judge.confirm(Region(0), now).expect("it waits for that");
    assert_eq!(judge.confirm(Region(0), now), Err(Refused::NothingToConfirm));
    assert_eq!(shares(&world), [0, 0]);
}

#[test]
fn what_may_change_soon_is_unsettled() {
    let mut world = World::new(1, 3, &ALONE);
    world.set_alive(1, false);
    world.seconds(30);
    assert_eq!(world.daemons[0].judge.unsettled(), [Region(1)].into_iter().collect());
    world.seconds(90);
    assert!(world.daemons[0].judge.unsettled().is_empty());
}

#[test]
fn without_its_data_a_region_gets_nobody() {
    let mut world = World::new(1, 3, &ALONE);
    world.regions[0].evidence = Some(Evidence { data_ready: false, ..evidence(4) });
    world.seconds(20);
    assert_eq!((world.standing(0).share, &world.standing(0).reason), (0, &Reason::DataNotReady));
    assert_eq!(world.standing(0).share_for(Failover::Confirm), 0);
    let judge = &mut world.daemons[0].judge;
    assert_eq!((judge.eligible(Failover::Auto).len(), judge.presentable().len()), (2, 2));
    let order = order(&world, Forced::Up, 60);
    world.daemons[0].judge.order(Region(0), order, at(world.now)).expect("sound");
    assert_eq!(world.standing(0).share, 100, "an order goes before everything");
}

#[test]
fn orders_go_before_everything_and_end() {
    let mut world = World::new(1, 3, &ALONE);
    world.seconds(20);
    let now = at(world.now);
    for (region, forced) in [(0, Forced::Drain), (1, Forced::Down)] {
        let order = order(&world, forced, 600);
        let transitions = world.daemons[0].judge.order(Region(region), order, now).expect("sound");
        assert_eq!(transitions.len(), 1, "at once");
    }
    assert_eq!(world.states(), [State::Drained, State::ForcedDown, State::Up]);
    assert_eq!(world.standing(0).reason.to_string(), "ordered: maintenance");
    assert_eq!(world.standing(0).next_change, Some(600 * SECOND));
    world.seconds(599);
    assert_eq!(world.states(), [State::Drained, State::ForcedDown, State::Up]);
    world.second();
    assert_eq!(world.states()[..2], [State::Recovering; 2], "it comes in by steps, without another hold");
    assert_eq!(world.standing(0).share, 5);
    world.seconds(190);
    assert_eq!(world.states(), [State::Up; 3]);
}

#[test]
fn forced_up_a_dead_region_serves_until_the_order_ends() {
    let mut world = World::new(1, 3, &ALONE);
    world.seconds(20);
    let order = order(&world, Forced::Up, 1000);
    world.daemons[0].judge.order(Region(0), order, at(world.now)).expect("sound");
    world.set_alive(0, false);
    world.seconds(500);
    let standing = world.standing(0);
    assert_eq!((standing.state, standing.share, standing.ttl), (State::ForcedUp, 100, Ttl::Low));
    world.daemons[0].judge.lift(Region(0), at(world.now)).expect("there is one");
    world.second();
    assert_eq!(world.standing(0).state, State::DownConfirmed, "its hold is long over");
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let mut world = World::new(1, 3, &ALONE);
    let now = at(world.now);
    let sound = order(&world, Forced::Down, 60);
    let judge = &mut world.daemons[0].judge;
    let mut check = |region, order: &Order, expected| {
        assert_eq!(judge.order(Region(region), order.clone(), now).map(|_| ()), Err(expected), "{order:?}");
    };
    check(3, &sound, Refused::UnknownRegion);
    check(0, &Order { until: now.wall, ..sound.clone() }, Refused::Over);
    check(0, &Order { reason: "".into(), ..sound.clone() }, Refused::Reason);
    check(0, &Order { reason: "x".repeat(501).into(), ..sound.clone() }, Refused::Reason);
    assert_eq!(judge.lift(Region(0), now), Err(Refused::NothingToLift));
    assert_eq!(judge.confirm(Region(9), now), Err(Refused::UnknownRegion));
}
