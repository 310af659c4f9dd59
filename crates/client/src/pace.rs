//! How long to wait: for the next heartbeat, and after failures. Whatever many do after the same event is spread.

use std::time::Duration;

use fulcrum_balance::Rng;

/// Waits that double with each failure in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Backoff { first, longest: longest.max(first), failures: 0 }
    }

    /// The wait after one more failure: at least half of a time that doubles, the rest at random.
    pub(crate) fn failed(&mut self, rng: &mut Rng) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1).min(MOST_DOUBLINGS);
        let whole = self.first.saturating_mul(factor).min(self.longest);
        whole / 2 + part(whole / 2, rng)
    }

    /// The same where the other side has said how long to wait: not less, and up to a tenth more.
    pub(crate) fn failed_until(&mut self, after: Option<Duration>, rng: &mut Rng) -> Duration {
        let own = self.failed(rng);
        match after.map(|after| after.min(LONGEST_WORD)) {
            Some(after) => own.max(after + part(after / 10, rng)),
            None => own,
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// The wait for the next heartbeat: what the registry said, or up to a tenth less. Never more: its word leaves time for two
/// more heartbeats before the lease ends, and is to go on doing so.
pub(crate) fn beat(next: Duration, rng: &mut Rng) -> Duration {
    let next = next.clamp(SHORTEST_BEAT, LONGEST_BEAT);
    next - part(next / 10, rng)
}

/// The wait for the first heartbeat after a registration: anything up to the usual one, because many may have registered
/// at the same time.
pub(crate) fn first_beat(next: Duration, rng: &mut Rng) -> Duration {
    part(next.clamp(SHORTEST_BEAT, LONGEST_BEAT), rng)
}

/// A random part of a time, in microseconds.
pub(crate) fn part(whole: Duration, rng: &mut Rng) -> Duration {
    let micros = u32::try_from(whole.as_micros()).unwrap_or(u32::MAX);
    Duration::from_micros(rng.below(micros.saturating_add(1)).into())
}

/// Any more would overflow the factor.
const MOST_DOUBLINGS: u32 = 31;

/// An answer that says less is a mistake, and would have us run in circles.
const SHORTEST_BEAT: Duration = Duration::from_millis(100);

/// A third of the longest lease is 8 h; [`part`] can do an hour, and nobody minds more heartbeats.
const LONGEST_BEAT: Duration = Duration::from_secs(3600);

/// `Retry-After` says seconds or minutes; whoever says a day is not believed.
const LONGEST_WORD: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut rng = Rng::from_seed(1);
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        for whole in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000] {
            let wait = backoff.failed(&mut rng).as_millis();
            assert!((whole / 2..=whole).contains(&wait), "{wait} of {whole}");
        }
        (0..100).for_each(|_| assert!(backoff.failed(&mut rng) <= Duration::from_secs(30)));
        backoff.succeeded();
        assert!(backoff.failed(&mut rng) <= Duration::from_millis(500));
    }

    #[test]
    fn a_word_of_the_other_side_counts() {
        let mut rng = Rng::from_seed(2);
        let mut wait = |after: u64| {
            let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
            backoff.failed_until(Some(Duration::from_secs(after)), &mut rng)
        };
        for after in [1, 7, 60, 600] {
            let wait = wait(after).as_secs_f64();
            assert!((after as f64..=after as f64 * 1.1).contains(&wait), "{wait} of {after}");
        }
        assert!(wait(86_400) <= Duration::from_secs(660));
        assert!(wait(0) <= Duration::from_millis(500));
    }

    proptest! {
        #[test]
        fn heartbeats_are_never_late(next in 100u64..3_600_000, seed: u64) {
            let mut rng = Rng::from_seed(seed);
            let next = Duration::from_millis(next);
            let wait = beat(next, &mut rng);
            prop_assert!(wait <= next && wait >= next * 9 / 10, "{wait:?} of {next:?}");
            prop_assert!(first_beat(next, &mut rng) <= next);
        }
    }

    #[test]
    fn nonsense_is_bounded() {
        let mut rng = Rng::from_seed(3);
        assert!(beat(Duration::ZERO, &mut rng) >= Duration::from_millis(90));
        assert!(beat(Duration::MAX, &mut rng) <= Duration::from_secs(3600));
    }

    #[test]
    fn the_first_heartbeat_comes_at_any_time() {
        let mut rng = Rng::from_seed(4);
        let next = Duration::from_secs(10);
        let early = (0..10_000).filter(|_| first_beat(next, &mut rng) < next / 2).count();
        assert!((4_800..5_200).contains(&early), "{early} of 10000 are early");
    }
}
