//! Endpoints that fail the traffic they get: put out for a while, longer each time; and endpoints that refuse connections.

use std::num::NonZeroU32;
use std::time::Duration;

/// When to eject an endpoint, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierPolicy {
    /// Gateway errors and failed connects in a row until an endpoint is ejected. The caller counts them.
    pub consecutive_errors: NonZeroU32,
    /// How long the first time; twice as long the second time in a row, and so on.
    pub eject: Duration,
    /// How long at most.
    pub max_eject: Duration,
    /// Most endpoints of a service that are out at one time, in percent. One may be in any case.
    pub max_ejected_percent: u8,
}

/// The ejections of one endpoint. Times are since any fixed moment.
#[derive(Clone, Debug, Default)]
pub struct Outlier {
    /// Ejections in a row when the last one began.
    count: u32,
    /// The end of the last one.
    until: Option<Duration>,
    /// Checks that have passed since it began.
    passed: u32,
}

impl Outlier {
    /// Ejects the endpoint and gives the end of it. Errors of requests that were on their way do not prolong an ejection.
    pub fn eject(&mut self, now: Duration, policy: &OutlierPolicy) -> Duration {
        if let Some(until) = self.until.filter(|&until| now < until) {
            return until;
        }
        // More than reach the longest would only take longer to be forgotten.
        let most = periods(policy.max_eject, policy.eject).saturating_add(1);
        self.count = self.count(now, policy).saturating_add(1).min(most);
        let length = policy.eject.saturating_mul(self.count).min(policy.max_eject);
        let until = now.saturating_add(length);
        self.until = Some(until);
        self.passed = 0;
        until
    }

    /// Takes a check that passed, though nothing was wrong with it before. True when it ends an ejection: one check ends the
    /// first, two the second in a row, three the third, because that check does not see what traffic sees.
    pub fn check_passed(&mut self, now: Duration) -> bool {
        if !self.is_ejected(now) {
            return false;
        }
        self.passed = self.passed.saturating_add(1);
        let is_over = self.passed >= self.count;
        if is_over {
            self.until = Some(now);
        }
        is_over
    }

    /// Ejections in a row: each period of [`OutlierPolicy::eject`] without one, after the end of the last, takes one away.
    pub fn count(&self, now: Duration, policy: &OutlierPolicy) -> u32 {
        let healthy = self.until.map_or(Duration::ZERO, |until| now.saturating_sub(until));
        self.count.saturating_sub(periods(healthy, policy.eject))
    }

    /// Whether the endpoint is out now.
    pub fn is_ejected(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// The end of the last ejection, which may be over. None if there was none since the endpoint was restored.
    pub fn until(&self) -> Option<Duration> {
        self.until
    }

    /// Lets the endpoint in again and forgets its ejections: an active check has seen what was wrong, and the end of it.
    pub fn restore(&mut self) {
        *self = Self::default();
    }
}

/// How often `period` fits into `time`. A period of zero counts as a nanosecond.
fn periods(time: Duration, period: Duration) -> u32 {
    u32::try_from(time.as_nanos() / period.as_nanos().max(1)).unwrap_or(u32::MAX)
}

/// Whether one more endpoint of a service may be ejected: up to the given part of all, but at least one, and never the last
/// that is in.
pub fn may_eject(ejected: usize, total: usize, max_ejected_percent: u8) -> bool {
    let most = (total.saturating_mul(usize::from(max_ejected_percent)) / 100).max(1);
    ejected < most && ejected.saturating_add(1) < total
}

/// An endpoint that refuses connections. Nobody listens there, which is surer than an error and cheaper to try again: it is
/// passed over without a time limit, and beyond the limit of [`may_eject`], until a connect succeeds.
#[derive(Clone, Debug, Default)]
pub struct HardDown {
    refusals: u32,
}

/// Refused connects in a row until an endpoint is hard down. Two happen while a process restarts.
pub const REFUSALS: u32 = 3;

impl HardDown {
    /// Counts a refused connect. True when the endpoint is hard down by this one.
    pub fn refused(&mut self) -> bool {
        self.refusals = self.refusals.saturating_add(1);
        self.refusals == REFUSALS
    }

