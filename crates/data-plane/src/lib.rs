//! The data plane: from accepted connections to answered requests.
//!
//! ```text
//!   prepare: Config ─► Snapshot + bound sockets        (may fail; nothing is visible)
//!   start:   a thread per worker, a watchdog           (cannot half-fail: a dead worker ends the process)
//!
//!   worker:  accept ─► connection ─► http::handle ─► route ─► forward ─► service.pick ─► transport ─► exchange
//!                 └──► tcp::Connection ───────────────────► service.pick ─► transport ─► tunnel
//!            timer wheel, buffer pool, upstream pools, numbers: its own, shared with nobody
//!   shared:  Snapshot (ArcSwap), endpoints' requests in flight, the phase of the process
//! ```

mod accept;
mod buffer;
mod connection;
mod data_plane;
mod descriptors;
mod elsewhere;
mod endpoint;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod generation;
mod health;
mod http;
mod http1;
mod idle;
mod listener;
mod metrics;
mod overload;
mod service;
mod session_key;
mod shared;
mod snapshot;
mod source;
mod status;
mod stream;
mod tcp;
mod timer;
mod transport;
mod turn;
mod watchdog;
mod worker;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_utils::CachePadded;
use fulcrum_config::Config;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, watch};

use generation::{Control, Next};
use metrics::Metrics;
use overload::Overload;
use shared::{Phase, Shared};
use snapshot::Snapshot;
use worker::Start;

pub use data_plane::{BoundListener, DataPlane, Reload};
pub use generation::{Discovered, LoadTerms, PrepareError};
pub use health::check_once;
pub use http::error::Reason;
pub use listener::BindError;
pub use metrics::Collector;
pub use service::Override;
pub use status::{
    AbsentOrder, EndpointStatus, ListenerStatus, ServiceLoad, ServiceStatus, Status, WorkerStatus,
};

/// Why the data plane cannot be started: the system gives no threads or reactors.
#[derive(Debug, thiserror::Error)]
#[error("cannot start worker {worker}: {source}")]
pub struct StartError {
    worker: usize,
    source: io::Error,
}

/// Everything that can fail has been done; no connection is accepted yet.
#[derive(Debug)]
pub struct Prepared {
    next: Next,
    workers: usize,
}

/// Binds every socket and builds everything; nothing is visible to clients yet.
///
/// # Errors
/// Every address that cannot be bound, and an access log that cannot be opened.
pub fn prepare(config: &Config) -> Result<Prepared, PrepareError> {
    let workers = generation::wanted_workers(config);
    let next = Next::prepare(config, &Control::default(), (FIRST_GENERATION, Duration::ZERO), workers)?;
    Ok(Prepared { next, workers })
}

impl Prepared {
    /// Lets clients connect: the last step that can fail, when everything else is prepared.
    ///
    /// # Errors
    /// An address that another process has begun to listen on meanwhile.
    pub fn listen(&self) -> Result<(), PrepareError> {
        self.next.listen()
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(self) -> Result<DataPlane, StartError> {
        let Prepared { next, workers } = self;
        let descriptors = descriptors::raise_limit();
        let (phase, _) = watch::channel(Phase::Running);
        let shared = Arc::new(Shared {
            started: Instant::now(),
            snapshot: Arc::new(ArcSwap::from_pointee(Snapshot::default())),
            metrics: Metrics::new(workers, next.max_series),
            phase,
            draining: AtomicBool::new(false),
            workers: (0..workers).map(|_| CachePadded::default()).collect(),
            doors: AtomicU64::new(0),
            upstreams: CachePadded::default(),
            max_descriptors: descriptors.saturating_sub(descriptors::RESERVED).max(2),
            connections: CachePadded::default(),
            overload: Overload::new(descriptors::max_connections(descriptors)),
            access_log: ArcSwapOption::empty(),
            probes: health::Counters::default(),
            generations_alive: AtomicU64::new(1),
        });
        let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel(INBOX)).unzip();
        let (orders, followers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::unbounded_channel()).unzip();
        let seed = random_seed();
        let mut threads = Vec::new();
        for (index, (inbox, follower)) in receivers.into_iter().zip(followers).enumerate() {
            let start = Start {
                index,
                shared: Arc::clone(&shared),
                inbox,
                orders: follower,
                inboxes: inboxes.clone(),
                all_orders: orders.clone(),
                seed: seed.wrapping_add(index as u64),
            };
            threads.push(spawn_worker(start).map_err(|source| StartError { worker: index, source })?);
        }
        let watched = Arc::clone(&shared);
        let watchdog = std::thread::Builder::new().name("watchdog".to_owned());
        watchdog
            .spawn(move || watchdog::run(&watched))
            .map_err(|source| StartError { worker: workers, source })?;
        let mut control = Control::default();
        control.commit(next, &shared, &orders);
        Ok(DataPlane { shared, threads: Mutex::new(threads), orders, control: Mutex::new(control) })
    }
}

/// Runs a worker on a thread of its own. Half the capacity is worse than a restart: when it ends before it should, the
/// process ends.
fn spawn_worker(start: Start) -> io::Result<JoinHandle<()>> {
    let (index, shared) = (start.index, Arc::clone(&start.shared));
    let thread = std::thread::Builder::new().name(format!("worker-{index}"));
    thread.spawn(move || {
        let guard = AbortUnlessStopped { index, shared };
        let mut builder = tokio::runtime::Builder::new_current_thread();
        match builder.enable_all().on_thread_park(turn::next).build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(worker::run(start)),
            Err(error) => tracing::error!(worker = index, %error, "cannot make a reactor"),
        }
        drop(guard);
    })
}

struct AbortUnlessStopped {
    index: usize,
    shared: Arc<Shared>,
}

impl Drop for AbortUnlessStopped {
    fn drop(&mut self) {
        if self.shared.phase() < Phase::Stopped {
            tracing::error!(worker = self.index, "a worker has died: aborting");
            std::process::abort();
        }
    }
}

/// Different in every process; nothing secret depends on it.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Connections on their way from one worker to another.
const INBOX: usize = 1024;
/// The configuration that the process starts with.
const FIRST_GENERATION: u64 = 1;
