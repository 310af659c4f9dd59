//! Numbers of the data plane. Each worker writes its own cells, which nobody else writes, so that counting is a load
//! and a store; a scrape adds the workers up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::endpoint::Gate;
use crate::http::error::Reason;
use crate::snapshot::Snapshot;

mod collector;

pub use collector::Collector;

/// A number that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    pub(crate) fn add(&self, count: u64) {
        // Not a read-modify-write instruction: there is no second writer.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(count), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Responses by the first digit of their status.
#[derive(Debug, Default)]
pub(crate) struct CodeClasses([Cell; 5]);

impl CodeClasses {
    pub(crate) const NAMES: [&'static str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    pub(crate) fn add(&self, status: u16) {
        self.0[usize::from(status / 100).clamp(1, 5) - 1].add(1);
    }

    pub(crate) fn get(&self) -> [u64; 5] {
        std::array::from_fn(|class| self.0[class].get())
    }
}

/// Seconds in buckets.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [Cell; BOUNDS.len() + 1],
    /// Nanoseconds.
    sum: Cell,
}

/// Upper bounds of the buckets, in seconds.
pub(crate) const BOUNDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The same in nanoseconds.
const BOUNDS_NANOS: [u64; BOUNDS.len()] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: std::array::from_fn(|_| Cell::default()), sum: Cell::default() }
    }
}

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration) {
        let nanos = nanos(duration);
        let bucket = BOUNDS_NANOS.iter().position(|&bound| nanos <= bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].add(1);
        self.sum.add(nanos);
    }
}

/// As a whole number of nanoseconds; 584 years are enough.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Numbers of one listener on one worker.
#[derive(Debug, Default)]
pub(crate) struct ListenerCells {
    pub(crate) connections: Cell,
    pub(crate) connections_now: Cell,
    pub(crate) requests: CodeClasses,
    pub(crate) requests_now: Cell,
    pub(crate) duration: Histogram,
    pub(crate) received_bytes: Cell,
    pub(crate) sent_bytes: Cell,
}

/// Numbers of one route on one worker.
#[derive(Debug, Default)]
pub(crate) struct RouteCells {
    pub(crate) requests: CodeClasses,
    /// Nanoseconds.
    pub(crate) duration: Cell,
}

/// Numbers of one service on one worker.
#[derive(Debug, Default)]
pub(crate) struct ServiceCells {
    pub(crate) connect: Histogram,
    pub(crate) first_byte: Histogram,
    pub(crate) retries: Cell,
    /// Seconds in the queue, of those who waited.
    pub(crate) queued: Histogram,
}

/// Numbers of one endpoint on one worker.
#[derive(Debug)]
pub(crate) struct EndpointCells {
    pub(crate) requests: CodeClasses,
    /// Nanoseconds.
    pub(crate) duration: Cell,
    pub(crate) connections: Cell,
    pub(crate) reused: Cell,
    pub(crate) idle: Cell,
    pub(crate) errors: [Cell; Reason::ALL.len()],
}

impl Default for EndpointCells {
    fn default() -> Self {
        EndpointCells {
            requests: CodeClasses::default(),
            duration: Cell::default(),
            connections: Cell::default(),
            reused: Cell::default(),
            idle: Cell::default(),
            errors: std::array::from_fn(|_| Cell::default()),
        }
    }
}

/// Numbers of one worker that belong to no object.
#[derive(Debug)]
pub(crate) struct WorkerCells {
    pub(crate) errors: [Cell; Reason::ALL.len()],
    pub(crate) idle_closed: Cell,
    pub(crate) panics: Cell,
    pub(crate) limit_hits: [Cell; Limit::ALL.len()],
    pub(crate) handed_over: Cell,
    pub(crate) accepted: Cell,
}

impl Default for WorkerCells {
    fn default() -> Self {
        WorkerCells {
            errors: std::array::from_fn(|_| Cell::default()),
            idle_closed: Cell::default(),
            panics: Cell::default(),
            limit_hits: std::array::from_fn(|_| Cell::default()),
            handed_over: Cell::default(),
            accepted: Cell::default(),
        }
    }
}

/// Limits of the process whose hits are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// All downstream connections: a share of the file descriptors.
    Connections,
    /// `limits.connections` of a listener.
    ListenerConnections,
    /// The process or system has no file descriptor left.
    FileDescriptors,
    /// `pool.max_idle`.
    PoolIdle,
    /// Bytes discarded behind an early response.
    Discard,
    /// Endpoints that one request is tried on.
    Attempts,
    /// `retry.budget`.
    RetryBudget,
    /// `limits.max_connections` of an endpoint, met by idle connections of other workers.
    EndpointConnections,
    /// `limits.connections_per_source` of a listener.
    ConnectionsPerSource,
    /// An idle connection closed to make room for a new one.
    IdleShed,
    /// Memory runs out: a worker emptied its pools.
    MemoryShrink,
    /// Memory runs out: a request was refused.
    MemoryRefuse,
    /// Memory runs out: accepting paused.
    MemoryPause,
}

