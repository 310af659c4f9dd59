//! Names against rows, against properties, and against a simple model in simulated time.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::super::lookup::Family;
use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

fn answer(texts: &[&str], ttl: u64) -> Answer {
    Answer { addresses: addresses(texts), ttl: secs(ttl), missing: None }
}

/// Names that follow one, which is being asked for.
fn asked(name: &str) -> Names {
    let mut names = Names::new(1);
    names.follow(&set(&[name]), secs(0));
    assert_eq!(names.due(secs(0)).len(), 1);
    names
}

impl Names {
    /// What must hold whatever has happened.
    fn check_invariants(&self) {
        let count = |wanted: fn(&Known) -> bool| self.known.values().filter(|known| wanted(known)).count();
        let is_waiting = |known: &Known| matches!(known.phase, Phase::Waiting { .. });
        assert_eq!(self.asking, count(|known| !matches!(known.phase, Phase::Waiting { .. })));
        assert!(self.asking <= MAX_LOOKUPS);
        assert_eq!(self.unheard, count(|known| known.phase != Phase::LetGo && !known.is_heard()));
        assert_eq!(self.waiting.len(), self.known.values().filter(|known| is_waiting(known)).count());
        for (name, known) in &self.known {
            if let Phase::Waiting { due } = known.phase {
                assert!(self.waiting.contains(&(due, Arc::clone(name))), "{name}");
            }
            assert!(known.addresses.is_sorted_by(|a, b| a < b), "{name}: {:?}", known.addresses);
            assert!(known.phase != Phase::LetGo || !known.is_heard() && known.addresses.is_empty(), "{name}");
            assert_eq!(known.answered.is_some(), !known.addresses.is_empty(), "{name}");
        }
        let ended = self.counters.answers + self.counters.failures.iter().sum::<u64>();
        assert_eq!(self.counters.lookups, ended + self.asking as u64);
        assert!(self.counters.changes <= self.counters.answers);
    }
}

#[test]
fn an_answer_is_told_when_it_differs() {
    fn check(answers: &[&[&str]], expected: Option<&[&str]>) {
        let mut names = asked("app");
        let mut now = secs(0);
        let mut told = None;
        for (index, texts) in answers.iter().enumerate() {
            if index > 0 {
                now += secs(2);
                assert_eq!(names.due(now).len(), 1);
            }
            told = names.answered("app", answer(texts, 1), now);
            names.check_invariants();
        }
        assert_eq!(told.as_deref(), expected.map(addresses).as_deref(), "{answers:?}");
    }
    check(&[&["192.0.2.1"]], Some(&["192.0.2.1"]));
    check(&[&["192.0.2.2", "192.0.2.1", "192.0.2.2"]], Some(&["192.0.2.1", "192.0.2.2"]));
    check(&[&["2001:db8::1", "192.0.2.1"]], Some(&["192.0.2.1", "2001:db8::1"]));
    check(&[&["192.0.2.1", "192.0.2.2"], &["192.0.2.2", "192.0.2.1"]], None);
    check(&[&["192.0.2.1"], &["192.0.2.2"]], Some(&["192.0.2.2"]));
    check(&[&["192.0.2.1", "192.0.2.2"], &["192.0.2.2"]], Some(&["192.0.2.2"]));
}

#[test]
fn addresses_of_a_kind_that_is_not_answered_stay() {
    fn check(before: &[&str], now: &[&str], missing: Family, expected: Option<&[&str]>) {
        let mut names = asked("app");
        names.answered("app", answer(before, 1), secs(0));
        names.due(secs(2));
        let partial = Answer { missing: Some((missing, Failure::Timeout)), ..answer(now, 1) };
        let told = names.answered("app", partial, secs(2));
        names.check_invariants();
        assert_eq!(told.as_deref(), expected.map(addresses).as_deref(), "{before:?} {now:?}");
        let status = &names.status(secs(2))[0];
        assert_eq!((status.last_failure, status.failures), (Some(Failure::Timeout), 0));
    }
    check(&["192.0.2.1", "2001:db8::1"], &["192.0.2.1"], Family::V6, None);
    check(&["192.0.2.1", "2001:db8::1"], &["192.0.2.2"], Family::V6, Some(&["192.0.2.2", "2001:db8::1"]));
    check(&["192.0.2.1", "2001:db8::1"], &["2001:db8::2"], Family::V4, Some(&["192.0.2.1", "2001:db8::2"]));
    check(&["192.0.2.1"], &["192.0.2.1"], Family::V6, None);
}

