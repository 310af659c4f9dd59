//! The way of an instance, answer by answer.

use super::*;
use crate::url::RegistryUrl;

const NEXT: Duration = Duration::from_secs(10);

fn lifecycle() -> (Lifecycle, Rng) {
    (Lifecycle::new(), Rng::from_seed(7))
}

fn up(epoch: u64) -> Answer {
    Answer::Registered { epoch, next: NEXT, stage: Stage::Up }
}

const LATER: Answer = Answer::Later { after: None };

/// Asks what is next when it is due; the time then.
fn answer(lifecycle: &mut Lifecycle, answer: Answer, rng: &mut Rng) -> Duration {
    let (due, _) = lifecycle.next().expect("it has not ended");
    lifecycle.answered(answer, due, rng);
    due
}

fn ask(lifecycle: &Lifecycle) -> Ask {
    lifecycle.next().expect("it has not ended").1
}

/// Registered under this epoch.
fn registered(epoch: u64) -> (Lifecycle, Rng) {
    let (mut lifecycle, mut rng) = lifecycle();
    answer(&mut lifecycle, up(epoch), &mut rng);
    assert_eq!(ask(&lifecycle), Ask::Beat { epoch });
    (lifecycle, rng)
}

#[test]
fn registers_at_once_and_beats_at_the_pace_of_the_registry() {
    let (mut lifecycle, mut rng) = lifecycle();
    assert_eq!(lifecycle.next(), Some((Duration::ZERO, Ask::Register { epoch: None })));
    assert_eq!((lifecycle.stage(), lifecycle.epoch()), (None, None));
    let mut last = answer(&mut lifecycle, up(3), &mut rng);
    assert_eq!((lifecycle.stage(), lifecycle.epoch()), (Some(Stage::Up), Some(3)));
    let first = lifecycle.next().expect("a heartbeat").0;
    assert!(first <= NEXT, "the first comes at any time until then: {first:?}");
    for _ in 0..20 {
        let now = answer(&mut lifecycle, up(3), &mut rng);
        assert!(last <= now, "time goes on");
        last = now;
        let wait = lifecycle.next().expect("a heartbeat").0 - now;
        assert!(wait <= NEXT && wait >= NEXT * 9 / 10, "{wait:?}");
    }
}

#[test]
fn heartbeats_that_fail_come_again_sooner() {
    let (mut lifecycle, mut rng) = registered(1);
    let mut now = Duration::ZERO;
    for _ in 0..20 {
        now = answer(&mut lifecycle, LATER, &mut rng);
        let wait = lifecycle.next().expect("a heartbeat").0 - now;
        assert!(wait <= NEXT, "never later than usual: {wait:?}");
        assert_eq!(ask(&lifecycle), Ask::Beat { epoch: 1 });
        assert_eq!(lifecycle.stage(), Some(Stage::Up), "silence changes nothing");
    }
    answer(&mut lifecycle, up(1), &mut rng);
    let again = answer(&mut lifecycle, LATER, &mut rng);
    let wait = lifecycle.next().expect("a heartbeat").0 - again;
    assert!(now < again && wait <= Duration::from_secs(1), "what was good is forgotten: {wait:?}");
}

#[test]
fn who_was_forgotten_registers_again_when_told_to() {
    let (mut lifecycle, mut rng) = registered(4);
    let after = Duration::from_millis(7031);
    let now = answer(&mut lifecycle, Answer::Unknown { after: Some(after) }, &mut rng);
    assert_eq!(lifecycle.next(), Some((now + after, Ask::Register { epoch: Some(4) })));
    answer(&mut lifecycle, up(5), &mut rng);
    assert_eq!(ask(&lifecycle), Ask::Beat { epoch: 5 });
    // Without a word of the registry: some time within the usual pace.
    let now = answer(&mut lifecycle, Answer::Unknown { after: None }, &mut rng);
    assert!(lifecycle.next().expect("a registration").0 - now <= NEXT);
}

