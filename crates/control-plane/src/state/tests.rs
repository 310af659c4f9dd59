//! The registry's state, command by command, and against a model under random commands.

use std::collections::BTreeMap;
use std::time::Duration;

use fulcrum_balance::Rng;
use fulcrum_model::{Registration, Weight};

use super::tally::Held;
use super::testing::key;
use super::*;

const TTL: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Now {
    let time = Duration::from_secs(seconds);
    Now { lease: time, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + time }
}

fn registration(port: u16) -> Registration {
    Registration { port: port.try_into().expect("a port"), ..testing::registration() }
}

fn register(key: Key, incarnation: u128) -> Command {
    Command::Register(Register {
        incarnation: Incarnation(incarnation),
        principal: "web".into(),
        ..testing::register(key, testing::lasting(TTL))
    })
}

fn leave(key: Key, epoch: Option<u64>, drain: Option<Duration>) -> Command {
    Command::Leave(Leave {
        key,
        epoch: epoch.map(Epoch),
        drain,
        principal: "web".into(),
        may_touch: MayTouch::Own,
    })
}

fn overlay(state: Option<OverlayState>, until: Option<SystemTime>) -> Overlay {
    Overlay { state, weight: None, reason: "a test".to_owned(), until, by: "ops".into() }
}

/// Applies a command and tells the instance's epoch, its stage, and how many events there were.
fn step(state: &mut State, command: Command, now: Now) -> Result<(u64, Stage, usize), Refusal> {
    let done = state.apply(command, now)?;
    let instance = done.instance.expect("it was about one");
    Ok((instance.epoch.0, instance.stage(), done.changes.len()))
}

#[test]
fn a_repeated_registration_is_no_event_and_a_new_process_is_another_epoch() {
    let mut state = State::default();
    let a = key("web", "a");
    assert_eq!(step(&mut state, register(a.clone(), 1), at(0)), Ok((1, Stage::Up, 1)));
    assert_eq!(step(&mut state, register(a.clone(), 1), at(10)), Ok((1, Stage::Up, 0)));
    let (_, lease) = state.find(&a).expect("registered");
    assert_eq!(lease.deadline(), at(40).lease, "it renews the lease");
    assert_eq!(step(&mut state, register(a.clone(), 2), at(11)), Ok((2, Stage::Up, 1)));
    assert_eq!(
        step(&mut state, leave(a.clone(), Some(1), None), at(12)),
        Err(Refusal::StaleEpoch { current: Epoch(2) })
    );
    assert_eq!(step(&mut state, leave(a.clone(), Some(2), None), at(12)), Ok((2, Stage::Up, 1)));
    assert!(state.is_empty());
    assert_eq!(step(&mut state, register(a, 3), at(13)), Ok((3, Stage::Up, 1)), "epochs are remembered");
}

#[test]
fn epochs_are_forgotten_a_while_after_the_instance_has_gone() {
    let mut state = State::default();
    let a = key("web", "a");
    step(&mut state, register(a.clone(), 1), at(0)).expect("done");
    step(&mut state, leave(a.clone(), None, None), at(0)).expect("done");
    state.apply(Command::Tidy, at(599)).expect("done");
    assert_eq!(state.services().count(), 1);
    state.apply(Command::Tidy, at(600)).expect("done");
    assert_eq!(state.services().count(), 0);
    assert_eq!(step(&mut state, register(a, 2), at(601)), Ok((1, Stage::Up, 1)));
}

#[test]
fn what_it_says_anew_under_the_same_incarnation_changes_no_epoch() {
    let mut state = State::default();
    let a = key("web", "a");
    step(&mut state, register(a.clone(), 1), at(0)).expect("done");
    let heavier = testing::with(|traits| traits.weight = Weight::new(5).expect("not zero"));
    let again = Register {
        key: a.clone(),
        registration: heavier,
        incarnation: Incarnation(1),
        principal: "web".into(),
        epoch: None,
        expected: Expected::At(Sequence(1)),
    };
    assert_eq!(step(&mut state, Command::Register(again.clone()), at(1)), Ok((1, Stage::Up, 1)));
    assert_eq!(
        step(&mut state, Command::Register(again), at(1)),
        Err(Refusal::NotAsExpected { found: Some(Sequence(2)) })
    );
    assert_eq!(state.find(&a).expect("registered").0.weight().get(), 5);
}

