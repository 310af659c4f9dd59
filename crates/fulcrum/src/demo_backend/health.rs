//! Whether a demo backend pretends to be sick, and until when.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Well until told otherwise.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Illness>);

#[derive(Clone, Copy, Debug, Default)]
enum Illness {
    #[default]
    None,
    Until(Instant),
    UntilHealed,
}

impl Health {
    /// Sick from now on, for a time or until healed.
    pub(crate) fn fall_ill(&self, now: Instant, time: Option<Duration>) {
        // A time beyond what the clock can hold is as good as forever.
        let until = time.and_then(|time| now.checked_add(time));
        self.set(until.map_or(Illness::UntilHealed, Illness::Until));
    }

    /// Well again.
    pub(crate) fn recover(&self) {
        self.set(Illness::None);
    }

    /// Whether it is sick at this moment.
    pub(crate) fn is_sick(&self, now: Instant) -> bool {
        match *self.lock() {
            Illness::None => false,
            Illness::Until(until) => now < until,
            Illness::UntilHealed => true,
        }
    }

    fn set(&self, illness: Illness) {
        *self.lock() = illness;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Illness> {
        // A whole value is replaced at once, so that a panic elsewhere leaves no half of it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_illness_ends_with_its_time() {
        let health = Health::default();
        let now = Instant::now();
        assert!(!health.is_sick(now));
        health.fall_ill(now, Some(Duration::from_secs(10)));
        assert!(health.is_sick(now + Duration::from_secs(9)));
        assert!(!health.is_sick(now + Duration::from_secs(10)));
        health.fall_ill(now, None);
        assert!(health.is_sick(now + Duration::from_secs(1_000_000)));
        health.fall_ill(now, Some(Duration::MAX));
        assert!(health.is_sick(now));
        health.recover();
        assert!(!health.is_sick(now));
    }
}
