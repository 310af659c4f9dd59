//! Numbers of the data plane. Each worker writes its own cells, which nobody else writes, so that counting is a load
//! and a store; a scrape adds the workers up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_utils::CachePadded;
use fulcrum_config::Protocol;

use crate::endpoint::Gate;
use crate::listener::Listener;
use crate::snapshot::Snapshot;

mod cells;
mod collector;
mod families;
mod limit;

pub(crate) use cells::{
    BOUNDS, Cell, CodeClasses, EndpointCells, Histogram, ListenerCells, RouteCells, ServiceCells,
    WorkerCells, nanos,
};
pub use collector::Collector;
pub(crate) use limit::Limit;

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
    /// Those that speak no HTTP.
    tcp_listeners: BTreeMap<Arc<str>, PerWorker<ListenerCells>>,
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
        let (tcp, http): (Vec<_>, Vec<_>) =
            snapshot.listeners.iter().partition(|listener| listener.stream_service().is_some());
        let names = |listeners: Vec<&Arc<Listener>>| -> HashSet<String> {
            listeners.into_iter().map(|listener| listener.name().to_string()).collect()
        };
        let (tcp, http) = (names(tcp), names(http));
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
        objects.listeners.retain(|name, _| http.contains(&**name));
        objects.tcp_listeners.retain(|name, _| tcp.contains(&**name));
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

    pub(crate) fn listener(&self, worker: usize, listener: &Listener) -> Arc<ListenerCells> {
        let mut objects = self.objects();
        let listeners = match listener.protocol {
            Protocol::Http => &mut objects.listeners,
            Protocol::Tcp(_) => &mut objects.tcp_listeners,
        };
        cells_of(listeners, Arc::from(listener.name().as_str()), worker, self.workers)
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
        let both = [objects.listeners.get(name), objects.tcp_listeners.get(name)];
        let cells = both.into_iter().flatten().flatten().flatten();
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
