//! Who goes and who stays, case by case, and in a simulated registry whose instances and networks fail at random.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use fulcrum_model::Registration;

use super::*;
use crate::lease::Wheel;
use crate::state::{Cause, Change, Incarnation, Now, Register, testing};

const SECOND: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(30);

/// A registry whose instances beat or are silent, can be reached or not.
struct World {
    seed: u64,
    state: State,
    silent: Silent,
    wheel: Wheel<Key>,
    policy: Policy,
    now: Duration,
    reach: HashMap<Key, Reach>,
    beating: BTreeMap<Key, bool>,
    /// Of those that register.
    ttl: Duration,
}

impl World {
    fn new(seed: u64) -> Self {
        World {
            seed,
            state: State::default(),
            silent: Silent::new(Rng::from_seed(seed)),
            wheel: Wheel::new(Duration::ZERO),
            policy: Policy::default(),
            now: Duration::ZERO,
            reach: HashMap::new(),
            beating: BTreeMap::new(),
            ttl: TTL,
        }
    }

    fn time(&self) -> Now {
        Now { lease: self.now, wall: SystemTime::UNIX_EPOCH + self.now }
    }

    /// So many instances of a service, each on a host of its own, which beat.
    fn with(mut self, service: &str, count: u8, reach: Reach) -> Self {
        for number in 0..count {
            let name = key(service, number);
            self.register(&name, number);
            self.reach.insert(name, reach);
        }
        self
    }

    fn register(&mut self, key: &Key, host: u8) {
        let registration =
            Registration { address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)), ..testing::lasting(self.ttl) };
        let incarnation = Incarnation(self.now.as_millis());
        let register = testing::register(key.clone(), registration);
        let command = Command::Register(Register { incarnation, ..register });
        self.state.apply(command, self.time()).expect("registered");
        let (_, lease) = self.state.find(key).expect("registered");
        self.wheel.insert(key.clone(), Arc::clone(lease));
        self.beating.insert(key.clone(), true);
    }

    fn silence(&mut self, service: &str, numbers: impl IntoIterator<Item = u8>, reach: Reach) {
        for number in numbers {
            let name = key(service, number);
            self.beating.insert(name.clone(), false);
            self.reach.insert(name, reach);
        }
    }

    /// A second passes. Returns who went.
    fn second(&mut self) -> Vec<Change> {
        self.now += SECOND;
        for (key, _) in self.beating.iter().filter(|(_, beats)| **beats) {
            if let Some((_, lease)) = self.state.find(key) {
                lease.renew(self.now);
            }
        }
        for (key, lease) in self.wheel.lapsed(self.now) {
            self.silent.add(key, lease, self.now);
        }
        let reach = &self.reach;
        let known = |service: &ServiceName| {
            let of_service = reach.iter().filter(|(key, _)| key.service == *service);
            of_service.map(|(key, reach)| (key.id.clone(), *reach)).collect()
        };
        let judgement = self.silent.judge(&self.state, &self.policy, &known, self.now);
        for (key, lease) in judgement.heard {
            self.wheel.insert(key, lease);
        }
        let mut gone = Vec::new();
        for command in judgement.commands {
            gone.extend(self.state.apply(command, self.time()).expect("its commands are sound").changes);
        }
        gone.retain(|change| matches!(change.cause, Cause::Evicted(_)));
        gone
    }

    fn seconds(&mut self, count: u64) -> Vec<Change> {
        (0..count).flat_map(|_| self.second()).collect()
    }

    fn count(&self, service: &str) -> usize {
        self.state.count(&service.parse().expect("a name"))
    }

    fn holds(&self, service: &str) -> Vec<Hold> {
        let service = service.parse().expect("a name");
        self.state.instances(&service).filter_map(|(instance, _)| instance.suspect).collect()
    }
}

fn key(service: &str, number: u8) -> Key {
    let id = format!("i{number}").parse().expect("an id");
    Key { service: service.parse().expect("a name"), id }
}

#[test]
fn whoever_cannot_be_reached_goes_when_its_lease_lapses() {
    let mut world = World::new(1).with("web", 4, Reach::Reachable);
    world.silence("web", 0..2, Reach::Failing);
    assert!(world.seconds(29).is_empty(), "the lease is respected");
    assert_eq!(world.seconds(3).len(), 2, "both at once: there is evidence");
    assert_eq!(world.count("web"), 2);
}

