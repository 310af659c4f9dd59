//! What the workers share: the snapshot, the numbers, the phase of the process, and how busy each of them is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_utils::CachePadded;
use tokio::sync::watch;

use crate::http::access_log::Counters;
use crate::metrics::Metrics;
use crate::overload::Overload;
use crate::snapshot::Snapshot;

/// How far the process is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Accepting.
    Running,
    /// Finishing what is under way.
    Draining,
    /// Ending now.
    Stopped,
}

/// Shared by all workers and the control side.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What [`Millis`](crate::timer::Millis) count from.
    pub(crate) started: Instant,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) metrics: Metrics,
    pub(crate) phase: watch::Sender<Phase>,
    /// The phase is past running: what every request asks.
    pub(crate) draining: AtomicBool,
    pub(crate) workers: Vec<CachePadded<WorkerState>>,
    /// Sockets that workers accept on: until there is none, more connections may come.
    pub(crate) doors: AtomicU64,
    /// Upstream connections of the process.
    pub(crate) upstreams: CachePadded<AtomicU64>,
    /// Most connections of both kinds: the rest of the descriptors is for operating the process.
    pub(crate) max_descriptors: u64,
    /// Downstream connections of the process.
    pub(crate) connections: CachePadded<AtomicU64>,
    /// The most of them, and how near the process is to its end of memory.
    pub(crate) overload: Overload,
    /// Of the access log, if there is one.
    pub(crate) access_log: ArcSwapOption<Counters>,
    /// What health checks have found.
    pub(crate) probes: crate::health::Counters,
    /// Snapshots in memory: the one in force, and those that something still holds.
    pub(crate) generations_alive: AtomicU64,
}

/// What others see of a worker.
#[derive(Debug, Default)]
pub(crate) struct WorkerState {
    /// Connections it serves or was given.
    pub(crate) connections: AtomicU64,
    /// Those of them that wait for another request, as of its last tick.
    pub(crate) idle: AtomicU64,
    /// Counts up while the worker makes progress.
    pub(crate) beats: AtomicU64,
    /// The generation that its next request will be served by, at least.
    pub(crate) generation: AtomicU64,
}

impl Shared {
    /// Moves on to a later phase; an earlier one changes nothing.
    pub(crate) fn enter(&self, next: Phase) {
        self.draining.store(next > Phase::Running, Ordering::Relaxed);
        self.phase.send_if_modified(|phase| {
            let is_later = next > *phase;
            *phase = next.max(*phase);
            is_later
        });
    }

    /// The time since the data plane's start.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Access records written and dropped, where there is an access log.
    pub(crate) fn access_log_counters(&self) -> Option<(u64, u64)> {
        self.access_log.load().as_ref().map(|counters| (counters.written(), counters.dropped()))
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}
