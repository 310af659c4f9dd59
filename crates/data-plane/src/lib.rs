//! The data plane: from accepted connections to answered requests.
//!
//! ```text
//!   prepare: Config ─► Snapshot + bound sockets        (may fail; nothing is visible)
//!   start:   a thread per worker, a watchdog           (cannot half-fail: a dead worker ends the process)
//!
//!   worker:  accept ─► connection ─► http::handle ─► route ─► forward ─► service.pick ─► transport ─► exchange
//!            timer wheel, buffer pool, upstream pools, numbers: its own, shared with nobody
//!   shared:  Snapshot (ArcSwap), endpoints' requests in flight, the phase of the process
//! ```

mod accept;
mod buffer;
mod connection;
mod endpoint;
#[doc(hidden)]
pub mod fuzz;
mod http;
mod http1;
mod listener;
mod metrics;
mod service;
mod shared;
mod snapshot;
mod status;
mod stream;
mod timer;
mod transport;
mod watchdog;
mod worker;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;
use fulcrum_config::Config;
use fulcrum_model::ListenerName;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, watch};

use http::access_log::AccessLog;
use listener::{Listener, ListeningSocket};
use metrics::Metrics;
use shared::{Phase, Shared};
use snapshot::Snapshot;
use worker::Start;

pub use http::error::Reason;
pub use listener::BindError;
pub use metrics::Collector;
pub use status::{EndpointStatus, ListenerStatus, ServiceStatus, Status, WorkerStatus};

/// Why the data plane cannot be made: every cause, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(causes))]
pub struct PrepareError {
    causes: Vec<Cause>,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("log.access: {0}")]
    AccessLog(io::Error),
}

fn lines(causes: &[Cause]) -> String {
    causes.iter().map(Cause::to_string).collect::<Vec<_>>().join("\n")
}

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
    snapshot: Snapshot,
    bound: Vec<listener::Bound>,
    listeners: Vec<Arc<Listener>>,
    access_log: Option<AccessLog>,
    workers: usize,
    max_series: usize,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundListener {
    /// Its name.
    pub name: ListenerName,
    /// `host:port` or `unix:/path`, with the port that the kernel chose for port 0.
    pub addresses: Vec<String>,
}

/// Binds every socket and builds everything; nothing is visible to clients yet.
pub fn prepare(config: &Config) -> Result<Prepared, PrepareError> {
    let workers = config.workers.map_or_else(default_workers, std::num::NonZeroUsize::get);
    let mut bound = Vec::new();
    let mut listeners = Vec::new();
    let mut causes = Vec::new();
    for configured in &config.listeners {
        let listener = Arc::new(Listener::new(configured));
        for bind in &configured.binds {
            match listener::bind(&listener, bind, workers) {
                Ok(one) => bound.push(one),
                Err(error) => causes.push(error.into()),
            }
        }
        listeners.push(listener);
    }
    let access_log = AccessLog::open(&config.log.access).unwrap_or_else(|error| {
        causes.push(Cause::AccessLog(error));
        None
    });
    if !causes.is_empty() {
        return Err(PrepareError { causes });
    }
    Ok(Prepared {
        snapshot: Snapshot::new(config, FIRST_GENERATION),
        bound,
        listeners,
        access_log,
        workers,
        max_series: config.metrics.max_series.get(),
    })
}

/// The parallelism that the machine and the process's quota allow.
fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