#[test]
fn whoever_can_be_reached_stays_and_is_named() {
    let mut world = World::new(1).with("web", 4, Reach::Reachable);
    world.silence("web", 0..4, Reach::Reachable);
    assert!(world.seconds(3600).is_empty());
    assert_eq!(world.holds("web"), [Hold::Reachable; 4]);
    world.beating.values_mut().for_each(|beats| *beats = true);
    world.seconds(2);
    assert_eq!(world.holds("web"), [], "heard of again");
    world.silence("web", 0..1, Reach::Failing);
    assert_eq!(world.seconds(32).len(), 1, "and looked after again");
}

#[test]
fn without_evidence_few_go_at_a_time_and_never_the_last() {
    let mut world = World::new(1).with("web", 10, Reach::Unknown);
    world.silence("web", 0..10, Reach::Unknown);
    assert_eq!(world.seconds(40).len(), 0, "others may fall silent with them");
    assert_eq!(world.seconds(4).len(), 1);
    assert_eq!(world.seconds(16).len(), 0, "one for each time-to-live");
    assert_eq!(world.seconds(30).len(), 1);
    assert_eq!(world.seconds(3600).len(), 7);
    assert_eq!((world.count("web"), world.holds("web")), (1, vec![Hold::LastInstance]));
}

/// Two halves of a time-to-live have no more together than it has, wherever it begins.
#[test]
fn the_cap_holds_over_any_time_to_live() {
    let mut world = World::new(1).with("web", 40, Reach::Unknown).with("api", 80, Reach::Reachable);
    let mut times = Vec::new();
    world.silence("web", [0], Reach::Unknown);
    for second in 0..240u64 {
        if second == 27 {
            world.silence("web", 1..19, Reach::Unknown);
        }
        times.extend(world.second().iter().map(|_| second));
    }
    assert!(times.len() > 10, "{times:?}");
    for from in &times {
        let within = times.iter().filter(|at| (*from..from + 30).contains(at)).count();
        assert!(within <= 6, "{within} of 40 within 30 s from {from}: {times:?}");
    }
}

/// Leases of others who fell silent with it may last for longer than its own.
#[test]
fn nobody_goes_without_evidence_before_the_longest_lease_could_tell() {
    let check = |ttl: u64, longest: u64, expected: std::ops::RangeInclusive<u64>| {
        let mut world = World::new(1).with("web", 3, Reach::Unknown);
        world.ttl = Duration::from_secs(longest);
        world.register(&key("api", 100), 100);
        world.ttl = Duration::from_secs(ttl);
        world.register(&key("web", 0), 0);
        world.silence("web", [0], Reach::Unknown);
        let mut went = None;
        for second in 1..=150 {
            let is_gone = !world.second().is_empty();
            let hold = world.holds("web");
            assert!(went.is_some() || is_gone || hold.iter().all(|hold| *hold == Hold::TooEarly), "{hold:?}");
            went = went.or(is_gone.then_some(second));
        }
        let went = went.expect("it went");
        assert!(expected.contains(&went), "after {went} s, with {ttl} s of at most {longest} s");
    };
    check(30, 30, 41..=43);
    check(6, 30, 17..=19);
    check(6, 60, 28..=30);
    check(6, 3600, 39..=41);
}

#[test]
fn without_protection_the_last_goes_too() {
    let mut world = World::new(1).with("web", 2, Reach::Unknown);
    world.policy.empty_protect = false;
    world.silence("web", 0..2, Reach::Unknown);
    assert_eq!(world.seconds(120).len(), 2);
}

#[test]
fn alone_and_failing_it_goes_after_a_long_silence() {
    let mut world = World::new(1).with("web", 1, Reach::Failing);
    world.silence("web", 0..1, Reach::Failing);
    assert!(world.seconds(118).is_empty());
    assert_eq!(world.seconds(4).len(), 1);
}

#[test]
fn where_most_cannot_be_reached_evidence_is_not_believed() {
    let mut world = World::new(1).with("web", 10, Reach::Failing);
    world.silence("web", 0..10, Reach::Failing);
    assert_eq!(world.seconds(44).len(), 1, "the cap holds");
    assert_eq!(world.holds("web").len(), 9);
}

