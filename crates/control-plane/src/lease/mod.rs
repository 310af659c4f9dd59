//! Leases: until when an instance stays registered without another heartbeat. To renew one is a single store; whose
//! lease has run out is found by a wheel that looks at each lease about once in its life.
//!
//! Pure: the time is an argument, counted from any fixed moment by a monotonic clock.

mod clock;
mod wheel;

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fulcrum_model::{LoadReports, Weight};

pub use clock::{LeaseClock, PATIENCE, TICK};
pub use wheel::Wheel;

/// One registration's right to stay, shared by who renews it and who looks after it.
#[derive(Debug)]
pub struct Lease {
    /// The registration that it is of.
    pub epoch: u64,
    /// Milliseconds of the lease clock.
    deadline: AtomicU64,
    /// How much each renewal adds, in milliseconds.
    ttl: u32,
    /// Requests under way, as the instance counts them; [`SILENT`] when it does not.
    in_flight: AtomicU32,
    /// The share of its processors that it uses, as the bits of an `f32`; not a number when it does not say.
    cpu: AtomicU32,
    /// The weight that the instance last said; [`UNSAID`] when it has said none.
    weight: AtomicU16,
    /// The writer has been told of a weight, and has not looked since.
    is_weighed: AtomicBool,
    /// From when on its weight may be another one again, in milliseconds of the lease clock.
    weigh_after: AtomicU64,
    /// Who listens to what has been reported; made when somebody wants to.
    reports: OnceLock<Arc<LoadReports>>,
}

impl Lease {
    /// A lease that begins now.
    pub fn new(epoch: u64, ttl: Duration, now: Duration) -> Self {
        let ttl = u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX);
        Lease {
            epoch,
            deadline: AtomicU64::new(millis(now) + u64::from(ttl)),
            ttl,
            in_flight: AtomicU32::new(SILENT),
            cpu: AtomicU32::new(f32::NAN.to_bits()),
            weight: AtomicU16::new(UNSAID),
            is_weighed: AtomicBool::new(false),
            weigh_after: AtomicU64::new(0),
            reports: OnceLock::new(),
        }
    }

    /// A heartbeat: it lasts for another time-to-live from now.
    pub fn renew(&self, now: Duration) {
        self.deadline.store(millis(now) + u64::from(self.ttl), Ordering::Relaxed);
    }

    /// Until when it lasts.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline.load(Ordering::Relaxed))
    }

    /// How long it lasts without a renewal.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl.into())
    }

    /// Whether it has run out.
    pub fn is_lapsed(&self, now: Duration) -> bool {
        self.deadline() <= now
    }

    /// The instance says what it has to do. What it does not say stays as it said last.
    pub fn report(&self, load: Load) {
        if let Some(in_flight) = load.in_flight {
            self.in_flight.store(in_flight.min(SILENT - 1), Ordering::Relaxed);
        }
        if let Some(cpu) = load.cpu {
            self.cpu.store(cpu.to_bits(), Ordering::Relaxed);
        }
    }

    /// Requests under way as the instance last said; `None` before it has.
    pub fn in_flight(&self) -> Option<u32> {
        Some(self.in_flight.load(Ordering::Relaxed)).filter(|&count| count != SILENT)
    }

    /// Where to listen to what the instance reports.
    pub fn reports(&self) -> &Arc<LoadReports> {
        self.reports.get_or_init(Arc::default)
    }

    /// Where somebody listens to what the instance reports, if anybody ever wanted to.
    pub fn listened(&self) -> Option<&LoadReports> {
        self.reports.get().map(|reports| &**reports)
    }

    /// The instance says what it weighs. Whether the writer is to be told of it: not when it has said so before, and only
    /// once until the writer [looks](Self::weighed), which then sees what was said last.
    pub fn weigh(&self, weight: Weight) -> bool {
        if self.weight.load(Ordering::Relaxed) == weight.get() {
            return false;
        }
        self.weight.store(weight.get(), Ordering::Relaxed);
        // Behind the weight: who looks afterwards sees it, who has looked before is told once more.
        !self.is_weighed.swap(true, Ordering::AcqRel)
    }

    /// What the instance weighs, as it last said: for the writer, who is told of what is said from now on.
    pub fn weighed(&self) -> Option<Weight> {
        self.is_weighed.swap(false, Ordering::AcqRel);
        Weight::new(self.weight.load(Ordering::Relaxed))
    }

    /// What it said of its weight came to nothing: it may say it again.
    pub fn unweigh(&self) {
        self.weight.store(UNSAID, Ordering::Relaxed);
    }

    /// Its weight has changed by what it said, now.
    pub fn has_changed_weight(&self, now: Duration) {
        self.weigh_after.store(millis(now + WEIGHED_EVERY), Ordering::Relaxed);
    }

    /// Whether its weight may change by what it says: not when it has a moment ago.
    pub fn may_change_weight(&self, now: Duration) -> bool {
        millis(now) >= self.weigh_after.load(Ordering::Relaxed)
    }

    /// The share of its processors that it uses, as it last said; `None` before it has.
    pub fn cpu(&self) -> Option<f32> {
        Some(f32::from_bits(self.cpu.load(Ordering::Relaxed))).filter(|cpu| !cpu.is_nan())
    }
}

/// What an instance has to do, as far as it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Requests under way.
    pub in_flight: Option<u32>,
    /// The share of its processors that is used: 1 for all of them.
    pub cpu: Option<f32>,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

/// How often what an instance says may change its weight: heartbeats have no limit, and everyone who watches hears of it.
pub const WEIGHED_EVERY: Duration = Duration::from_secs(1);

/// No weight.
const UNSAID: u16 = 0;

/// The instance does not say what it has under way.
const SILENT: u32 = u32::MAX;

#[cfg(test)]
mod tests;