impl Prepared {
    /// Starts the workers.
    pub fn start(self) -> Result<DataPlane, StartError> {
        let descriptors = raise_descriptor_limit();
        let (phase, _) = watch::channel(Phase::Running);
        let shared = Arc::new(Shared {
            snapshot: Arc::new(ArcSwap::from_pointee(self.snapshot)),
            metrics: Metrics::new(self.workers, self.max_series),
            phase,
            draining: AtomicBool::new(false),
            workers: (0..self.workers).map(|_| CachePadded::default()).collect(),
            connections: CachePadded::default(),
            max_connections: max_connections(descriptors),
            access_log: self.access_log.as_ref().map(AccessLog::counters),
        });
        let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..self.workers).map(|_| mpsc::channel(INBOX)).unzip();
        let mut addresses: Vec<BoundListener> = self
            .listeners
            .iter()
            .map(|listener| BoundListener { name: listener.name.clone(), addresses: Vec::new() })
            .collect();
        let mut sockets: Vec<Vec<(Arc<Listener>, ListeningSocket)>> =
            (0..self.workers).map(|_| Vec::new()).collect();
        let mut unix_files = Vec::new();
        for mut bound in self.bound {
            let place = self.listeners.iter().position(|listener| Arc::ptr_eq(listener, &bound.listener));
            addresses[place.expect("bound for a listener")]
                .addresses
                .push(std::mem::take(&mut bound.address));
            unix_files.extend(bound.unix_file.take());
            for (worker, socket) in std::mem::take(&mut bound.sockets).into_iter().enumerate() {
                sockets[worker].push((Arc::clone(&bound.listener), socket));
            }
        }
        let seed = random_seed();
        let mut threads = Vec::new();
        for ((index, inbox), sockets) in receivers.into_iter().enumerate().zip(sockets) {
            let start = Start {
                index,
                shared: Arc::clone(&shared),
                sockets,
                inbox,
                inboxes: inboxes.clone(),
                access_log: self.access_log.as_ref().map(AccessLog::sink),
                seed: seed.wrapping_add(index as u64),
            };
            threads.push(spawn_worker(start).map_err(|source| StartError { worker: index, source })?);
        }
        let watched = Arc::clone(&shared);
        let watchdog = std::thread::Builder::new().name("watchdog".to_owned());
        watchdog
            .spawn(move || watchdog::run(&watched))
            .map_err(|source| StartError { worker: self.workers, source })?;
        Ok(DataPlane { shared, addresses, threads, access_log: Mutex::new(self.access_log), unix_files })
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
        match builder.enable_all().build_local(LocalOptions::default()) {
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

/// The running data plane.
#[derive(Debug)]
pub struct DataPlane {
    shared: Arc<Shared>,
    addresses: Vec<BoundListener>,
    threads: Vec<JoinHandle<()>>,
    /// Only closing it needs the lock.
    access_log: Mutex<Option<AccessLog>>,
    unix_files: Vec<listener::UnixFile>,
}

impl DataPlane {
    /// Where it listens, in configured order.
    pub fn bound(&self) -> Vec<BoundListener> {
        self.addresses.clone()
    }

    /// Its numbers, for a Prometheus registry.
    pub fn collector(&self) -> Box<dyn prometheus::core::Collector> {
        Box::new(Collector::new(Arc::clone(&self.shared)))
    }

    /// A look at it.
    pub fn status(&self) -> Status {
        let shared = &self.shared;
        let snapshot = shared.snapshot.load();
        let workers = shared.workers.iter().zip(&shared.metrics.cells).map(|(state, cells)| WorkerStatus {
            connections: state.connections.load(Ordering::Relaxed),
            accepted: cells.accepted.get(),
        });
        let listeners = self.addresses.iter().map(|bound| {
            let (connections, requests) = shared.metrics.listener_totals(bound.name.as_str());
            ListenerStatus {
                name: bound.name.to_string(),
                addresses: bound.addresses.clone(),
                connections,
                requests,
            }
        });
        Status {
            generation: snapshot.generation,
            workers: workers.collect(),
            listeners: listeners.collect(),
            services: snapshot.services.iter().map(|service| self.service_status(service)).collect(),
        }
    }

    fn service_status(&self, service: &service::Service) -> ServiceStatus {
        let endpoints = service.endpoints.iter().map(|endpoint| {
            let (requests, errors) =
                self.shared.metrics.endpoint_totals(service.name.as_str(), endpoint.id.as_str());
            EndpointStatus {
                id: endpoint.id.to_string(),
                address: endpoint.address.to_string(),
                weight: endpoint.weight.get(),
                in_flight: u64::from(endpoint.in_flight()),
                requests,
                errors,
            }
        });
        ServiceStatus {
            name: service.name.to_string(),
            balance: service.policy_name().to_owned(),
            endpoints: endpoints.collect(),
        }
    }

    /// Stops accepting, closes idle downstream connections, and lets the rest end with their current request.
    pub fn drain(&self) {
        self.shared.enter(Phase::Draining);
    }

    /// Downstream connections open now.
    pub fn connections(&self) -> u64 {
        self.shared.connections()
    }

    /// Requests being answered now.
    pub fn requests(&self) -> u64 {
        self.shared.metrics.requests_now()
    }

    /// Ends the workers, whatever they are doing, and writes the rest of the access log.
    pub fn stop(self) {
        self.shared.enter(Phase::Stopped);
        for thread in self.threads {
            // A worker that panicked has aborted the process.
            let _ = thread.join();
        }
        if let Some(log) = self.access_log.into_inner().unwrap_or_else(PoisonError::into_inner) {
            log.close();
        }
        self.unix_files.iter().for_each(listener::UnixFile::remove);
    }
}

/// Raises the soft limit on file descriptors to the hard one, and returns it.
fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on file descriptors");
            limit.current.unwrap_or(u64::MAX)
        }
    }
}

/// The share of the descriptors that downstream connections may have: the rest is for upstreams, files and operators.
fn max_connections(descriptors: u64) -> u64 {
    (descriptors.saturating_sub(RESERVED_DESCRIPTORS) / 10).saturating_mul(7).max(1)
}

/// Different in every process; nothing secret depends on it.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Descriptors for everything but connections.
const RESERVED_DESCRIPTORS: u64 = 256;
/// Connections on their way from one worker to another.
const INBOX: usize = 1024;
/// The configuration that the process starts with.
const FIRST_GENERATION: u64 = 1;