/// Their last heartbeats came one after the other, and so their leases run out.
#[test]
fn nobody_goes_before_it_is_known_how_many_fell_silent_together() {
    let mut world = World::new(1).with("web", 100, Reach::Unknown);
    for tenth in 0..10 {
        world.silence("web", tenth * 5..tenth * 5 + 5, Reach::Unknown);
        world.second();
    }
    assert!(world.seconds(120).is_empty());
    assert_eq!(world.holds("web"), [Hold::MassLapse; 50]);
}

/// A network that fails takes heartbeats and checks along, of a part of the fleet: each lease that runs out has evidence
/// against it, and runs out by itself. Returns who went while they fell silent.
fn a_part_falls_silent_and_fails(world: &mut World, silent: u8) -> usize {
    let mut gone = 0;
    for second in 0..10 {
        world.silence("web", (second..silent).step_by(10), Reach::Failing);
        gone += world.second().len();
    }
    gone + world.seconds(120).len()
}

#[test]
fn those_who_went_with_evidence_count_in_a_mass_lapse() {
    let check = |silent: u8| {
        let mut world = World::new(1).with("web", 100, Reach::Reachable);
        let gone = a_part_falls_silent_and_fails(&mut world, silent);
        assert!(gone <= 30, "{gone} of {silent} went");
        assert!(matches!(world.silent.mood(), Mood::Frozen { .. }), "{silent}");
        assert_eq!(world.holds("web"), vec![Hold::MassLapse; usize::from(silent) - gone], "{silent}");
        // They are held for no longer than others.
        assert_eq!(world.seconds(700).len(), usize::from(silent) - gone, "{silent}");
        assert_eq!(world.silent.mood(), Mood::Normal, "{silent}");
    };
    [31, 40, 50].into_iter().for_each(check);
}

#[test]
fn a_mass_lapse_is_over_when_those_who_went_are_back() {
    let mut world = World::new(1).with("web", 100, Reach::Reachable);
    let gone = a_part_falls_silent_and_fails(&mut world, 40);
    assert!(gone > 0 && world.holds("web").len() == 40 - gone, "{gone} went");
    for number in 0..40 {
        let name = key("web", number);
        world.reach.insert(name.clone(), Reach::Reachable);
        world.beating.insert(name.clone(), true);
        if world.state.find(&name).is_none() {
            world.register(&name, number);
        }
    }
    assert!(world.seconds(120).is_empty());
    assert_eq!((world.count("web"), world.holds("web").len(), world.silent.mood()), (100, 0, Mood::Normal));
}

/// Fewer than that are each a case by itself, however soon one follows the other; so are those who said that they would go.
#[test]
fn few_with_evidence_go_with_their_leases() {
    let mut world = World::new(1).with("web", 100, Reach::Reachable);
    assert_eq!(a_part_falls_silent_and_fails(&mut world, 30), 30);
    assert_eq!(world.silent.mood(), Mood::Normal);
    world.silence("web", [99], Reach::Failing);
    assert_eq!(world.seconds(31).len(), 1, "one alone");
}

#[test]
fn the_silence_of_many_is_held_then_released_slowly() {
    let mut world = World::new(1).with("web", 40, Reach::Failing).with("api", 20, Reach::Reachable);
    world.silence("web", 0..40, Reach::Failing);
    assert!(world.seconds(600).is_empty());
    assert!(matches!(world.silent.mood(), Mood::Frozen { .. }));
    assert_eq!(world.holds("web"), [Hold::MassLapse; 40]);
    let gone = world.seconds(60).len();
    assert!((12..=36).contains(&gone), "{gone} within a minute, at twice 15 % for each 30 s");
}

#[test]
fn a_network_that_heals_within_the_hold_has_cost_nobody() {
    let mut world = World::new(1).with("web", 40, Reach::Unknown);
    world.silence("web", 0..40, Reach::Unknown);
    assert!(world.seconds(300).is_empty());
    world.beating.values_mut().for_each(|beats| *beats = true);
    assert!(world.seconds(60).is_empty());
    assert_eq!((world.count("web"), world.holds("web").len(), world.silent.mood()), (40, 0, Mood::Normal));
}