#[test]
fn a_failure_keeps_what_is_known() {
    for failure in Failure::ALL {
        let mut names = asked("app");
        names.answered("app", answer(&["192.0.2.1"], 1), secs(0));
        names.due(secs(2));
        names.failed("app", failure, secs(2));
        names.check_invariants();
        assert!(names.is_failing("app"));
        assert_eq!(*names.addresses("app"), addresses(&["192.0.2.1"]));
        let status = &names.status(secs(3))[0];
        assert_eq!((status.last_answer, status.last_failure), (Some(secs(3)), Some(failure)));
        assert_eq!(names.counters().failures[failure as usize], 1);
        names.due(secs(4));
        assert_eq!(names.answered("app", answer(&["192.0.2.1"], 1), secs(4)), None);
        assert!(!names.is_failing("app"));
        assert_eq!(names.status(secs(4))[0].last_failure, None);
    }
}

#[test]
fn failures_are_retried_later_and_later() {
    let mut names = asked("app");
    let mut now = secs(0);
    for expected in [1, 2, 4, 8, 16, 30, 30, 30] {
        names.failed("app", Failure::NoSuchName, now);
        let due = names.next_due().expect("it waits");
        let wait = due - now;
        assert!((secs(expected) * 9 / 10..=secs(expected) * 11 / 10).contains(&wait), "{expected}: {wait:?}");
        assert!(names.due(due - millis(1)).is_empty());
        assert_eq!(names.due(due).len(), 1);
        now = due;
    }
}

#[test]
fn answers_hold_for_their_life() {
    fn check(ttl: u64, expected: u64) {
        for seed in 0..50 {
            let mut names = Names::new(seed);
            names.follow(&set(&["app"]), secs(0));
            names.due(secs(0));
            names.answered("app", answer(&["192.0.2.1"], ttl), secs(7));
            let wait = names.next_due().expect("it waits") - secs(7);
            assert!((secs(expected) * 9 / 10..=secs(expected) * 11 / 10).contains(&wait), "{ttl}: {wait:?}");
            assert_eq!(names.status(secs(7))[0].next_lookup, Some(wait));
        }
    }
    check(0, 1);
    check(1, 1);
    check(30, 30);
    check(60, 60);
    check(u64::from(u32::MAX), 60);
}

#[test]
fn lookups_are_bounded_and_the_oldest_come_first() {
    let mut names = Names::new(1);
    let many: Vec<String> = (0..MAX_LOOKUPS + 10).map(|number| format!("name-{number:03}")).collect();
    names.follow(&many.iter().take(MAX_LOOKUPS).cloned().collect(), secs(1));
    names.follow(&many.iter().cloned().collect(), secs(2));
    let first = names.due(secs(3));
    assert_eq!(first.iter().map(|name| &**name).collect::<Vec<_>>(), &many[..MAX_LOOKUPS]);
    assert_eq!((names.due(secs(3)).len(), names.next_due()), (0, None));
    names.answered(&many[0], answer(&["192.0.2.1"], 60), secs(3));
    assert_eq!(names.next_due(), Some(secs(2)));
    assert_eq!(names.due(secs(3)), [Arc::from(many[MAX_LOOKUPS].as_str())]);
    names.check_invariants();
}