#[test]
fn who_was_replaced_does_not_come_back_under_its_number() {
    let mut state = State::default();
    let a = key("web", "a");
    let as_epoch = |incarnation, epoch| match register(a.clone(), incarnation) {
        Command::Register(register) => Command::Register(Register { epoch: Some(Epoch(epoch)), ..register }),
        _ => unreachable!(),
    };
    let stale = Err(Refusal::StaleEpoch { current: Epoch(2) });
    step(&mut state, register(a.clone(), 1), at(0)).expect("done");
    assert_eq!(step(&mut state, as_epoch(2, 1), at(1)), Ok((2, Stage::Up, 1)), "it is not older");
    assert_eq!(step(&mut state, as_epoch(1, 1), at(2)), stale);
    state.apply(leave(a.clone(), None, None), at(3)).expect("done");
    assert_eq!(step(&mut state, as_epoch(1, 1), at(4)), stale, "who has gone is remembered");
    assert_eq!(step(&mut state, as_epoch(2, 2), at(5)), Ok((3, Stage::Up, 1)));
}

#[test]
fn nobody_touches_what_another_has_registered() {
    let mut state = State::default();
    let a = key("web", "a");
    step(&mut state, register(a.clone(), 1), at(0)).expect("done");
    let Command::Register(mut theirs) = register(a.clone(), 2) else { unreachable!() };
    theirs.principal = "evil".into();
    assert_eq!(step(&mut state, Command::Register(theirs), at(1)), Err(Refusal::NotYours));
    let Command::Leave(mut theirs) = leave(a, None, None) else { unreachable!() };
    theirs.principal = "evil".into();
    assert_eq!(step(&mut state, Command::Leave(theirs.clone()), at(1)), Err(Refusal::NotYours));
    theirs.may_touch = MayTouch::All;
    assert_eq!(step(&mut state, Command::Leave(theirs), at(1)), Ok((1, Stage::Up, 1)));
}

#[test]
fn a_draining_instance_goes_at_its_time() {
    let mut state = State::default();
    let a = key("web", "a");
    step(&mut state, register(a.clone(), 1), at(0)).expect("done");
    assert_eq!(step(&mut state, leave(a.clone(), None, Some(TTL)), at(0)), Ok((1, Stage::Draining, 1)));
    assert_eq!(
        step(&mut state, leave(a.clone(), None, Some(TTL)), at(9)),
        Ok((1, Stage::Draining, 0)),
        "no longer"
    );
    assert_eq!(step(&mut state, register(a.clone(), 1), at(10)), Ok((1, Stage::Draining, 0)));
    assert_eq!(state.apply(Command::Tidy, at(29)).expect("done").changes.len(), 0);
    let gone = state.apply(Command::Tidy, at(30)).expect("done").changes;
    assert_eq!(gone.iter().map(|change| &change.cause).collect::<Vec<_>>(), [&Cause::Drained]);
    assert!(state.is_empty());
}

#[test]
fn a_new_process_does_not_drain_for_the_old_one() {
    let mut state = State::default();
    let a = key("web", "a");
    step(&mut state, register(a.clone(), 1), at(0)).expect("done");
    step(&mut state, leave(a.clone(), None, Some(TTL)), at(0)).expect("done");
    assert_eq!(step(&mut state, register(a.clone(), 2), at(1)), Ok((2, Stage::Up, 1)));
    assert_eq!(state.apply(Command::Tidy, at(31)).expect("done").changes.len(), 0);
    assert_eq!(state.len(), 1);
}

#[test]
fn an_operators_word_outlives_registrations_and_ends_at_its_time() {
    let mut state = State::default();
    let a = key("web", "a");
    step(&mut state, register(a.clone(), 1), at(0)).expect("done");
    let order = |overlay| Command::Order { key: a.clone(), overlay, may_order: MayOrder::All };
    let maintenance = overlay(Some(OverlayState::Maintenance), Some(at(100).wall));
    assert_eq!(step(&mut state, order(Some(maintenance.clone())), at(200)), Err(Refusal::Past));
    assert_eq!(step(&mut state, order(Some(maintenance)), at(1)), Ok((1, Stage::Maintenance, 1)));
    assert_eq!(step(&mut state, register(a.clone(), 2), at(2)), Ok((2, Stage::Maintenance, 1)));
    step(&mut state, leave(a.clone(), None, None), at(3)).expect("done");
    assert_eq!(step(&mut state, register(a.clone(), 3), at(4)), Ok((3, Stage::Maintenance, 1)));
    let ended = state.apply(Command::Tidy, at(100)).expect("done").changes;
    assert_eq!(ended.iter().map(|change| &change.cause).collect::<Vec<_>>(), [&Cause::OrderEnded]);
    assert_eq!(state.find(&a).expect("registered").0.stage(), Stage::Up);
    let unknown = Command::Order { key: key("web", "b"), overlay: None, may_order: MayOrder::All };
    assert_eq!(step(&mut state, unknown, at(101)), Err(Refusal::Unknown));
}