/// Their heartbeats come one after the other again: those who are the last to be heard of must not pay for it.
#[test]
fn who_comes_back_late_from_a_mass_lapse_is_waited_for() {
    let mut world = World::new(1).with("web", 40, Reach::Unknown);
    world.silence("web", 0..40, Reach::Unknown);
    assert!(world.seconds(300).is_empty());
    for number in 0..40 {
        world.beating.insert(key("web", number), true);
        assert!(world.second().is_empty(), "{number}");
    }
    world.second();
    assert_eq!((world.count("web"), world.holds("web").len(), world.silent.mood()), (40, 0, Mood::Normal));
    // Who does not come back goes like anybody else.
    world.silence("web", 0..2, Reach::Unknown);
    assert_eq!(world.seconds(120).len(), 2);
}

#[test]
fn many_on_one_host_are_no_failure_of_the_network() {
    let mut world = World::new(1).with("api", 20, Reach::Reachable);
    for number in 100..140 {
        world.register(&key("web", number), 1);
    }
    world.silence("web", 100..140, Reach::Failing);
    world.reach.insert(key("web", 100), Reach::Reachable);
    world.seconds(32);
    assert_eq!(world.silent.mood(), Mood::Normal);
}

/// What must hold after each second, whatever fails.
fn check_invariants(world: &World, gone: &[Change], before: &HashMap<ServiceName, usize>) {
    let seed = world.seed;
    for (service, _) in world.state.services() {
        for (instance, lease) in world.state.instances(service) {
            let is_overdue = lease.deadline() + 3 * SECOND < world.now;
            let is_seen = !is_overdue || world.silent.since.contains_key(&instance.key);
            assert!(is_seen, "seed {seed}: nobody looks after {:?}", instance.key);
        }
    }
    let mut without_evidence: HashMap<&ServiceName, usize> = HashMap::new();
    for change in gone {
        let Cause::Evicted(evidence) = change.cause else { panic!("seed {seed}: {:?}", change.cause) };
        let key = &change.key;
        assert!(!world.beating[key], "seed {seed}: {key:?} beats and went");
        assert_ne!(world.reach[key], Reach::Reachable, "seed {seed}: {key:?} can be reached and went");
        if evidence == Evidence::Silence {
            *without_evidence.entry(&key.service).or_default() += 1;
        }
    }
    for (service, count) in without_evidence {
        let cap = ((before[service] as f64 * 0.15).floor().max(1.0) * 2.0) as usize;
        assert!(count <= cap, "seed {seed}: {count} of {} went in a second", before[service]);
        assert!(world.state.count(service) > 0, "seed {seed}: {service} was emptied without evidence");
    }
    if matches!(world.silent.mood(), Mood::Frozen { .. }) {
        assert!(gone.is_empty(), "seed {seed}: frozen, and somebody went");
    }
}

#[test]
fn nobody_goes_wrongly_whatever_fails() {
    for seed in 0..256 {
        let mut rng = Rng::from_seed(seed);
        let mut world = World::new(seed).with("web", 30, Reach::Reachable).with("api", 9, Reach::Unknown);
        world = world.with("db", 2, Reach::Reachable);
        let mut frozen = Duration::ZERO;
        for _ in 0..1500 {
            match rng.below(120) {
                // Some instances die.
                0 => {
                    let number = rng.below(30) as u8;
                    world.silence("web", number..30.min(number + 4), Reach::Failing);
                }
                1 => world.silence("api", [rng.below(9) as u8], Reach::Unknown),
                // A network between us and some of them, or a load balancer that sees nothing.
                2 => world.beating.values_mut().for_each(|beats| *beats &= rng.below(3) > 0),
                3 => world.reach.values_mut().for_each(|reach| *reach = Reach::Failing),
                // Everything heals.
                4 | 5 => {
                    world.beating.values_mut().for_each(|beats| *beats = true);
                    world.reach.values_mut().for_each(|reach| *reach = Reach::Reachable);
                }
                6 => {
                    let number = rng.below(30) as u8;
                    world.register(&key("web", number), number);
                    world.reach.insert(key("web", number), Reach::Unknown);
                }
                _ => {}
            }
            let before: HashMap<ServiceName, usize> =
                world.state.services().map(|(name, _)| (name.clone(), world.state.count(name))).collect();
            let gone = world.second();
            check_invariants(&world, &gone, &before);
            frozen =
                if let Mood::Frozen { .. } = world.silent.mood() { frozen + SECOND } else { Duration::ZERO };
            assert!(frozen <= world.policy.hold_max + SECOND, "seed {seed}: frozen for ever");
        }
    }
}