#[test]
fn names_that_stay_keep_what_is_known() {
    let mut names = asked("app");
    names.answered("app", answer(&["192.0.2.1"], 30), secs(0));
    let due = names.next_due();
    names.follow(&set(&["app", "other"]), secs(5));
    assert_eq!(names.due(secs(5)), [Arc::from("other")]);
    assert_eq!(*names.addresses("app"), addresses(&["192.0.2.1"]));
    names.failed("other", Failure::Timeout, secs(5));
    names.follow(&set(&["app"]), secs(6));
    assert_eq!(names.next_due(), due);
    names.follow(&set(&[]), secs(7));
    assert!(names.addresses("app").is_empty() && names.next_due().is_none());
    names.check_invariants();
    // A name that comes back is told anew.
    names.follow(&set(&["app"]), secs(8));
    names.due(secs(8));
    assert!(names.answered("app", answer(&["192.0.2.1"], 30), secs(8)).is_some());
}

#[test]
fn a_name_that_is_let_go_while_asked_for_is_not_told() {
    let mut names = asked("app");
    names.follow(&set(&[]), secs(1));
    names.check_invariants();
    assert!(names.status(secs(1)).is_empty() && names.is_settled());
    assert_eq!(names.answered("app", answer(&["192.0.2.1"], 1), secs(2)), None);
    assert!(names.known.is_empty());

    let mut names = asked("app");
    names.follow(&set(&[]), secs(1));
    names.failed("app", Failure::Timeout, secs(2));
    assert!(names.known.is_empty());
}

#[test]
fn a_name_that_comes_back_while_asked_for_is_not_asked_for_twice() {
    let mut names = asked("app");
    names.follow(&set(&[]), secs(1));
    names.follow(&set(&["app"]), secs(2));
    names.check_invariants();
    assert!(names.due(secs(60)).is_empty() && !names.is_settled());
    let told = names.answered("app", answer(&["192.0.2.1"], 1), secs(60));
    assert_eq!(told.as_deref(), Some(&addresses(&["192.0.2.1"])[..]));
    assert!(names.is_settled());
}

#[test]
fn settled_means_that_every_name_was_heard_of() {
    let mut names = Names::new(1);
    assert!(names.is_settled());
    names.follow(&set(&["good", "bad"]), secs(0));
    names.due(secs(0));
    names.answered("good", answer(&["192.0.2.1"], 1), secs(0));
    assert!(!names.is_settled());
    names.failed("bad", Failure::NoSuchName, secs(0));
    assert!(names.is_settled());
    names.follow(&set(&["good", "bad", "new"]), secs(1));
    assert!(!names.is_settled());
    names.follow(&set(&["good"]), secs(1));
    assert!(names.is_settled());
}

proptest! {
    #[test]
    fn a_wait_is_about_as_long_as_it_should_be(milliseconds in 1u64..120_000, seed: u64) {
        let span = millis(milliseconds);
        let wait = about(span, &mut Rng::from_seed(seed));
        prop_assert!(span * 9 / 10 <= wait && wait <= span * 11 / 10, "{span:?}: {wait:?}");
    }

    #[test]
    fn a_set_is_told_exactly_when_it_changes(
        answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..6), 1..20),
    ) {
        let mut names = asked("app");
        let mut last: Option<Vec<IpAddr>> = None;
        for (round, bytes) in answers.iter().enumerate() {
            let now = secs(2 * round as u64);
            names.due(now);
            // Few different ones, so that some sets repeat.
            let found: Vec<IpAddr> = bytes.iter().map(|byte| [192, 0, 2, byte % 3].into()).collect();
            let expected: Vec<IpAddr> = found.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
            let told = names.answered("app", Answer { addresses: found, ttl: secs(1), missing: None }, now);
            let is_new = last.as_ref() != Some(&expected);
            prop_assert_eq!(told.as_deref(), is_new.then_some(&expected[..]));
            last = Some(expected);
        }
    }
}

/// What a simulation expects, kept in the simplest way.
#[derive(Default)]
struct Model {
    good: BTreeMap<String, Vec<IpAddr>>,
    followed: BTreeSet<String>,
    asked: Vec<(Arc<str>, Duration)>,
}