#[test]
fn a_weight_does_not_undo_what_stops_an_instance() {
    let mut state = State::default();
    let a = key("web", "a");
    step(&mut state, register(a.clone(), 1), at(0)).expect("done");
    let order = |overlay, may_order| Command::Order { key: a.clone(), overlay, may_order };
    let weigh = |weight| {
        let weight = Weight::new(weight);
        order(Some(Overlay { weight, ..overlay(None, None) }), MayOrder::Weight)
    };
    assert_eq!(step(&mut state, weigh(7), at(1)), Ok((1, Stage::Up, 1)));
    assert_eq!(step(&mut state, weigh(9), at(1)), Ok((1, Stage::Up, 1)), "in place of a weight");
    for (stop, stage) in
        [(OverlayState::Drain, Stage::Draining), (OverlayState::Maintenance, Stage::Maintenance)]
    {
        let stop = order(Some(overlay(Some(stop), Some(at(100).wall))), MayOrder::All);
        assert_eq!(step(&mut state, stop, at(2)), Ok((1, stage, 1)));
        assert_eq!(step(&mut state, weigh(9), at(3)), Err(Refusal::IsOut));
        assert_eq!(state.find(&a).expect("registered").0.stage(), stage);
    }
    state.apply(Command::Tidy, at(100)).expect("done");
    assert_eq!(step(&mut state, weigh(9), at(101)), Ok((1, Stage::Up, 1)), "the order has ended");
}

#[test]
fn a_heartbeat_in_the_last_moment_saves_an_instance() {
    let mut state = State::default();
    let a = key("web", "a");
    step(&mut state, register(a.clone(), 1), at(0)).expect("done");
    let evict = |epoch| {
        let eviction = Eviction { key: a.clone(), epoch: Epoch(epoch), evidence: Evidence::Unreachable };
        Command::Evict(eviction)
    };
    state.find(&a).expect("registered").1.renew(at(30).lease);
    assert!(state.apply(evict(1), at(30)).expect("done").changes.is_empty(), "it was renewed");
    assert!(state.apply(evict(2), at(60)).expect("done").changes.is_empty(), "another registration is meant");
    assert_eq!(step(&mut state, evict(1), at(60)), Ok((1, Stage::Up, 1)));
    assert!(state.is_empty());
}

#[test]
fn a_full_registry_refuses_new_instances_and_serves_those_it_has() {
    let mut state = State::new(Sequence(0), Bounds { instances: 2, services: 2, texts: 1000 });
    for id in ["a", "b"] {
        step(&mut state, register(key("web", id), 1), at(0)).expect("done");
    }
    let full = Refusal::Full { most: 2, of: Room::Instances };
    assert_eq!(step(&mut state, register(key("web", "c"), 1), at(0)), Err(full));
    assert_eq!(step(&mut state, register(key("web", "a"), 2), at(0)), Ok((2, Stage::Up, 1)));
}

/// With so much to say.
fn telling(id: &str, owner: &str, bytes: usize) -> Command {
    let Command::Register(mut register) = register(key("web", id), 1) else { unreachable!("it registers") };
    register.principal = owner.into();
    register.registration = testing::with(|traits| {
        traits.meta = [("k", "x".repeat(bytes).into_boxed_str())].into_iter().collect();
    });
    Command::Register(register)
}

#[test]
fn what_instances_say_is_bounded_and_leaves_room_for_others() {
    let bounds = Bounds { instances: 100, services: 1, texts: 10_000 };
    let mut state = State::new(Sequence(0), bounds);
    step(&mut state, telling("a", "one", 4000), at(0)).expect("there is room");
    let of_one = Refusal::Full { most: 7500, of: Room::TextsOfOne };
    assert_eq!(step(&mut state, telling("b", "one", 4000), at(0)), Err(of_one));
    assert_eq!(step(&mut state, telling("a", "one", 8000), at(0)), Err(of_one), "growing is the same");
    step(&mut state, telling("c", "two", 4000), at(0)).expect("there is room for others");
    let full = Refusal::Full { most: 10_000, of: Room::Texts };
    assert_eq!(step(&mut state, telling("d", "three", 4000), at(0)), Err(full));
    step(&mut state, telling("a", "one", 10), at(0)).expect("saying less is always possible");
    step(&mut state, telling("d", "three", 4000), at(0)).expect("and makes room");
    let all: usize = state.all().map(|(instance, _)| instance.registration.texts()).sum();
    assert_eq!(state.tally.all(), Held { instances: 3, texts: all });
}

