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
mod endpoint;
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

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_utils::CachePadded;
use fulcrum_config::Config;
use fulcrum_model::{EndpointId, ListenerName, ServiceName};
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, watch};

use generation::{Control, Next};
use metrics::Metrics;
use overload::Overload;
use shared::{Phase, Shared};
use snapshot::Snapshot;
use worker::{Order, Start};

pub use generation::PrepareError;
pub use http::error::Reason;
pub use listener::BindError;
pub use metrics::Collector;
pub use service::Override;
pub use status::{EndpointStatus, ListenerStatus, ServiceStatus, Status, WorkerStatus};

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

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundListener {
    /// Its name.
    pub name: ListenerName,
    /// `host:port` or `unix:/path`, with the port that the kernel chose for port 0.
    pub addresses: Vec<String>,
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
        let descriptors = raise_descriptor_limit();
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
            max_descriptors: descriptors.saturating_sub(RESERVED_DESCRIPTORS).max(2),
            connections: CachePadded::default(),
            overload: Overload::new(max_connections(descriptors)),
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

/// The running data plane.
#[derive(Debug)]
pub struct DataPlane {
    shared: Arc<Shared>,
    /// Until they are joined.
    threads: Mutex<Vec<JoinHandle<()>>>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    /// Held by whoever changes something, from its first look to the change.
    control: Mutex<Control>,
}

/// A change that can be put in force. Until then nobody else changes anything.
#[derive(Debug)]
pub struct Reload<'a> {
    plane: &'a DataPlane,
    control: MutexGuard<'a, Control>,
    next: Next,
}

impl Reload<'_> {
    /// Lets clients connect to new addresses: the last step that can fail, when everything else is prepared.
    ///
    /// # Errors
    /// An address that another process has begun to listen on meanwhile.
    pub fn listen(&self) -> Result<(), PrepareError> {
        self.next.listen()
    }

    /// Puts it in force and tells its number. Requests that are under way end by what they began with.
    pub fn commit(mut self) -> u64 {
        let generation = self.next.snapshot.generation;
        self.control.commit(self.next, &self.plane.shared, &self.plane.orders);
        generation
    }
}

