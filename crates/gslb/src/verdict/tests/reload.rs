//! What outlasts restarts and reloads.

use super::super::*;
use super::world::{NAMES, SECOND, World, at, evidence, site, sites};
use crate::region::{Region, RegionSet};

/// Region 0 is down, 1 suspected, 2 drained.
fn world() -> World {
    let mut world = World::new(1, 4, &[None]);
    world.set_alive(0, false);
    world.seconds(200);
    world.set_alive(1, false);
    let now = at(world.now);
    let order = Order { forced: Forced::Drain, until: now.wall + 7200 * SECOND, reason: "upgrade".into() };
    world.daemons[0].judge.order(Region(2), order, now).expect("sound");
    world.seconds(30);
    assert_eq!(world.states(), [State::DownConfirmed, State::Suspect, State::Drained, State::Up]);
    world
}

fn states(judge: &Judge) -> Vec<State> {
    judge.sites().regions().map(|region| judge.standing(region).state).collect()
}

#[test]
fn memory_is_believed_for_an_hour_and_orders_until_they_end() {
    let world = world();
    let judge = &world.daemons[0].judge;
    let kept = serde_json::to_string(&judge.memory(at(world.now))).expect("plain values");
    let kept: Memory = serde_json::from_str(&kept).expect("what was written");
    assert_eq!(kept, judge.memory(at(world.now)));
    // The clock of the new process starts anew; only the time of day goes on.
    let check = |later: Duration, expected: [State; 4]| {
        let now = Now { clock: Duration::ZERO, wall: at(world.now).wall + later };
        let judge = Judge::new(judge.sites().clone(), judge.rules().clone(), Some(&kept), now);
        assert_eq!(states(&judge), expected, "{later:?} later");
        judge
    };
    let up = State::Up;
    let young = check(3599 * SECOND, [State::DownConfirmed, State::Suspect, State::Drained, up]);
    assert_eq!(young.standing(Region(0)).since, judge.standing(Region(0)).since);
    assert_eq!(young.last_good(), [Region(1), Region(3)].into_iter().collect::<RegionSet>());
    check(3600 * SECOND, [up, up, State::Drained, up]);
    let old = check(7200 * SECOND, [up; 4]);
    assert_eq!(old.standing(Region(0)).reason, Reason::Unverified);
}