#[test]
fn nobody_takes_the_last_quarter_of_the_places() {
    let mut state = State::new(Sequence(0), Bounds { instances: 4, services: 1, texts: 10_000 });
    for id in ["a", "b", "c"] {
        step(&mut state, telling(id, "one", 1), at(0)).expect("there is room");
    }
    let of_one = Refusal::Full { most: 3, of: Room::InstancesOfOne };
    assert_eq!(step(&mut state, telling("d", "one", 1), at(0)), Err(of_one));
    step(&mut state, telling("d", "two", 1), at(0)).expect("there is room for others");
}

/// Everything that can be told apart of a state.
fn digest(state: &State) -> String {
    let mut services: Vec<_> = state.services.iter().collect();
    services.sort_by_key(|(name, _)| *name);
    let mut text = format!("{:?} {}", state.sequence, state.len());
    for (name, service) in services.into_iter().filter(|(_, service)| !service.is_forgotten()) {
        let instances: Vec<_> = service.instances.iter().map(|entry| &entry.instance).collect();
        let departed: BTreeMap<_, _> = service.departed.iter().collect();
        text += &format!("\n{name} {:?} {instances:?} {departed:?}", service.index);
    }
    text
}

fn random_command(rng: &mut Rng, now: Now) -> Command {
    let services = ["web", "api", "db"];
    let key = key(services[rng.below(3) as usize], &format!("i{}", rng.below(6)));
    let until = (rng.below(2) == 0).then(|| now.wall + SECOND * rng.below(60));
    match rng.below(9) {
        0..=2 => {
            let Command::Register(mut command) = register(key, u128::from(rng.below(3))) else {
                unreachable!()
            };
            command.registration = registration(8080 + rng.below(2) as u16);
            command.expected = if rng.below(4) == 0 { Expected::Absent } else { Expected::Anything };
            Command::Register(command)
        }
        3 => leave(key, (rng.below(2) == 0).then(|| u64::from(rng.below(5))), None),
        4 => leave(key, None, Some(SECOND * rng.below(40))),
        5 => Command::Order {
            key,
            overlay: until.map(|until| overlay(Some(OverlayState::Drain), Some(until))),
            may_order: if rng.below(4) == 0 { MayOrder::Weight } else { MayOrder::All },
        },
        6 => {
            let eviction =
                Eviction { key, epoch: Epoch(u64::from(rng.below(4))), evidence: Evidence::Silence };
            Command::Evict(eviction)
        }
        7 => Command::Weigh {
            key,
            epoch: Epoch(u64::from(rng.below(4))),
            weight: Weight::new(1 + rng.below(3) as u16).expect("not zero"),
        },
        _ => Command::Tidy,
    }
}

/// What must hold after each step.
fn check_invariants(state: &State, seed: u64) {
    let counted: usize = state.services.values().map(|service| service.instances.len()).sum();
    assert_eq!(state.len(), counted, "seed {seed}");
    for (name, service) in &state.services {
        for entry in &service.instances {
            let (instance, id) = (&entry.instance, &entry.instance.key.id);
            let found = service.instances.find(id);
            assert!(found.is_some_and(|found| Arc::ptr_eq(&found.instance, instance)), "seed {seed}");
            assert_eq!(&instance.key.service, name, "seed {seed}");
            assert_eq!(instance.epoch.0, entry.lease.epoch, "seed {seed}");
            assert!(
                instance.sequence <= service.index,
                "seed {seed}: a change that is newer than its service"
            );
            assert!(!service.departed.contains_key(id), "seed {seed}: {id} is there and gone");
            let end = instance.drain_until.or(instance.overlay_until());
            let is_noted = |end| state.ends.contains(&(end, instance.key.clone()));
            assert!(end.is_none_or(is_noted), "seed {seed}: {id} would never end");
        }
        assert!(service.index <= state.sequence, "seed {seed}");
    }
}

