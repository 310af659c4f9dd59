//! Active health of one endpoint: what its checks have shown so far, and when to check next.
//!
//! ```text
//!              passed                     fall × failed
//!   Unknown ───────────► Up ─────────────────────────────► Down
//!      │                  ▲          rise × passed          │ ▲
//!      │                  └─────────────────────────────────┘ │
//!      └──────────────────── fall × failed ───────────────────┘
//! ```
//!
//! The numbers are of checks in a row: one that says otherwise starts the count again.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::{Rng, scale};

/// What is held of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Not checked often enough to say.
    Unknown,
    /// It passes its checks.
    Up,
    /// It fails them.
    Down,
}

/// How many checks in a row change a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Passed checks until an endpoint that is down is up again. From unknown, one is enough.
    pub rise: NonZeroU32,
    /// Failed checks until an endpoint is down.
    pub fall: NonZeroU32,
}

/// The state of one endpoint's checks.
#[derive(Clone, Debug)]
pub struct Health {
    condition: Condition,
    streak: u32,
}

impl Health {
    /// Before the first check.
    pub fn unknown() -> Self {
        Self { condition: Condition::Unknown, streak: 0 }
    }

    /// What is held of the endpoint now.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Checks in a row that speak against the condition: failed ones, or passed ones when it is down.
    pub fn streak(&self) -> u32 {
        self.streak
    }

    /// Whether the condition may be about to change: unknown, or the last check spoke against it.
    pub fn in_transition(&self) -> bool {
        self.condition == Condition::Unknown || self.streak > 0
    }

    /// Takes the result of a check. Gives the new condition if it changes.
    pub fn observe(&mut self, passed: bool, thresholds: &Thresholds) -> Option<Condition> {
        let (against, threshold) = match self.condition {
            Condition::Unknown if passed => (Condition::Up, NonZeroU32::MIN),
            Condition::Down => (Condition::Up, thresholds.rise),
            Condition::Unknown | Condition::Up => (Condition::Down, thresholds.fall),
        };
        if passed != (against == Condition::Up) {
            self.streak = 0;
            return None;
        }
        self.streak += 1;
        // Not less: a reload may have lowered the threshold.
        if self.streak < threshold.get() {
            return None;
        }
        *self = Self { condition: against, streak: 0 };
        Some(against)
    }

    /// The time from one check to the next, before it is [`jittered`].
    pub fn interval(&self, intervals: &Intervals) -> Duration {
        match self.condition {
            _ if self.in_transition() => intervals.transition,
            Condition::Down => intervals.down,
            Condition::Unknown | Condition::Up => intervals.steady,
        }
    }
}

/// The time from one check to the next, by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// While nothing changes.
    pub steady: Duration,
    /// While the condition is unknown or about to change: to be sure soon.
    pub transition: Duration,
    /// While the endpoint is down: it is not served meanwhile, and may be struggling to start.
    pub down: Duration,
}

impl Intervals {
    /// The interval as configured, a quarter of it in transition, two and a half of it when down.
    pub fn of(interval: Duration) -> Self {
        Self { steady: interval, transition: interval / 4, down: interval.saturating_mul(5) / 2 }
    }
}

