//! When so few endpoints are healthy that health is no longer believed: better all of them than too few under the whole
//! load.

/// When a service panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanicPolicy {
    /// Panic while less than this part is healthy, in percent. With 0 only when none is.
    pub below_percent: u8,
    /// In services of at least so many endpoints. In smaller ones a few dead endpoints are more likely than a mistaken
    /// check, and the traffic would revive them only to fail.
    pub at_least: usize,
}

/// Whether health is to be ignored: none of the endpoints is healthy, or too few of enough.
pub fn in_panic(healthy: usize, total: usize, policy: &PanicPolicy) -> bool {
    debug_assert!(healthy <= total);
    let below = healthy.saturating_mul(100) < total.saturating_mul(usize::from(policy.below_percent));
    total > 0 && (healthy == 0 || total >= policy.at_least && below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_of_enough_or_none_at_all() {
        let check = |healthy, total, below_percent, at_least, expected| {
            let policy = PanicPolicy { below_percent, at_least };
            assert_eq!(in_panic(healthy, total, &policy), expected, "{healthy} of {total}, {policy:?}");
        };
        check(0, 0, 50, 10, false);
        check(0, 0, 50, 0, false);
        check(0, 1, 50, 10, true);
        check(0, 1, 0, 10, true);
        check(1, 3, 50, 10, false);
        check(1, 9, 50, 10, false);
        check(4, 10, 50, 10, true);
        check(5, 10, 50, 10, false);
        check(5, 11, 50, 10, true);
        check(1, 10, 0, 10, false);
        check(9, 10, 100, 10, true);
        check(10, 10, 100, 10, false);
        check(1, 3, 50, 0, true);
    }
}
