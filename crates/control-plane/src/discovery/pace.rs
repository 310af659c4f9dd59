//! When to look again.

use std::time::Duration;

use fulcrum_balance::Rng;

/// How long to wait after this many failures in a row: 1 s, then twice as long each time, up to 30 s.
pub(super) fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY)
}

/// Nine to eleven tenths of a span, so that nobody marches in step.
pub(super) fn about(span: Duration, rng: &mut Rng) -> Duration {
    span * (900 + rng.below(201)) / 1000
}

/// Different in every process, so that daemons that start together do not ask together for ever.
pub(super) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_doubles_and_has_an_end() {
        let waits = [0, 1, 2, 3, 5, 6, 7, u32::MAX].map(|failures| backoff(failures).as_secs());
        assert_eq!(waits, [1, 1, 2, 4, 16, 30, 30, 30]);
        let mut rng = Rng::from_seed(1);
        let spans: Vec<u128> = (0..1000).map(|_| about(LAST_RETRY, &mut rng).as_millis()).collect();
        assert!(spans.iter().all(|span| (27_000..=33_000).contains(span)), "{spans:?}");
        assert!(spans.iter().min() < Some(&27_300) && spans.iter().max() > Some(&32_700));
    }
}