/// Whatever is asked for: events are numbered without a gap, epochs never go back while they are remembered, and what
/// was undone has never been.
#[test]
fn holds_together_under_random_commands() {
    for seed in 0..256 {
        let mut rng = Rng::from_seed(seed);
        let mut state = State::new(Sequence(seed), Bounds { instances: 12, services: 3, texts: 1 << 20 });
        let mut epochs: BTreeMap<Key, (u64, SystemTime)> = BTreeMap::new();
        let mut seconds = 0;
        for _ in 0..200 {
            seconds += u64::from(rng.below(8));
            let now = at(seconds);
            let before = digest(&state);
            let sequence = state.sequence();
            let command = random_command(&mut rng, now);
            let Ok(done) = state.apply(command, now) else {
                assert_eq!(digest(&state), before, "seed {seed}: refused, and done nevertheless");
                continue;
            };
            let numbers: Vec<u64> = done.changes.iter().map(|change| change.sequence.0).collect();
            let expected: Vec<u64> = (sequence.0 + 1..=state.sequence().0).collect();
            assert_eq!(numbers, expected, "seed {seed}");
            check_invariants(&state, seed);
            if rng.below(4) == 0 && !done.changes.is_empty() && !is_tidy(&done) {
                state.undo(done.changes);
                assert_eq!(digest(&state), before, "seed {seed}");
                check_invariants(&state, seed);
                continue;
            }
            for instance in done.changes.iter().filter_map(|change| change.after.as_ref()) {
                if let Some((epoch, seen)) = epochs.get(&instance.key)
                    && now.wall.duration_since(*seen).expect("time passes") < SECOND * 600
                {
                    assert!(instance.epoch.0 >= *epoch, "seed {seed}: an epoch went back");
                }
                epochs.insert(instance.key.clone(), (instance.epoch.0, now.wall));
            }
        }
    }
}

/// Tidying also forgets, which is not taken back.
fn is_tidy(done: &Done) -> bool {
    done.changes.iter().any(|change| matches!(change.cause, Cause::Drained | Cause::OrderEnded))
}

/// Instances of a service that say the same, or one of a few things, hold it in memory once.
#[test]
fn what_instances_say_alike_is_there_once() {
    let mut state = State::default();
    let meta = |version: &str| [("version", version.into())].into_iter().collect();
    for number in 0..60 {
        let zone = ["a", "b", "c"][number % 3];
        let said = testing::with(|traits| {
            traits.locality = Some(zone.into());
            traits.meta = meta("1.4.2");
        });
        let command = testing::register(key("web", &format!("i{number}")), said);
        state.apply(Command::Register(command), at(0)).expect("registered");
    }
    let traits: Vec<_> = state.all().map(|(instance, _)| Arc::clone(&instance.registration.traits)).collect();
    let places: BTreeSet<_> = traits.iter().map(Arc::as_ptr).collect();
    assert_eq!(places.len(), 3);
    let owners: BTreeSet<_> = state.all().map(|(instance, _)| instance.owner.as_ptr()).collect();
    assert_eq!(owners.len(), 1, "each registration brings its own");
    assert!(
        traits.iter().all(|one| one.meta.shares_with(&traits[0].meta)),
        "even where the zone is another one"
    );
    // After many that say something else each, too, and some who have gone.
    for number in 0..20 {
        let said = testing::with(|traits| traits.meta = meta(&format!("{number}")));
        let command = testing::register(key("web", "i59"), said);
        state
            .apply(Command::Register(Register { incarnation: Incarnation(number), ..command }), at(1))
            .expect("registered");
    }
    let twins: Vec<_> = ["x", "y"]
        .into_iter()
        .map(|id| {
            let said = testing::with(|traits| traits.meta = meta("2.0.0"));
            let done = state.apply(Command::Register(testing::register(key("web", id), said)), at(2));
            done.expect("registered").instance.expect("it is there")
        })
        .collect();
    assert!(Arc::ptr_eq(&twins[0].registration.traits, &twins[1].registration.traits));
}

/// There may be a million of them: what is added to them here is added a million times.
#[test]
fn instances_are_small() {
    assert!(size_of::<Instance>() <= 176, "{}", size_of::<Instance>());
    assert!(size_of::<Lease>() <= 56, "{}", size_of::<Lease>());
    assert_eq!(size_of::<Option<Entry>>(), 16);
    assert!(size_of::<crate::registry::Event>() <= 48, "{}", size_of::<crate::registry::Event>());
}
