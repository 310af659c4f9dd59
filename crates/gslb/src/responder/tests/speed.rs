//! How long a change takes among very many names.

use std::time::Instant;

use super::*;

/// `cargo test --release -p fulcrum-gslb hundred_thousand -- --ignored --nocapture`: only a release is measured.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "a measurement")]
fn a_change_among_a_hundred_thousand_names_is_answered_at_once() {
    let mut text = String::new();
    for number in 0..100_000 {
        let [_, high, middle, low] = u32::to_be_bytes(number);
        let health = if number < 10 { format!(", health: {HEALTH}") } else { String::new() };
        let _ = writeln!(
            text,
            "        n{number}: {{ policy: failover, regions: {{ eu: [10.{high}.{middle}.{low}], us: [11.{high}.{middle}.{low}] }}{health} }}"
        );
    }
    let mut state = State::new(next(&gslb(&text)), 1, None, at(0));
    let mut follow = |what: &str, change: &dyn Fn(&mut State)| {
        change(&mut state);
        let began = Instant::now();
        let job = state.job().expect("something has changed");
        let (looked, built) = (began.elapsed(), Instant::now());
        let answers = job.build();
        let (built, put) = (built.elapsed(), Instant::now());
        state.answer_with(&job, &answers, at(1));
        println!(
            "{what}: {} names: looked in {looked:?}, built in {built:?}, put in force in {:?}",
            job.names(),
            put.elapsed()
        );
        (job.names(), looked + put.elapsed())
    };
    follow("the first time", &|_| {});
    let fails = |state: &mut State| {
        let target = *state.targets.keys().next().expect("some are checked");
        state.checked(target, Err("refused".to_owned()), at(1));
    };
    let (names, locked) = follow("a target", &fails);
    assert!(names == 1 && locked < Duration::from_millis(1), "{locked:?}");
    let down = |state: &mut State| {
        let order = Order { forced: Forced::Down, until: at(1000).wall, reason: "a test".into() };
        let region = crate::Region::new(0).expect("the first one");
        state
            .judge
            .as_mut()
            .expect("there are regions")
            .order(region, order, at(1))
            .expect("it can be ordered");
    };
    let (names, locked) = follow("a region", &down);
    assert!(names == 100_000 && locked < Duration::from_millis(50), "{locked:?}");
}