impl Limit {
    pub(crate) const ALL: [(Limit, &'static str); 13] = [
        (Limit::Connections, "connections"),
        (Limit::ListenerConnections, "listener_connections"),
        (Limit::FileDescriptors, "file_descriptors"),
        (Limit::PoolIdle, "pool_idle"),
        (Limit::Discard, "discard"),
        (Limit::Attempts, "attempts"),
        (Limit::RetryBudget, "retry_budget"),
        (Limit::EndpointConnections, "endpoint_connections"),
        (Limit::ConnectionsPerSource, "connections_per_source"),
        (Limit::IdleShed, "idle_shed"),
        (Limit::MemoryShrink, "memory_shrink"),
        (Limit::MemoryRefuse, "memory_refuse"),
        (Limit::MemoryPause, "memory_pause"),
    ];
}

impl Limit {
    /// As metrics and logs call it.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl WorkerCells {
    pub(crate) fn hit(&self, limit: Limit) {
        self.limit_hits[limit as usize].add(1);
    }
}

/// All cells of one kind of object, by worker.
type PerWorker<T> = Vec<Option<Arc<T>>>;

/// Every cell of the data plane. Locked when a worker meets an object for the first time, and by scrapes.
#[derive(Debug)]
pub(crate) struct Metrics {
    workers: usize,
    max_series: AtomicUsize,
    inner: Mutex<Objects>,
    pub(crate) cells: Vec<Arc<CachePadded<WorkerCells>>>,
}

#[derive(Debug, Default)]
struct Objects {
    listeners: BTreeMap<Arc<str>, PerWorker<ListenerCells>>,
    routes: BTreeMap<Arc<str>, PerWorker<RouteCells>>,
    services: BTreeMap<Arc<str>, PerWorker<ServiceCells>>,
    endpoints: BTreeMap<(Arc<str>, Arc<str>), PerWorker<EndpointCells>>,
    /// Services whose states are shown under their names.
    states: BTreeSet<Arc<str>>,
    /// Series of services, routes and endpoints so far.
    series: usize,
}

/// What objects beyond `metrics.max_series` are counted under.
pub(crate) const OTHER: &str = "other";

/// Series of one service, route or endpoint, roughly: buckets, code classes, sums.
const SERIES_PER_SERVICE: usize = 60;
const SERIES_PER_STATES: usize = Gate::WORDS.len() + 5;
const SERIES_PER_ROUTE: usize = 6;
const SERIES_PER_ENDPOINT: usize = 12;

impl Metrics {
    pub(crate) fn new(workers: usize, max_series: usize) -> Self {
        let cells = (0..workers).map(|_| Arc::new(CachePadded::new(WorkerCells::default()))).collect();
        Metrics {
            workers,
            max_series: AtomicUsize::new(max_series),
            inner: Mutex::new(Objects::default()),
            cells,
        }
    }

    fn max_series(&self) -> usize {
        self.max_series.load(Ordering::Relaxed)
    }

    /// Objects that come from now on are bounded by this; those that are shown stay.
    pub(crate) fn bound_series(&self, max_series: usize) {
        self.max_series.store(max_series, Ordering::Relaxed);
    }

    /// Shows objects no more that are gone, and the states of services that have come: before anyone uses them. Who still
    /// uses cells of what is gone counts for nobody.
    pub(crate) fn follow(&self, snapshot: &Snapshot) {
        let routes: HashSet<&str> = snapshot.routes.iter().map(|route| &*route.name).collect();
        let listeners: HashSet<&str> =
            snapshot.listeners.iter().map(|listener| listener.name().as_str()).collect();
        let memberships: HashMap<&str, _> = snapshot
            .services
            .iter()
            .map(|service| (service.name().as_str(), service.state.membership.load_full()))
            .collect();
        let endpoints: HashMap<&str, HashSet<&str>> = memberships
            .iter()
            .map(|(service, membership)| {
                (*service, membership.endpoints.iter().map(|endpoint| endpoint.id.as_str()).collect())
            })
            .collect();
        let mut objects = self.objects();
        let objects = &mut *objects;
        objects.listeners.retain(|name, _| listeners.contains(&**name));
        let before = objects.services.len();
        objects.services.retain(|name, _| &**name == OTHER || endpoints.contains_key(&**name));
        objects.series -= (before - objects.services.len()) * SERIES_PER_SERVICE;
        let before = objects.routes.len();
        objects.routes.retain(|name, _| &**name == OTHER || routes.contains(&**name));
        objects.series -= (before - objects.routes.len()) * SERIES_PER_ROUTE;
        let before = objects.endpoints.len();
        objects.endpoints.retain(|(service, endpoint), _| {
            &**endpoint == OTHER || endpoints.get(&**service).is_some_and(|ids| ids.contains(&**endpoint))
        });
        objects.series -= (before - objects.endpoints.len()) * SERIES_PER_ENDPOINT;
        let before = objects.states.len();
        objects.states.retain(|name| endpoints.contains_key(&**name));
        objects.series -= (before - objects.states.len()) * SERIES_PER_STATES;
        for service in &snapshot.services {
            let name = service.name().as_str();
            if !objects.states.contains(name) && objects.admit(SERIES_PER_STATES, self.max_series()) {
                objects.states.insert(Arc::from(name));
            }
        }
    }