#[test]
fn weights_of_headroom_are_believed_for_an_hour() {
    let world = world();
    let regions = [("r0", 0.4), ("r1", 1.0)].into_iter();
    let memory = world.daemons[0].judge.memory(at(world.now)).with_weights(regions);
    let kept = serde_json::to_string(&memory).expect("plain values");
    let kept: Memory = serde_json::from_str(&kept).expect("what was written");
    let later = |seconds: u32| Now { clock: Duration::ZERO, wall: at(world.now).wall + seconds * SECOND };
    let found = |seconds| ["r0", "r1", "r9"].map(|name| kept.weight(name, later(seconds)));
    assert_eq!([found(3599), found(3600)], [[Some(0.4), None, None], [None; 3]]);
    // What an older daemon has kept says nothing of them.
    let older: Memory = serde_json::from_str(r#"{"saved":0,"regions":{},"last_good":[],"brake":[0,0]}"#)
        .expect("it may be left out");
    assert_eq!(older, Memory::default());
}

#[test]
fn a_clock_that_is_far_behind_does_not_know_how_old_memory_is() {
    let world = world();
    let judge = &world.daemons[0].judge;
    let kept = judge.memory(at(world.now));
    let check = |behind: Duration, expected| {
        let now = Now { clock: Duration::ZERO, wall: at(world.now).wall - behind };
        let judge = Judge::new(judge.sites().clone(), judge.rules().clone(), Some(&kept), now);
        assert_eq!(judge.standing(Region(0)).state, expected, "{behind:?} behind");
    };
    check(60 * SECOND, State::DownConfirmed);
    check(61 * SECOND, State::Up);
}

#[test]
fn who_had_no_data_before_a_restart_has_none_after_it() {
    let mut world = World::new(1, 4, &[None]);
    world.regions[0].evidence = Some(Evidence { data_ready: false, ..evidence(4) });
    world.seconds(10);
    world.regions[0].evidence = None;
    world.restart(0, SECOND);
    assert_eq!((world.standing(0).share, &world.standing(0).reason), (0, &Reason::DataNotReady));
    world.regions[0].evidence = Some(evidence(4));
    world.seconds(20);
    assert_eq!((world.standing(0).share, &world.standing(0).reason), (100, &Reason::Well));
}

#[test]
fn from_nothing_that_was_seen_nobody_is_down() {
    let mut world = World::new(1, 4, &[None]);
    world.daemons[0].loss.fill(0);
    let judge = &mut world.daemons[0].judge;
    for second in 1..3600 {
        assert!(judge.tick(at(second * SECOND)).is_empty());
    }
    assert_eq!(judge.standing(Region(0)).reason, Reason::Unverified);
    assert_eq!(judge.panic(Failover::Auto), None);
}

#[test]
fn the_brake_outlasts_a_restart() {
    let rules = Rules { hold: 5 * SECOND, brake: 600 * SECOND, ..Rules::default() };
    let mut world = World::with_rules(1, 4, &[None], rules);
    world.seconds(20);
    world.set_alive(0, false);
    world.seconds(30);
    world.restart(0, 10 * SECOND);
    world.set_alive(1, false);
    world.seconds(100);
    assert_eq!((world.standing(1).state, &world.standing(1).reason), (State::Suspect, &Reason::Braked));
    let left = world.standing(1).next_change.expect("when the brake lets go");
    assert!(left > 400 * SECOND && left < 500 * SECOND, "{left:?}");
    world.seconds(left.as_secs() + 1);
    assert_eq!(world.standing(1).state, State::DownConfirmed);
}

#[test]
fn a_region_that_comes_back_keeps_none_from_going_down() {
    let rules = Rules { brake: 600 * SECOND, failback_hold: 30 * SECOND, ..Rules::default() };
    let mut world = World::with_rules(1, 4, &[None], rules);
    world.set_alive(0, false);
    world.seconds(700);
    world.set_alive(0, true);
    world.seconds(60);
    assert_eq!(world.standing(0).share, 5, "it has just come back");
    world.set_alive(1, false);
    world.seconds(110);
    assert_eq!(world.standing(1).state, State::DownConfirmed, "the first one in the window");
}

#[test]
fn who_fails_on_the_ramp_needs_no_second_confirmation() {
    let mut world = World::new(1, 4, &[None]);
    world.set_alive(0, false);
    world.seconds(120);
    let now = at(world.now);
    world.daemons[0].judge.confirm(Region(0), now).expect("it waits for that");
    world.set_alive(0, true);
    world.seconds(380);
    assert_eq!((world.standing(0).share, world.standing(0).share_for(Failover::Confirm)), (25, 25));
    world.set_alive(0, false);
    world.seconds(120);
    assert_eq!(world.standing(0).state, State::DownConfirmed);
    assert_eq!(world.standing(0).share_for(Failover::Confirm), 0);
}

#[test]
fn a_reload_goes_on_with_what_was_seen() {
    let world = world();
    let (old, now) = (&world.daemons[0].judge, at(world.now));
    let left = old.standing(Region(1)).next_change.expect("the end of the hold");
    // Other order, another observer before the one there was, one region gone and one new.
    let watcher = |name: &str| Watcher { name: name.into(), home: None };
    let regions = ["xx", NAMES[2], NAMES[1], NAMES[0]].map(site).to_vec();
    let sites = Sites::new(regions, vec![watcher("new"), watcher("lb-0")]).expect("sound");
    let mut judge = old.reconfigured(sites, old.rules().clone(), now);
    assert_eq!(states(&judge), [State::Up, State::Drained, State::Suspect, State::DownConfirmed]);
    assert_eq!(judge.last_good(), [Region(2)].into_iter().collect::<RegionSet>());
    assert_eq!(judge.recorded().len(), old.recorded().len());
    assert!(judge.tick(at(now.clock + SECOND)).is_empty());
    let votes = judge.standing(Region(2)).votes;
    assert_eq!((votes.fail(), votes.abstaining()), (1, 1), "the vote of lb-0 is still there");
    let now_left = judge.standing(Region(2)).next_change.expect("the end of the hold");
    assert!(now_left < left + 90 * SECOND, "what was counted counts: {now_left:?}");
}

#[test]
fn configured_orders_give_way_to_those_at_run_time() {
    let mut sites_with_order = sites(2, &[None]);
    let order = |forced, reason: &str, lasts: u32| Order {
        forced,
        until: at(lasts * SECOND).wall,
        reason: reason.into(),
    };
    let mut site = sites_with_order.site(Region(0)).expect("it is there").clone();
    site.order = Some(order(Forced::Down, "configured", 1000));
    let other = sites_with_order.site(Region(1)).expect("it is there").clone();
    sites_with_order = Sites::new(vec![site, other], sites_with_order.watchers().to_vec()).expect("sound");
    let now = at(Duration::ZERO);
    let mut judge = Judge::new(sites_with_order, Rules::default(), None, now);
    let check = |judge: &Judge, expected| assert_eq!(judge.standing(Region(0)).state, expected);
    check(&judge, State::ForcedDown);
    judge.order(Region(0), order(Forced::Up, "at run time", 100), now).expect("sound");
    check(&judge, State::ForcedUp);
    judge.tick(at(100 * SECOND));
    check(&judge, State::ForcedDown);
    judge.tick(at(1000 * SECOND));
    check(&judge, State::Recovering);
}

#[test]
fn strangers_and_sites_that_do_not_fit_are_refused() {
    let mut world = World::new(1, 2, &[None]);
    let report = Report {
        observer: Observer(0),
        region: Region(0),
        target: 0,
        vote: Vote::Ok,
        sequence: 1,
        age: Duration::ZERO,
    };
    let judge = &mut world.daemons[0].judge;
    let mut check = |report, expected| assert_eq!(judge.report(report, at(SECOND)), expected, "{report:?}");
    check(report, Taken::New);
    check(report, Taken::Old);
    check(Report { observer: Observer(1), ..report }, Taken::Stranger);
    check(Report { observer: Observer(255), ..report }, Taken::Stranger);
    check(Report { region: Region(2), ..report }, Taken::Stranger);
    check(Report { region: Region(255), ..report }, Taken::Stranger);
    check(Report { target: 2, ..report }, Taken::Stranger);
    judge.heartbeat(Region(255), evidence(1), at(SECOND));

    let watcher = |home: Option<&str>| Watcher {
        name: "lb".into(),
        home: home.map(|home| home.parse().expect("a name")),
    };
    let check = |regions: Vec<Site>, watchers: Vec<Watcher>, expected: &str| {
        let error = Sites::new(regions, watchers).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    };
    check(vec![], vec![watcher(None)], "0 regions: 1 to 64 are allowed");
    check(vec![site("eu")], vec![], "0 observers: 1 to 64 are allowed");
    check(vec![site("eu"), site("eu")], vec![watcher(None)], "\"eu\" is there twice");
    check(vec![site("eu")], vec![watcher(None), watcher(None)], "\"lb\" is there twice");
    let crowded = Site { targets: 4097, ..site("eu") };
    check(vec![crowded], vec![watcher(None)], "region eu has more than 4096 targets");
    let unseen = Site { observers: vec![Observer(1)], ..site("eu") };
    check(vec![unseen], vec![watcher(None)], "region eu has observer 1, which is not there");
    check(vec![site("eu")], vec![watcher(Some("us"))], "an observer runs in region us, which is not there");
}
