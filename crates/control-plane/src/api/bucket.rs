//! A limit on how often something may be done: so many at once, then so many a second.
//!
//! Pure: the time is an argument.

use std::time::{Duration, Instant};

/// What is left to be spent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    left: f64,
    filled_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        Bucket { left: rate.into(), filled_at: now }
    }

    /// Takes one, where `rate` come in each second and as many are kept at most.
    ///
    /// # Errors
    /// There is none: how long until there is.
    pub(super) fn take(&mut self, rate: u32, now: Instant) -> Result<(), Duration> {
        if self.left(rate, now) < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.left) / f64::from(rate.max(1))));
        }
        self.left -= 1.0;
        Ok(())
    }

    /// How many there are now.
    pub(super) fn left(&mut self, rate: u32, now: Instant) -> f64 {
        let rate = f64::from(rate.max(1));
        let since = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = self.filled_at.max(now);
        self.left = (self.left + since * rate).min(rate);
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_seconds_worth_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, start);
        let count = |bucket: &mut Bucket, at: Duration| {
            (0..100).filter(|_| bucket.take(10, start + at).is_ok()).count()
        };
        assert_eq!(count(&mut bucket, Duration::ZERO), 10);
        let wait = bucket.take(10, start).expect_err("it is empty");
        assert_eq!(wait.as_millis(), 100);
        assert_eq!(count(&mut bucket, Duration::from_millis(550)), 5);
        assert_eq!(
            count(&mut bucket, Duration::from_secs(3600)),
            10,
            "no more than a second's worth is kept"
        );
        assert_eq!(count(&mut bucket, Duration::ZERO), 0, "a clock that goes back gives nothing");
    }
}
