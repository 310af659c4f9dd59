//! Requests that others have at an endpoint: what its instance reports without those that we have there ourselves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use fulcrum_model::{LoadListener, LoadReport, LoadReports};

use crate::endpoint::Endpoint;
use crate::timer::Millis;

/// How many there are, as far as that is news: one number, read with every pick. Usually nobody reports anything.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere(
    /// The count in the lower half; in the upper one until when it is news, in tenths of a second.
    AtomicU64,
);

impl Elsewhere {
    /// How many there are; none when nobody has said so for a while.
    pub(crate) fn at(&self, now: Millis) -> u32 {
        match self.0.load(Ordering::Relaxed) {
            0 => 0,
            news if now < (news >> 32) * TENTH => news as u32,
            _ => 0,
        }
    }

    /// So many there are, until this time since the data plane's start.
    fn set(&self, count: u32, until: Duration) {
        let tenths = u64::try_from(until.as_millis()).unwrap_or(u64::MAX).div_ceil(TENTH);
        let until = tenths.min(u64::from(u32::MAX));
        self.0.store(if count == 0 { 0 } else { (until << 32) | u64::from(count) }, Ordering::Relaxed);
    }

    /// Nobody has said anything.
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Listens to what an instance reports, for one endpoint, until dropped.
#[derive(Debug)]
pub(crate) struct Ear {
    /// What it listens to.
    reports: Arc<LoadReports>,
    endpoint: Weak<Endpoint>,
    /// What [`Millis`] count from.
    started: Instant,
}

impl Ear {
    /// Listens for this endpoint; what was heard before is forgotten: another process may have said it.
    pub(crate) fn open(reports: &Arc<LoadReports>, endpoint: &Arc<Endpoint>, started: Instant) -> Arc<Self> {
        endpoint.elsewhere.forget();
        let ear = Ear { reports: Arc::clone(reports), endpoint: Arc::downgrade(endpoint), started };
        let ear = Arc::new(ear);
        let listener: Weak<dyn LoadListener> = Arc::downgrade(&ear) as Weak<dyn LoadListener>;
        reports.add(listener);
        ear
    }

    /// Whether it listens to these.
    pub(crate) fn hears(&self, reports: &Arc<LoadReports>) -> bool {
        Arc::ptr_eq(&self.reports, reports)
    }

    /// A report that came at this time since the data plane's start.
    fn note(&self, report: LoadReport, now: Duration) {
        let Some(endpoint) = self.endpoint.upgrade() else { return };
        // Ours as of now: those of when the instance counted are not known, but heartbeats do not travel for long.
        let elsewhere = report.in_flight.saturating_sub(endpoint.in_flight());
        endpoint.elsewhere.set(elsewhere, now.saturating_add(report.valid_for));
    }
}

impl LoadListener for Ear {
    fn hear(&self, report: LoadReport) {
        self.note(report, self.started.elapsed());
    }
}

/// In milliseconds.
const TENTH: u64 = 100;

#[cfg(test)]
mod tests;