#[test]
fn who_was_replaced_never_asks_again() {
    let check = |mut lifecycle: Lifecycle, mut rng: Rng| {
        answer(&mut lifecycle, Answer::Stale, &mut rng);
        assert_eq!((lifecycle.next(), lifecycle.end()), (None, Some(End::Replaced)));
        lifecycle.leave(Duration::ZERO, NEXT, NEXT);
        lifecycle.answered(up(9), NEXT, &mut rng);
        assert_eq!((lifecycle.next(), lifecycle.end()), (None, Some(End::Replaced)));
    };
    let (mut forgotten, mut rng) = registered(2);
    answer(&mut forgotten, Answer::Unknown { after: None }, &mut rng);
    check(forgotten, rng);
    let (mut leaving, rng) = registered(2);
    leaving.leave(Duration::ZERO, NEXT, Duration::ZERO);
    check(leaving, rng);
    let (beating, rng) = registered(2);
    check(beating, rng);
    let (first, rng) = lifecycle();
    check(first, rng);
}

#[test]
fn what_cannot_be_registered_is_not_tried_again() {
    let (mut lifecycle, mut rng) = lifecycle();
    answer(&mut lifecycle, Answer::Never, &mut rng);
    assert_eq!((lifecycle.next(), lifecycle.end()), (None, Some(End::Refused)));
}

#[test]
fn nobody_is_asked_before_it_wants_to_be() {
    let (mut lifecycle, mut rng) = registered(1);
    let now = answer(&mut lifecycle, Answer::Later { after: Some(Duration::from_secs(2)) }, &mut rng);
    assert!(lifecycle.next().expect("a heartbeat").0 - now >= Duration::from_secs(2));
}

#[test]
fn leaves_at_once_or_when_it_has_drained() {
    let (mut lifecycle, mut rng) = registered(2);
    let now = Duration::from_secs(3);
    lifecycle.leave(Duration::ZERO, NEXT, now);
    assert_eq!(lifecycle.next(), Some((now, Ask::Leave { epoch: 2, drain: Duration::ZERO })));
    answer(&mut lifecycle, Answer::Leaving, &mut rng);
    assert_eq!((lifecycle.next(), lifecycle.end()), (None, Some(End::Left)));

    let (mut lifecycle, mut rng) = registered(2);
    let drain = Duration::from_secs(30);
    lifecycle.leave(drain, NEXT, now);
    answer(&mut lifecycle, Answer::Leaving, &mut rng);
    assert_eq!((ask(&lifecycle), lifecycle.stage()), (Ask::Beat { epoch: 2 }, Some(Stage::Draining)));
    let mut beats = 0;
    while lifecycle.end().is_none() {
        let now = answer(&mut lifecycle, up(2), &mut rng);
        assert!(now <= Duration::from_secs(33), "not longer than the drain: {now:?}");
        beats += 1;
    }
    assert!((3..=6).contains(&beats), "{beats} heartbeats in 30 s");
    assert_eq!(lifecycle.end(), Some(End::Left));
}

#[test]
fn a_drain_ends_when_the_registry_says_so_or_its_owner() {
    let drained = || {
        let (mut lifecycle, mut rng) = registered(2);
        lifecycle.leave(Duration::from_secs(30), NEXT, Duration::ZERO);
        answer(&mut lifecycle, Answer::Leaving, &mut rng);
        (lifecycle, rng)
    };
    let (mut lifecycle, mut rng) = drained();
    answer(&mut lifecycle, Answer::Unknown { after: None }, &mut rng);
    assert_eq!(lifecycle.end(), Some(End::Left));
    let (mut lifecycle, _) = drained();
    lifecycle.leave(Duration::ZERO, NEXT, NEXT);
    assert_eq!(ask(&lifecycle), Ask::Leave { epoch: 2, drain: Duration::ZERO });
}