impl DataPlane {
    fn control(&self) -> MutexGuard<'_, Control> {
        // Every change is made whole before it is stored.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares another configuration: binds new addresses, builds everything. Nothing is visible yet; blocks for as
    /// long as that takes.
    ///
    /// # Errors
    /// Every address that cannot be bound, an access log that cannot be opened, another number of workers.
    pub fn prepare(&self, config: &Config) -> Result<Reload<'_>, PrepareError> {
        let control = self.control();
        let generation = self.shared.snapshot.load().generation + 1;
        let at = (generation, self.shared.now());
        let next = Next::prepare(config, &control, at, self.orders.len())?;
        Ok(Reload { plane: self, control, next })
    }

    /// Whether every worker serves its requests by this generation or a later one.
    pub fn is_everywhere(&self, generation: u64) -> bool {
        self.shared.workers.iter().all(|worker| worker.generation.load(Ordering::Relaxed) >= generation)
    }

    /// The generation in force.
    pub fn generation(&self) -> u64 {
        self.shared.snapshot.load().generation
    }

    /// The host names among the endpoints, to be resolved.
    pub fn host_names(&self) -> BTreeSet<String> {
        self.control().host_names()
    }

    /// A host name of the configuration resolves to these addresses now.
    pub fn resolved(&self, host: &str, addresses: &[IpAddr]) {
        self.control().resolved(host, addresses, self.shared.now());
    }

    /// Orders something of an endpoint until further notice, or clears it; false when there is no such endpoint.
    pub fn order(&self, service: &ServiceName, endpoint: &EndpointId, order: Option<Override>) -> bool {
        self.control().order(service, endpoint, order, self.shared.now())
    }

    /// Checks endpoints, and lets time pass for them: to be run on the control side for as long as the data plane is.
    pub async fn watch_endpoints(self: Arc<Self>) {
        health::run(self).await;
    }

    /// Lets time pass: ejections end, orders run out, memory is looked at.
    fn tick(&self) {
        self.shared.overload.look(self.shared.now());
        let now = self.shared.now();
        // A reload that is being prepared holds the control; orders run out a moment later then.
        if let Ok(mut control) = self.control.try_lock() {
            control.expire(SystemTime::now(), now);
        }
        self.shared.snapshot.load().services.iter().for_each(|service| service.state.tick(now));
    }

    /// Frees what old generations have left. To be called now and then.
    pub fn tidy(&self) {
        let alive = self.control().collect();
        self.shared.generations_alive.store(alive as u64, Ordering::Relaxed);
    }

    /// Opens the file of the access log anew, where there is one: someone has renamed it. A file that cannot be opened
    /// leaves the old one in use, with a warning. Waits for a change that is being prepared.
    pub fn reopen_access_log(&self) {
        if let Some(log) = &self.control().access_log {
            log.reopen();
        }
    }

    /// Where it listens, in configured order.
    pub fn bound(&self) -> Vec<BoundListener> {
        let control = self.control();
        let snapshot = self.shared.snapshot.load();
        let listeners = snapshot.listeners.iter().enumerate().map(|(place, listener)| BoundListener {
            name: listener.name().clone(),
            addresses: control
                .bound
                .iter()
                .filter(|bound| snapshot.binds.get(&bound.id) == Some(&place))
                .map(|bound| bound.address.clone())
                .collect(),
        });
        listeners.collect()
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
        let listeners = self.bound().into_iter().map(|bound| {
            let (connections, requests) = shared.metrics.listener_totals(bound.name.as_str());
            ListenerStatus { name: bound.name.to_string(), addresses: bound.addresses, connections, requests }
        });
        Status {
            generation: snapshot.generation,
            workers: workers.collect(),
            listeners: listeners.collect(),
            services: snapshot.services.iter().map(|service| self.service_status(service)).collect(),
        }
    }

    /// A look at one endpoint; nothing when there is no such endpoint.
    pub fn endpoint_status(&self, service: &ServiceName, endpoint: &EndpointId) -> Option<EndpointStatus> {
        let snapshot = self.shared.snapshot.load();
        let service = snapshot.services.iter().find(|found| found.name() == service)?;
        let membership = service.state.membership.load();
        let place = membership.endpoints.iter().position(|found| found.id == *endpoint)?;
        Some(self.look_at(service, &membership, place))
    }

    fn service_status(&self, service: &service::Service) -> ServiceStatus {
        let state = &service.state;
        let membership = state.membership.load();
        let counts = state.counts();
        let places = 0..membership.endpoints.len();
        ServiceStatus {
            name: service.name().to_string(),
            balance: service.policy_name().to_owned(),
            total: counts.total as u64,
            healthy: counts.healthy as u64,
            panic: state.panic().word(),
            is_holding: state.is_holding(),
            waiting: state.queue.waiting().into(),
            // Whole retries: the rest of one is no retry.
            retries_left: state.retries_left() as u64,
            endpoints: places.map(|place| self.look_at(service, &membership, place)).collect(),
        }
    }

    fn look_at(
        &self,
        service: &service::Service,
        membership: &service::Membership,
        place: usize,
    ) -> EndpointStatus {
        let endpoint = &membership.endpoints[place];
        let (requests, errors) =
            self.shared.metrics.endpoint_totals(service.name().as_str(), endpoint.id.as_str());
        let standing = endpoint.standing().clone();
        EndpointStatus {
            id: endpoint.id.to_string(),
            address: endpoint.address.to_string(),
            weight: membership.weights[place].get(),
            state: endpoint.gate().word(),
            since: standing.since,
            why: standing.why,
            order: standing.order,
            last_check_failure: standing.checked.and_then(|checked| checked.failure),
            in_flight: u64::from(endpoint.in_flight()),
            connections: u64::from(endpoint.connections()),
            requests,
            errors,
        }
    }

    /// Stops accepting, closes idle downstream connections, and lets the rest end with their current request.
    pub fn drain(&self) {
        self.shared.enter(Phase::Draining);
    }

    /// Whether nothing is under way and nothing more can come: after [`drain`](Self::drain), the end.
    pub fn is_idle(&self) -> bool {
        // In this order: a connection is counted before its socket is closed.
        self.shared.doors.load(Ordering::SeqCst) == 0 && self.shared.connections() == 0
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
    pub fn stop(&self) {
        self.shared.enter(Phase::Stopped);
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A worker that panicked has aborted the process.
            let _ = thread.join();
        }
        let mut control = self.control();
        if let Some(log) = control.access_log.take() {
            log.close();
        }
        control.bound.clear();
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

#[cfg(test)]
mod tests {
    use fulcrum_config::EndpointState;
    use fulcrum_model::Weight;

    use super::*;

    const CONFIG: &str = "\
version: 1
workers: 1
listeners: { web: { bind: \"127.0.0.1:0\" } }
routes: [{ to: app }]
services: { app: { endpoints: [{ id: blue, address: \"127.0.0.1:9\" }] } }
log: { access: none }
";

    #[test]
    fn an_order_that_has_run_out_is_gone_for_good() {
        let config = fulcrum_config::load_text("a.yaml", CONFIG, &|_| None).expect("it is right").config;
        let prepared = prepare(&config).expect("a free port");
        prepared.listen().expect("nobody else listens");
        let plane = prepared.start().expect("a thread");
        let (service, endpoint) = ("app".parse().expect("a name"), "blue".parse().expect("an id"));
        let check = |state: &str, weight: u16, has_order: bool| {
            let status = plane.endpoint_status(&service, &endpoint).expect("it is there");
            let found = (status.state, status.weight, status.order.is_some());
            assert_eq!(found, (state, weight, has_order), "{status:?}");
        };
        let order = |state, until| Override { state, weight: Weight::new(7), reason: None, until };
        let now = SystemTime::now();
        let (past, future) = (Some(now - Duration::from_secs(1)), Some(now + Duration::from_secs(3600)));
        check("up", 1, false);
        for state in [None, Some(EndpointState::Drain)] {
            let word = if state.is_some() { "draining" } else { "up" };
            assert!(plane.order(&service, &endpoint, Some(order(state, future))));
            plane.tick();
            check(word, 7, true);
            assert!(plane.order(&service, &endpoint, Some(order(state, past))));
            check(word, 7, true);
            plane.tick();
            check("up", 1, false);
            plane.prepare(&config).expect("the same again").commit();
            check("up", 1, false);
        }
        let nobody = "green".parse().expect("an id");
        assert!(!plane.order(&service, &nobody, Some(order(None, None))));
        assert!(!plane.order(&"shop".parse().expect("a name"), &endpoint, None));
        plane.stop();
    }
}
