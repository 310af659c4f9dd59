//! What an upstream can do wrong, side by side with HAProxy: both proxies stand in front of the same processes, under the
//! same verified load, while one of them (or all) fails and comes back. The rows that these tests print are the table in
//! docs/resilience.md; `cargo test --release -p fulcrum --test e2e soak::failures -- --ignored --test-threads=1` prints
//! them alone.

mod backend;
mod kill;
mod load;
mod measure;
mod network;
mod process;
mod proxies;
mod stage;

use std::time::Duration;

use backend::Manner;
use measure::Figures;
use network::Network;
use process::Process;
use proxies::Wish;
use stage::{DURING, Outcome, Script, Stage};

/// Shows the rows and judges them: nothing is done twice, nobody else notices, and HAProxy is no better.
#[track_caller]
fn judge(what: &str, outcome: &Outcome) {
    judge_losses(what, outcome);
    let Outcome { fulcrum, haproxy } = outcome;
    assert!(fulcrum.converged <= haproxy.converged + LATER, "convergence: {outcome:?}");
    assert_returns(fulcrum, haproxy);
}

/// The same where there is nothing to converge to.
#[track_caller]
fn judge_losses(what: &str, outcome: &Outcome) {
    judge_others(what, outcome);
    let Outcome { fulcrum, haproxy } = outcome;
    let failed = |figures: &Figures| figures.gets + figures.posts;
    assert!(failed(fulcrum) <= failed(haproxy) + CHANCE, "failed requests: {outcome:?}");
    assert!(fulcrum.posts <= haproxy.posts + CHANCE, "failed POSTs: {outcome:?}");
}

/// Shows the rows: nothing is done twice, and nobody else notices.
#[track_caller]
fn judge_others(what: &str, outcome: &Outcome) {
    outcome.print(what);
    let Outcome { fulcrum, haproxy } = outcome;
    assert_eq!(fulcrum.twice, 0, "POSTs done twice");
    let second = &fulcrum.second;
    assert_eq!(second.failed, 0, "of {} requests to the second service", second.requests);
    // Whatever else the machine does, HAProxy feels as well.
    let bound = (second.p99_before + NOTICED).max(haproxy.second.p99_during * 2);
    assert!(second.p99_during <= bound, "the second service notices: {second:?}");
}

/// The phase of the checks is chance: who comes back is asked again within five and a half seconds.
#[track_caller]
fn assert_returns(fulcrum: &Figures, haproxy: &Figures) {
    let bound = haproxy.first.unwrap_or(Duration::MAX).max(Duration::from_millis(6500));
    assert!(fulcrum.first.is_some_and(|first| first <= bound), "return: {fulcrum:?} {haproxy:?}");
}

/// The first upstream behaves like this for a while.
fn misbehaves(manner: Manner, wish: Wish) -> Outcome {
    Stage::new(wish).run(|script| {
        script.fail(0..1, |process| process.behave(manner));
        script.last();
        script.recover(0..1, |process| process.behave(Manner::Well));
    })
}

/// These are killed, and started again.
fn die(script: &mut Script<'_>, which: std::ops::Range<usize>) {
    script.fail(which.clone(), Process::kill);
    script.last();
    script.recover(which, Process::revive);
}

fn freezes(script: &mut Script<'_>) {
    script.fail(0..1, |process| process.freeze());
    script.last();
    script.recover(0..1, |process| process.thaw());
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_freezes() {
    judge("1 freezes (SIGSTOP)", &Stage::new(Wish::Nothing).run(freezes));
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_freezes_with_a_timeout() {
    judge("1 freezes, timeout 2s", &Stage::new(Wish::Within("2s")).run(freezes));
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_never_answers() {
    judge("2 accepts, never answers", &misbehaves(Manner::Mute, Wish::Nothing));
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_answers_nothing_but_its_check() {
    judge(
        "2 never answers but its check, timeout 2s",
        &misbehaves(Manner::MuteBehindItsCheck, Wish::Within("2s")),
    );
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_answers_500() {
    judge("3 answers 500", &misbehaves(Manner::Error, Wish::Nothing));
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_answers_500_but_to_its_check() {
    judge("3 answers 500 but to its check", &misbehaves(Manner::ErrorBehindItsCheck, Wish::Nothing));
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_answers_503() {
    judge("3 answers 503", &misbehaves(Manner::Unavailable, Wish::NoUnavailable));
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_answers_503_but_to_its_check() {
    judge(
        "3 answers 503 but to its check",
        &misbehaves(Manner::UnavailableBehindItsCheck, Wish::NoUnavailable),
    );
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_is_killed() {
    judge("4 is killed (SIGKILL), refuses", &Stage::new(Wish::Nothing).run(|script| die(script, 0..1)));
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_breaks_off_its_responses() {
    judge("5 resets in mid-response", &misbehaves(Manner::Breaking, Wish::Nothing));
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_breaks_off_its_responses_but_to_its_check() {
    judge(
        "5 resets in mid-response but not to its check",
        &misbehaves(Manner::BreakingBehindItsCheck, Wish::Nothing),
    );
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn one_flaps() {
    let outcome = Stage::new(Wish::Nothing).run(|script| {
        script.fail(0..1, |_| ());
        for _ in 0..DURING.as_secs() / 2 {
            script.main[0].kill();
            std::thread::sleep(Duration::from_secs(1));
            script.main[0].revive();
            std::thread::sleep(Duration::from_secs(1));
        }
        script.recover(0..1, |_| ());
    });
    judge_losses("6 flaps every second", &outcome);
}

#[test]
#[ignore = "takes 25 s beside HAProxy, and root"]
fn one_vanishes() {
    let network = Network::new();
    let red =
        |directory: &std::path::Path| Process::start_by(network.prefix(), "red", &network.far(), directory);
    let outcome = Stage::with(Wish::Nothing, red).run(|script| {
        script.fail(0..1, |_| network.lose());
        script.last();
        script.recover(0..1, |_| network.restore());
    });
    judge("7 vanishes (packets are lost)", &outcome);
}

#[test]
#[ignore = "takes 25 s beside HAProxy"]
fn all_die() {
    judge("8 all die", &Stage::new(Wish::Nothing).run(|script| die(script, 0..3)));
}

/// Requests more or less that fail by chance.
const CHANCE: usize = 5;
/// How much later, by the phase of the checks.
const LATER: Duration = Duration::from_millis(1500);
/// What the second service's slowest requests vary by on a busy machine.
const NOTICED: Duration = Duration::from_millis(50);