/// One seeded run of a resolver's life: follows, answers and failures at random, in any order.
fn simulate(seed: u64) {
    let mut rng = Rng::from_seed(seed);
    let mut names = Names::new(seed);
    let mut model = Model::default();
    let mut now = secs(0);
    for _ in 0..2_000 {
        match rng.below(20) {
            0 => {
                let size = if rng.below(4) == 0 { 100 } else { 8 };
                let wanted = (0..size).filter(|_| rng.below(3) > 0).map(|number| format!("name-{number}"));
                model.followed = wanted.collect();
                model.good.retain(|name, _| model.followed.contains(name));
                names.follow(&model.followed, now);
            }
            1..8 => now += millis(u64::from(rng.below(2_000))),
            8..12 => {
                for name in names.due(now) {
                    assert!(model.asked.iter().all(|(other, _)| *other != name), "{name} is asked for twice");
                    assert!(model.followed.contains(&*name), "{name} is not followed");
                    model.asked.push((name, now));
                }
                let is_late = |due| due <= now;
                assert!(!names.next_due().is_some_and(is_late), "everything that is due is asked for");
            }
            action if !model.asked.is_empty() => {
                let (name, _) = model.asked.swap_remove(rng.below(model.asked.len() as u32) as usize);
                if action < 16 {
                    hear(&mut names, &mut model, &name, now, &mut rng);
                } else {
                    names.failed(&name, Failure::ALL[rng.below(Failure::ALL.len() as u32) as usize], now);
                }
            }
            _ => {}
        }
        names.check_invariants();
        check_against(&names, &model, now);
    }
    assert!(names.counters().changes > 0, "something has happened");
}

/// An answer with a few addresses of both kinds, some of them lacking one.
fn hear(names: &mut Names, model: &mut Model, name: &str, now: Duration, rng: &mut Rng) {
    let mut found: Vec<IpAddr> = vec![[192, 0, 2, rng.below(3) as u8].into()];
    let missing = match rng.below(3) {
        0 => Some((Family::V6, Failure::Timeout)),
        _ => {
            found.push([0x2001, 0xdb8, 0, 0, 0, 0, 0, rng.below(2) as u16].into());
            None
        }
    };
    let before = model.good.get(name).cloned().unwrap_or_default();
    let mut expected: BTreeSet<IpAddr> = found.iter().copied().collect();
    if missing.is_some() {
        expected.extend(before.iter().filter(|address| address.is_ipv6()));
    }
    let expected: Vec<IpAddr> = expected.into_iter().collect();
    let answer = Answer { addresses: found, ttl: secs(u64::from(rng.below(90))), missing };
    let told = names.answered(name, answer, now);
    let is_followed = model.followed.contains(name);
    assert_eq!(told.as_deref(), (is_followed && before != expected).then_some(&expected[..]), "{name}");
    if is_followed {
        model.good.insert(name.to_owned(), expected);
    }
}

/// Good addresses are never lost, and nothing waits for longer than it may.
fn check_against(names: &Names, model: &Model, now: Duration) {
    let status = names.status(now);
    assert!(status.iter().map(|status| &*status.name).eq(model.followed.iter().map(String::as_str)));
    for status in status {
        let good = model.good.get(&*status.name).cloned().unwrap_or_default();
        assert_eq!(*status.addresses, good, "{}", status.name);
        let is_asked = model.asked.iter().any(|(name, _)| *name == status.name);
        assert_eq!(status.next_lookup.is_none(), is_asked, "{}", status.name);
        assert!(status.next_lookup <= Some(MAX_TTL * 11 / 10), "{}", status.name);
    }
    assert!(names.next_due().is_some() || model.asked.len() == MAX_LOOKUPS || names.waiting.is_empty());
}

#[test]
fn nothing_good_is_lost_whatever_happens() {
    let replayed = std::env::var("FULCRUM_SEED").ok();
    let replayed: Option<u64> = replayed.map(|seed| seed.parse().expect("FULCRUM_SEED is a number"));
    for seed in replayed.map_or(0..40, |seed| seed..seed + 1) {
        let ended = std::panic::catch_unwind(|| simulate(seed));
        assert!(ended.is_ok(), "FULCRUM_SEED={seed} replays this");
    }
}
