//! Durations counted in buckets of less than one percent each, so that percentiles of millions of requests take a
//! fixed 60 KiB and merge by addition.

use std::time::Duration;

/// Buckets per power of two: a bucket is at most 1/128 of its value wide.
const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// One linear run up to `STEPS`, then `STEPS` buckets for each remaining power of two of a `u64`.
const BUCKETS: usize = (STEPS as usize) * (64 - STEP_BITS as usize + 1);

/// A logarithmic histogram of durations in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    max: u64,
}

impl Histogram {
    /// Without values.
    pub(crate) fn new() -> Self {
        Histogram { buckets: vec![0; BUCKETS].into(), count: 0, max: 0 }
    }

    /// Counts one duration.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanoseconds)] += 1;
        self.count += 1;
        self.max = self.max.max(nanoseconds);
    }

    /// Adds all that `other` counted.
    pub(crate) fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The largest, exactly.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The duration that `fraction` (0 to 1) of all are no longer than: the upper edge of its bucket, at most the
    /// largest. Zero without values.
    pub(crate) fn percentile(&self, fraction: f64) -> Duration {
        let rank = ((self.count as f64 * fraction).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let reached = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        Duration::from_nanos(reached.map_or(0, |index| upper_edge(index).min(self.max)))
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let exponent = value.ilog2() - STEP_BITS; // the value shifted by this lies in STEPS..2*STEPS
    (u64::from(exponent) * STEPS + (value >> exponent)) as usize
}

fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let exponent = bucket / STEPS - 1;
    let first = (bucket - exponent * STEPS) << exponent;
    first + ((1 << exponent) - 1)
}
