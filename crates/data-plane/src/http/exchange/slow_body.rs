//! How fast a request body has to be.

use crate::timer::{Millis, NEVER};

/// The minimum rate of request bodies: a client that sends a byte now and then makes progress, but holds an upstream
/// connection for ever. Only time spent waiting for the client counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlowBody {
    bytes: u64,
    waited: Millis,
    waiting_since: Option<Millis>,
}

impl SlowBody {
    pub(super) fn waiting(&mut self, now: Millis) {
        self.waiting_since.get_or_insert(now);
    }

    pub(super) fn received(&mut self, count: usize, now: Millis) {
        self.bytes += count as u64;
        if let Some(since) = self.waiting_since.take() {
            self.waited += now.saturating_sub(since);
        }
    }

    /// When the body will have been too slow, unless more comes.
    pub(super) fn deadline(&self, body_idle: Millis) -> Millis {
        if body_idle == NEVER {
            return NEVER;
        }
        let allowed = SLOW_BODY_GRACE.max(self.bytes.saturating_mul(1000) / MIN_BODY_RATE);
        self.waiting_since.map_or(NEVER, |since| since + allowed.saturating_sub(self.waited))
    }
}

/// How long a body may trickle, in milliseconds of waiting for it.
const SLOW_BODY_GRACE: Millis = 30_000;
/// Bytes per second that a body must come with after the grace.
const MIN_BODY_RATE: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_trickles_is_slow_after_the_grace() {
        let mut slow = SlowBody::default();
        let mut now = 0;
        // 10 bytes a second.
        loop {
            slow.waiting(now);
            if slow.deadline(60_000) <= now + 1000 {
                break;
            }
            now += 1000;
            slow.received(10, now);
        }
        assert_eq!(now, 29_000);
    }

    #[test]
    fn a_body_above_the_rate_is_never_slow() {
        let mut slow = SlowBody::default();
        for second in 0..100_000 {
            slow.waiting(second * 1000);
            assert!(slow.deadline(60_000) > second * 1000 + 1000);
            slow.received(600, second * 1000 + 1000);
        }
    }

    #[test]
    fn time_that_we_do_not_wait_does_not_count() {
        let mut slow = SlowBody::default();
        slow.waiting(0);
        slow.received(1, 10);
        // The upstream takes nothing for an hour.
        slow.waiting(3_600_000);
        assert_eq!(slow.deadline(60_000), 3_600_000 + 29_990);
    }

    #[test]
    fn all_of_a_burst_counts() {
        let mut slow = SlowBody::default();
        let mut now = 0;
        for _ in 0..100 {
            slow.waiting(now);
            assert!(slow.deadline(60_000) > now + 5000, "at {now}");
            now += 5000;
            // A small chunk with the length of what follows, and what follows.
            slow.received(4, now);
            slow.received(10_000, now);
        }
    }
}