    /// Takes a connect that succeeded. True when the endpoint was hard down until now.
    pub fn connected(&mut self) -> bool {
        let was_down = self.is_down();
        self.refusals = 0;
        was_down
    }

    /// Whether the last connects were refused.
    pub fn is_down(&self) -> bool {
        self.refusals >= REFUSALS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::Rng;

    fn policy(eject: u64, max_eject: u64) -> OutlierPolicy {
        OutlierPolicy {
            consecutive_errors: NonZeroU32::MIN,
            eject: Duration::from_secs(eject),
            max_eject: Duration::from_secs(max_eject),
            max_ejected_percent: 10,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn ejections_in_a_row_last_longer() {
        // When it is ejected, and how long for.
        let check = |rows: &[(u64, u64)]| {
            let policy = policy(30, 100);
            let mut outlier = Outlier::default();
            for &(now, expected) in rows {
                assert_eq!(outlier.eject(at(now), &policy), at(now + expected), "{rows:?} at {now}");
                assert_eq!(outlier.until(), Some(at(now + expected)));
                assert!(outlier.is_ejected(at(now)) && outlier.is_ejected(at(now + expected - 1)));
                assert!(!outlier.is_ejected(at(now + expected)));
            }
        };
        check(&[(0, 30)]);
        check(&[(5, 30), (35, 60), (95, 90), (185, 100), (285, 100)]);
        // 29 s of health forget nothing, 30 s one, 59 s one, 60 s two ejections.
        check(&[(0, 30), (59, 60)]);
        check(&[(0, 30), (60, 30)]);
        check(&[(0, 30), (30, 60), (149, 60)]);
        check(&[(0, 30), (30, 60), (150, 30)]);
        // However often it was ejected, what counts is what reaches the longest: four.
        check(&[(0, 30), (30, 60), (90, 90), (180, 100), (280, 100), (380, 100), (570, 60)]);
    }

    #[test]
    fn late_errors_do_not_prolong() {
        let mut outlier = Outlier::default();
        assert_eq!(outlier.eject(at(10), &policy(30, 300)), at(40));
        assert_eq!(outlier.eject(at(39), &policy(30, 300)), at(40));
        assert_eq!(outlier.count(at(39), &policy(30, 300)), 1);
    }

    #[test]
    fn restored_is_as_new() {
        let mut outlier = Outlier::default();
        outlier.eject(at(0), &policy(30, 300));
        outlier.eject(at(30), &policy(30, 300));
        outlier.restore();
        assert!(!outlier.is_ejected(at(31)));
        assert_eq!((outlier.until(), outlier.count(at(31), &policy(30, 300))), (None, 0));
        assert_eq!(outlier.eject(at(31), &policy(30, 300)), at(61));
    }

    #[test]
    fn checks_end_ejections_ever_later() {
        // Ejected at each time given, checked every two seconds: how many checks it takes.
        let check = |rows: &[(u64, u32)]| {
            let policy = policy(30, 300);
            let mut outlier = Outlier::default();
            for &(start, expected) in rows {
                outlier.eject(at(start), &policy);
                let ends = (1..).find(|&number| outlier.check_passed(at(start + 2 * number)));
                let ends = ends.expect("it ends") as u32;
                assert_eq!(ends, expected, "{rows:?} at {start}");
                assert!(!outlier.is_ejected(at(start + 2 * u64::from(ends))));
            }
            assert!(!outlier.check_passed(at(10_000)), "there is none to end");
        };
        check(&[(0, 1)]);
        check(&[(0, 1), (5, 2), (15, 3), (40, 4)]);
        // Half a minute without forgets one.
        check(&[(0, 1), (5, 2), (45, 2)]);
        check(&[(0, 1), (40, 1)]);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut outlier = Outlier::default();
        assert_eq!(outlier.eject(at(5), &policy(0, 0)), at(5));
        assert_eq!(outlier.eject(at(5), &policy(0, u64::MAX)), at(5));
        assert_eq!(outlier.eject(Duration::MAX, &policy(u64::MAX, u64::MAX)), Duration::MAX);
    }

    #[test]
    fn at_most_a_part_and_never_the_last() {
        let check = |ejected, total, percent, expected| {
            assert_eq!(may_eject(ejected, total, percent), expected, "{ejected} of {total}, {percent} %");
        };
        check(0, 0, 10, false);
        check(0, 1, 10, false);
        check(0, 1, 100, false);
        check(0, 2, 10, true);
        check(1, 2, 10, false);
        check(1, 2, 100, false);
        check(0, 2, 0, true);
        check(0, 19, 10, true);
        check(1, 19, 10, false);
        check(1, 20, 10, true);
        check(2, 20, 10, false);
        check(18, 20, 100, true);
        check(19, 20, 100, false);
        check(usize::MAX, usize::MAX, u8::MAX, false);
    }

    proptest! {
        #[test]
        fn ejection_stops_at_its_bounds(total in 0usize..500, percent in 0u8..=100) {
            let ejected = (0..).find(|&ejected| !may_eject(ejected, total, percent)).expect("it stops");
            prop_assert!(ejected == 0 || ejected < total);
            prop_assert!(ejected <= 1 || ejected * 100 <= total * usize::from(percent));
            prop_assert_eq!(ejected == 0, total < 2);
        }
    }

    #[test]
    fn three_refusals_in_a_row_are_hard_down() {
        // r: refused, c: connected; capitals where the answer is true.
        let check = |expected: &str| {
            let mut endpoint = HardDown::default();
            let told: String = expected
                .chars()
                .map(|event| match event.to_ascii_lowercase() {
                    'r' if endpoint.refused() => 'R',
                    'r' => 'r',
                    _ if endpoint.connected() => 'C',
                    _ => 'c',
                })
                .collect();
            assert_eq!(told, expected);
            let refused = expected.chars().rev().take_while(|event| *event != 'c' && *event != 'C').count();
            assert_eq!(endpoint.is_down(), refused >= 3, "{expected}");
        };
        check("rr");
        check("rrc");
        check("rrcrr");
        check("rrR");
        check("rrRrrr");
        check("rrRC");
        check("rrRCcrrRrC");
    }

    proptest! {
        /// Endpoints that fail at random are ejected within the bounds and all come back.
        #[test]
        fn a_service_under_noise_keeps_its_invariants(
            seed: u64, total in 1usize..40, percent in prop::sample::select(vec![0u8, 10, 50, 100]),
        ) {
            let policy = OutlierPolicy { max_ejected_percent: percent, ..policy(30, 300) };
            let mut rng = Rng::from_seed(seed);
            let mut endpoints = vec![Outlier::default(); total];
            for now in (0..3_000).map(at) {
                let ejected = endpoints.iter().filter(|endpoint| endpoint.is_ejected(now)).count();
                let most = (total * usize::from(percent) / 100).max(1).min(total - 1);
                prop_assert!(ejected <= most, "{ejected} of {total} are out");
                let index = rng.below(total as u32) as usize;
                match rng.below(8) {
                    0..5 if !endpoints[index].is_ejected(now) && may_eject(ejected, total, percent) => {
                        let until = endpoints[index].eject(now, &policy);
                        prop_assert!(until >= now + policy.eject && until <= now + policy.max_eject);
                    }
                    7 => endpoints[index].restore(),
                    _ => {}
                }
            }
            prop_assert!(!endpoints.iter().any(|endpoint| endpoint.is_ejected(at(3_300))));
            prop_assert!(endpoints.iter().all(|endpoint| endpoint.count(at(3_600), &policy) == 0));
        }
    }
}
