//! How one endpoint has fared: requests in flight, failures in a row, ejections. It outlives changes of weights and tags,
//! and ends with the process that it is of.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fulcrum_balance::outlier::{HardDown, Outlier, OutlierPolicy};
use fulcrum_balance::{Share, slow_start};

/// How a request ended, as far as the endpoint is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Answered,
    /// It took too long to connect, answered 500, 502, 503 or 504, or broke off.
    Failed,
    /// It refused the connection: nobody listens there.
    Refused,
}

/// Times are since the start of the balancer.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    in_flight: AtomicU32,
    /// Milliseconds; [`HARD_DOWN`] while it refuses connections.
    out_until: AtomicU64,
    /// Failures that still count as load: what fails at once would look idle and attract everything.
    failed: AtomicU32,
    failed_until: AtomicU64,
    failing: Mutex<Failing>,
    /// When it came, unless it was there from the beginning.
    since: Option<Duration>,
    changes: Arc<Changes>,
}

/// How often any endpoint of a balancer was put out or taken back, apart from the end of ejections.
#[derive(Debug, Default)]
pub(crate) struct Changes(AtomicU64);

impl Changes {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug, Default)]
struct Failing {
    in_a_row: u32,
    outlier: Outlier,
    hard_down: HardDown,
}

impl Condition {
    /// One that starts slowly from then on, or not at all.
    pub(crate) fn new(since: Option<Duration>, changes: &Arc<Changes>) -> Self {
        Condition { since, changes: Arc::clone(changes), ..Condition::default() }
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What it has to do, with what it has failed to do a moment ago.
    pub(crate) fn load(&self, now: Duration) -> u32 {
        let counts = millis(now) < self.failed_until.load(Ordering::Relaxed);
        let failed = if counts { self.failed.load(Ordering::Relaxed) } else { 0 };
        self.in_flight().saturating_add(failed)
    }

    /// Whether nothing is known against it.
    pub(crate) fn is_healthy(&self, now: Duration) -> bool {
        self.out_until.load(Ordering::Relaxed) <= millis(now)
    }

    pub(crate) fn is_hard_down(&self) -> bool {
        self.out_until.load(Ordering::Relaxed) == HARD_DOWN
    }

    pub(crate) fn is_ejected(&self, now: Duration) -> bool {
        !self.is_healthy(now) && !self.is_hard_down()
    }

    /// When its ejection ends by itself, if it is ejected.
    pub(crate) fn ejected_until(&self, now: Duration) -> Option<Duration> {
        let until = self.out_until.load(Ordering::Relaxed);
        (until > millis(now) && until != HARD_DOWN).then(|| Duration::from_millis(until))
    }

    /// What is due to it, apart from failures.
    pub(crate) fn share(&self, now: Duration, window: Duration) -> Share {
        self.since.map_or(Share::FULL, |since| slow_start::ramp(now.saturating_sub(since), window))
    }

    /// It answered, or took a connection.
    pub(crate) fn answered(&self) {
        let mut failing = self.failing();
        failing.in_a_row = 0;
        if failing.hard_down.connected() {
            self.put_out(0);
        }
    }

    /// It failed. `may_eject` is asked when it has done so too often.
    pub(crate) fn failed(&self, now: Duration, policy: &OutlierPolicy, may_eject: impl FnOnce() -> bool) {
        self.weigh(now);
        let mut failing = self.failing();
        failing.in_a_row = failing.in_a_row.saturating_add(1);
        let is_too_often = failing.in_a_row >= policy.consecutive_errors.get();
        if is_too_often && !failing.hard_down.is_down() && may_eject() {
            failing.in_a_row = 0;
            let until = failing.outlier.eject(now, policy);
            self.put_out(millis(until).min(HARD_DOWN - 1));
        }
    }

    /// It refused a connection. Whether it is down by this.
    pub(crate) fn refused(&self, now: Duration) -> bool {
        self.weigh(now);
        let is_down = self.failing().hard_down.refused();
        if is_down {
            self.put_out(HARD_DOWN);
        }
        is_down
    }

    /// Whoever sees the count sees what was counted.
    fn put_out(&self, until: u64) {
        self.out_until.store(until, Ordering::Relaxed);
        self.changes.0.fetch_add(1, Ordering::Release);
    }

    fn weigh(&self, now: Duration) {
        let until = self.failed_until.swap(millis(now + FAILED_COUNTS), Ordering::Relaxed);
        if until <= millis(now) {
            self.failed.store(1, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn failing(&self) -> MutexGuard<'_, Failing> {
        // Nothing is done with the lock that could leave it half done.
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const HARD_DOWN: u64 = u64::MAX;

/// How long a failed request counts as in flight.
const FAILED_COUNTS: Duration = Duration::from_secs(1);