    fn objects(&self) -> std::sync::MutexGuard<'_, Objects> {
        // The maps are only added to: they are whole whoever panicked.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a scrape see every object.
    fn with_objects(&self, see: impl FnOnce(&Objects)) {
        see(&self.objects());
    }

    pub(crate) fn listener(&self, worker: usize, name: &str) -> Arc<ListenerCells> {
        cells_of(&mut self.objects().listeners, Arc::from(name), worker, self.workers)
    }

    pub(crate) fn service(&self, worker: usize, name: &str) -> Arc<ServiceCells> {
        let mut objects = self.objects();
        let mut key = Arc::from(name);
        if !objects.services.contains_key(&key) && !objects.admit(SERIES_PER_SERVICE, self.max_series()) {
            key = Arc::from(OTHER);
        }
        cells_of(&mut objects.services, key, worker, self.workers)
    }

    pub(crate) fn route(&self, worker: usize, name: &str) -> Arc<RouteCells> {
        let mut objects = self.objects();
        let mut key = Arc::from(name);
        if !objects.routes.contains_key(&key) && !objects.admit(SERIES_PER_ROUTE, self.max_series()) {
            key = Arc::from(OTHER);
        }
        cells_of(&mut objects.routes, key, worker, self.workers)
    }

    pub(crate) fn endpoint(&self, worker: usize, service: &str, endpoint: &str) -> Arc<EndpointCells> {
        let mut objects = self.objects();
        let mut key = (Arc::from(service), Arc::from(endpoint));
        if !objects.endpoints.contains_key(&key) && !objects.admit(SERIES_PER_ENDPOINT, self.max_series()) {
            key = (Arc::from(OTHER), Arc::from(OTHER));
        }
        cells_of(&mut objects.endpoints, key, worker, self.workers)
    }

    /// Whether an endpoint is counted under its own name.
    fn has_endpoint(&self, service: &str, endpoint: &str) -> bool {
        self.objects().has_endpoint(service, endpoint)
    }

    /// Requests and errors of an endpoint so far, over all workers.
    pub(crate) fn endpoint_totals(&self, service: &str, endpoint: &str) -> (u64, u64) {
        let key = (Arc::from(service), Arc::from(endpoint));
        let objects = self.objects();
        let cells = objects.endpoints.get(&key).into_iter().flatten().flatten();
        cells.fold((0, 0), |(requests, errors), cells| {
            let failed: u64 = cells.errors.iter().map(Cell::get).sum();
            (requests + cells.requests.get().iter().sum::<u64>(), errors + failed)
        })
    }

    /// Connections now and requests so far of a listener, over all workers.
    pub(crate) fn listener_totals(&self, name: &str) -> (u64, u64) {
        let objects = self.objects();
        let cells = objects.listeners.get(name).into_iter().flatten().flatten();
        cells.fold((0, 0), |(connections, requests), cells| {
            (
                connections.wrapping_add(cells.connections_now.get()),
                requests + cells.requests.get().iter().sum::<u64>(),
            )
        })
    }

    /// Requests being answered now, over all listeners and workers.
    pub(crate) fn requests_now(&self) -> u64 {
        let objects = self.objects();
        let cells = objects.listeners.values().flatten().flatten();
        cells.fold(0, |sum, cells| sum.wrapping_add(cells.requests_now.get()))
    }
}

impl Objects {
    /// Whether an endpoint is counted under its own name.
    fn has_endpoint(&self, service: &str, endpoint: &str) -> bool {
        self.endpoints.contains_key(&(Arc::from(service), Arc::from(endpoint)))
    }

    /// Whether so many more series are within the bound; if so they are counted.
    fn admit(&mut self, series: usize, max: usize) -> bool {
        let fits = self.series + series <= max;
        if fits {
            self.series += series;
        }
        fits
    }
}

fn cells_of<K: Ord, T: Default>(
    map: &mut BTreeMap<K, PerWorker<T>>,
    key: K,
    worker: usize,
    workers: usize,
) -> Arc<T> {
    let cells = map.entry(key).or_insert_with(|| (0..workers).map(|_| None).collect());
    Arc::clone(cells[worker].get_or_insert_with(Arc::default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_agree() {
        for (seconds, nanos) in BOUNDS.iter().zip(BOUNDS_NANOS) {
            assert_eq!((seconds * 1e9).round() as u64, nanos);
        }
    }

    #[test]
    fn objects_beyond_the_cap_share_one_name() {
        let metrics = Metrics::new(1, 2 * SERIES_PER_ROUTE);
        for name in ["a", "b", "c", "d"] {
            metrics.route(0, name).requests.add(200);
        }
        let objects = metrics.objects();
        let names: Vec<&str> = objects.routes.keys().map(|name| &**name).collect();
        assert_eq!(names, ["a", "b", "other"]);
        assert_eq!(objects.routes["other"][0].as_ref().map(|cells| cells.requests.get()[1]), Some(2));
    }
}
