//! Heartbeats: a look at a table, and one store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fulcrum_model::{InstanceId, LoadReport, ServiceName, Weight};

use super::{Entry, Registry};
use crate::lease::Load;
use crate::state::{Epoch, Stage};

/// A word that an instance is there.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat<'a> {
    /// Which service it is of.
    pub service: &'a ServiceName,
    /// Which instance.
    pub id: &'a InstanceId,
    /// Of which registration; of whichever there is, when it is not given.
    pub epoch: Option<Epoch>,
    /// Who says so, when it may speak only for instances that it registered.
    pub owner: Option<&'a str>,
    /// What the instance weighs, when it says so.
    pub weight: Option<Weight>,
    /// What the instance has to do.
    pub load: Load,
}

/// What came of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The lease was renewed.
    Renewed {
        /// The registration's number.
        epoch: Epoch,
        /// What the instance is to do: it should know when it is to finish what it has.
        stage: Stage,
        /// How long the lease lasts from now.
        ttl: Duration,
    },
    /// Someone else registered it.
    NotYours,
    /// No such instance: it should register.
    Unknown,
    /// The instance was registered anew, by another process: whoever sent this should end.
    StaleEpoch {
        /// The registration number now.
        current: Epoch,
    },
}

impl Registry {
    /// A heartbeat.
    pub fn beat(&self, heartbeat: &Heartbeat<'_>) -> Beat {
        let counters = &self.shared.counters;
        let count = |counter: &AtomicU64, beat| {
            counter.fetch_add(1, Ordering::Relaxed);
            beat
        };
        let Some(entry) = self.shared.contents.find(heartbeat.service, heartbeat.id) else {
            return count(&counters.unknown, Beat::Unknown);
        };
        let instance = &entry.instance;
        if heartbeat.owner.is_some_and(|owner| owner != &*instance.owner) {
            return count(&counters.foreign, Beat::NotYours);
        }
        let current = instance.epoch;
        if heartbeat.epoch.is_some_and(|epoch| epoch != current) {
            return count(&counters.stale, Beat::StaleEpoch { current });
        }
        entry.lease.renew(self.shared.lease_now());
        self.hear(&entry, heartbeat);
        count(
            &counters.renewals,
            Beat::Renewed { epoch: current, stage: instance.stage(), ttl: entry.lease.ttl() },
        )
    }

    /// What an instance says of itself with a heartbeat. Usually that is what it said before: a look at each.
    fn hear(&self, entry: &Entry, heartbeat: &Heartbeat<'_>) {
        let lease = &entry.lease;
        lease.report(heartbeat.load);
        if let (Some(in_flight), Some(reports)) = (heartbeat.load.in_flight, lease.listened()) {
            reports.tell(LoadReport { in_flight, valid_for: lease.ttl() });
        }
        if heartbeat.weight.is_some_and(|weight| lease.weigh(weight))
            && self.shared.weighed.add(&entry.instance.key, lease)
        {
            // Where there is no room for it the writer has something to do, and looks then.
            let _ = self.requests.try_send(None);
        }
    }
}