/// The interval up to a tenth shorter or longer, so that the checks of many endpoints, and of many balancers, do not come
/// all at once. Precise to the nanosecond up to 500 years.
pub fn jittered(interval: Duration, rng: &mut Rng) -> Duration {
    let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    let spread = nanos / 10;
    Duration::from_nanos((nanos - spread).saturating_add(scale(rng.next_u64(), 2 * spread + 1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn thresholds(rise: u32, fall: u32) -> Thresholds {
        let positive = |number| NonZeroU32::new(number).expect("the tests use positive numbers");
        Thresholds { rise: positive(rise), fall: positive(fall) }
    }

    fn after(checks: &str, thresholds: &Thresholds) -> (Health, String) {
        let mut health = Health::unknown();
        let told = checks.chars().map(|check| match health.observe(check == '+', thresholds) {
            None => '.',
            Some(Condition::Up) => 'U',
            Some(Condition::Down) => 'D',
            Some(Condition::Unknown) => '?',
        });
        let told = told.collect();
        (health, told)
    }

    #[test]
    fn conditions_follow_checks() {
        let check = |rise, fall, checks: &str, expected: &str| {
            assert_eq!(
                after(checks, &thresholds(rise, fall)).1,
                expected,
                "rise {rise}, fall {fall}: {checks}"
            );
        };
        check(2, 3, "+", "U");
        check(2, 3, "-+", ".U");
        check(2, 3, "--+", "..U");
        check(2, 3, "---", "..D");
        check(2, 3, "+--+---", "U.....D");
        check(2, 3, "----++", "..D..U");
        check(2, 3, "---+-++", "..D...U");
        check(2, 3, "---++---", "..D.U..D");
        check(1, 1, "+-+-", "UDUD");
        check(1, 1, "-+", "DU");
        check(5, 1, "-++++-+++++", "D.........U");
    }

    #[test]
    fn transition_is_a_state_of_doubt() {
        let check = |checks: &str, condition, streak, in_transition| {
            let health = after(checks, &thresholds(2, 3)).0;
            let found = (health.condition(), health.streak(), health.in_transition());
            assert_eq!(found, (condition, streak, in_transition), "{checks}");
        };
        check("", Condition::Unknown, 0, true);
        check("-", Condition::Unknown, 1, true);
        check("+", Condition::Up, 0, false);
        check("++", Condition::Up, 0, false);
        check("+-", Condition::Up, 1, true);
        check("+--", Condition::Up, 2, true);
        check("+--+", Condition::Up, 0, false);
        check("---", Condition::Down, 0, false);
        check("-----", Condition::Down, 0, false);
        check("---+", Condition::Down, 1, true);
        check("---+-", Condition::Down, 0, false);
    }

    #[test]
    fn a_lowered_threshold_counts_what_was_seen() {
        let (mut health, _) = after("+---", &thresholds(2, 9));
        assert_eq!(health.observe(false, &thresholds(2, 3)), Some(Condition::Down));
    }

    #[test]
    fn intervals_follow_the_state() {
        let intervals = Intervals::of(Duration::from_secs(2));
        let check = |checks: &str, millis| {
            let health = after(checks, &thresholds(2, 3)).0;
            assert_eq!(health.interval(&intervals), Duration::from_millis(millis), "{checks:?}");
        };
        check("", 500);
        check("+", 2_000);
        check("+-", 500);
        check("---", 5_000);
        check("---+", 500);
    }

    proptest! {
        #[test]
        fn a_change_takes_as_many_in_a_row(
            checks in prop::collection::vec(prop::bool::ANY, 1..80), rise in 1u32..6, fall in 1u32..6,
        ) {
            let thresholds = thresholds(rise, fall);
            let mut health = Health::unknown();
            for (done, &passed) in checks.iter().enumerate() {
                let before = health.clone();
                let same = checks[..=done].iter().rev().take_while(|&&check| check == passed).count();
                let changed = health.observe(passed, &thresholds);
                prop_assert_eq!(changed, Some(health.condition()).filter(|&now| now != before.condition()));
                let needed = match (before.condition(), changed) {
                    (_, None) => continue,
                    (Condition::Unknown, Some(Condition::Up)) => 1,
                    (_, Some(Condition::Up)) => rise,
                    (_, Some(_)) => fall,
                };
                prop_assert!(same >= needed as usize, "{same} of {needed} in a row");
                prop_assert_eq!(changed == Some(Condition::Up), passed);
            }
        }

        #[test]
        fn jitter_is_a_tenth(millis in 1u64..10_000_000, seed: u64) {
            let interval = Duration::from_millis(millis);
            let jittered = jittered(interval, &mut Rng::from_seed(seed));
            prop_assert!(jittered >= interval * 9 / 10 && jittered <= interval * 11 / 10, "{jittered:?}");
        }
    }

    #[test]
    fn jitter_spreads_evenly_and_never_overflows() {
        let mut rng = Rng::from_seed(1);
        let interval = Duration::from_secs(10);
        let early = (0..10_000).filter(|_| jittered(interval, &mut rng) < interval).count();
        assert!((4_800..5_200).contains(&early), "{early} of 10000 are early");
        assert_eq!(jittered(Duration::ZERO, &mut rng), Duration::ZERO);
        assert!(jittered(Duration::MAX, &mut rng) > Duration::from_secs(500 * 365 * 86_400));
    }
}
