//! What instances say of their load, on its way from whoever hears it to whoever sends them requests.

use std::fmt::Debug;
use std::sync::{PoisonError, RwLock, Weak};
use std::time::Duration;

/// What an instance has under way, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// Requests, whoever sent them.
    pub in_flight: u32,
    /// How long that is news.
    pub valid_for: Duration,
}

/// Someone who wants to hear what an instance reports.
pub trait LoadListener: Debug + Send + Sync {
    /// It has reported this just now. Called for every heartbeat: it must neither block nor be slow.
    fn hear(&self, report: LoadReport);
}

/// The reports of one registration: who hears heartbeats tells them, those who send requests listen.
///
/// A report wakes nobody and passes through no queue: the listener notes it where its own requests look.
#[derive(Debug, Default)]
pub struct LoadReports {
    /// As many as there are services that follow the name of the instance.
    listeners: RwLock<Vec<Weak<dyn LoadListener>>>,
}

impl LoadReports {
    /// Someone listens from now on, until it is dropped.
    pub fn add(&self, listener: Weak<dyn LoadListener>) {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(listener);
    }

    /// Tells everyone who listens.
    pub fn tell(&self, report: LoadReport) {
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().filter_map(Weak::upgrade).for_each(|listener| listener.hear(report));
    }
}

/// Who has said what an endpoint weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WeightSource {
    /// The configuration.
    Config,
    /// Whatever it was discovered by: its registration, a record, a file.
    #[default]
    Discovery,
    /// A heartbeat of the instance, in place of its registration.
    Heartbeat,
    /// An operator.
    Order,
}

impl WeightSource {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            WeightSource::Config => "config",
            WeightSource::Discovery => "discovery",
            WeightSource::Heartbeat => "heartbeat",
            WeightSource::Order => "order",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Weak};

    use super::*;

    #[derive(Debug, Default)]
    struct Ear(AtomicU32);

    impl LoadListener for Ear {
        fn hear(&self, report: LoadReport) {
            self.0.fetch_add(report.in_flight, Ordering::Relaxed);
        }
    }

    fn ear(reports: &LoadReports) -> Arc<Ear> {
        let ear = Arc::new(Ear::default());
        let listener: Weak<dyn LoadListener> = Arc::downgrade(&ear) as Weak<dyn LoadListener>;
        reports.add(listener);
        ear
    }

    #[test]
    fn everyone_who_is_there_hears() {
        let reports = LoadReports::default();
        let report = LoadReport { in_flight: 7, valid_for: Duration::from_secs(1) };
        reports.tell(report);
        let (one, other) = (ear(&reports), ear(&reports));
        reports.tell(report);
        drop(one);
        reports.tell(report);
        assert_eq!(other.0.load(Ordering::Relaxed), 14);
        let third = ear(&reports);
        assert_eq!(reports.listeners.read().expect("whole").len(), 2, "who has gone is forgotten");
        reports.tell(report);
        assert_eq!((third.0.load(Ordering::Relaxed), other.0.load(Ordering::Relaxed)), (7, 21));
    }
}