#[test]
fn a_registry_that_is_away_holds_nobody_back_for_long() {
    let (mut lifecycle, mut rng) = registered(2);
    lifecycle.leave(Duration::ZERO, Duration::from_secs(2), Duration::ZERO);
    let mut last = Duration::ZERO;
    while lifecycle.end().is_none() {
        last = answer(&mut lifecycle, LATER, &mut rng);
    }
    assert_eq!(lifecycle.end(), Some(End::Unheard));
    assert!(last < Duration::from_secs(2), "{last:?}");

    let (mut lifecycle, _) = self::lifecycle();
    lifecycle.leave(Duration::ZERO, NEXT, Duration::ZERO);
    assert_eq!(lifecycle.end(), Some(End::Left), "it has never been there");
}

#[test]
fn errors_have_one_meaning_each() {
    let beat = Ask::Beat { epoch: 1 };
    let register = Ask::Register { epoch: None };
    let leave = Ask::Leave { epoch: 1, drain: Duration::ZERO };
    let check = |status: u16, code: &str, ask: Ask, expected: Answer| {
        let problem = Problem {
            status,
            code: code.to_owned(),
            detail: String::new(),
            after: None,
            re_register_after: Some(NEXT),
        };
        let registry: RegistryUrl = "http://127.0.0.1:1".parse().expect("an address");
        let error = AskError::Refused { registry, problem };
        assert_eq!(Answer::of_error(&error, ask), expected, "{status} {code} {ask:?}");
    };
    let unknown = Answer::Unknown { after: Some(NEXT) };
    check(404, "unknown", beat, unknown);
    check(404, "unknown", leave, unknown);
    check(404, "", beat, unknown);
    check(404, "not_found", beat, LATER);
    check(404, "not_found", register, LATER);
    for ask in [beat, register, leave] {
        check(409, "stale_epoch", ask, Answer::Stale);
        check(429, "rate", ask, LATER);
        check(503, "store", ask, LATER);
        check(500, "", ask, LATER);
    }
    for (status, code) in [(400, "json"), (413, "too_large"), (422, "invalid")] {
        check(status, code, register, Answer::Never);
    }
    for (status, code) in [(401, "unauthorized"), (403, "forbidden"), (403, "not_yours")] {
        check(status, code, register, LATER);
        check(status, code, beat, LATER);
        check(status, code, leave, Answer::Never);
    }
    let registry: RegistryUrl = "http://127.0.0.1:1".parse().expect("an address");
    let late = AskError::Late { registry, within: NEXT };
    assert_eq!(Answer::of_error(&late, beat), LATER);
}

/// Whatever is answered in whatever order: it stays within its bounds, and whoever was replaced stays away.
#[test]
fn holds_together_under_random_answers() {
    for seed in 0..256 {
        let mut choice = Rng::from_seed(seed);
        let (mut lifecycle, mut rng) = lifecycle();
        let mut now = Duration::ZERO;
        for _ in 0..300 {
            let Some((due, asked)) = lifecycle.next() else { break };
            assert!(
                due.saturating_sub(now) <= Duration::from_secs(700),
                "seed {seed}: {asked:?} waits too long"
            );
            now = now.max(due);
            let answer = match choice.below(40) {
                0 => Answer::Stale,
                1 => Answer::Never,
                2..6 => Answer::Unknown { after: (choice.below(2) == 0).then_some(NEXT) },
                6..14 => LATER,
                _ if matches!(asked, Ask::Leave { .. }) => Answer::Leaving,
                _ => up(1 + u64::from(choice.below(3))),
            };
            lifecycle.answered(answer, now, &mut rng);
            if answer == Answer::Stale {
                assert_eq!((lifecycle.end(), lifecycle.next()), (Some(End::Replaced), None), "seed {seed}");
            }
            if choice.below(50) == 0 {
                lifecycle.leave(Duration::from_secs(choice.below(60).into()), NEXT, now);
            }
        }
    }
}
