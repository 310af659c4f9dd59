//! From a configuration to the next generation: what lives on, what is new, what goes.
//!
//! Everything that can fail is done in [`Next::prepare`], where nothing of it is visible; [`Control::commit`] cannot fail.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use fulcrum_balance::session::{SessionKeyError, SessionKeys};
use fulcrum_config::{self as config, Config, EndpointState, Secret, Target};
use fulcrum_model::{Address, EndpointId, HostPort, ListenerName, ServiceName};
use tokio::sync::mpsc;

use crate::http::access_log::{AccessLog, Counters};
use crate::listener::{self, BindError, BindId, BindKey, Bound, Listener, ListenerState};
use crate::service::{self, Membership, Override, Plan, Rules, Service, ServiceState, Sessions, Wanted};
use crate::session_key::{self, SessionKeyFileError};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::worker::Order;

/// Why a configuration cannot be put in force: every cause, one a line.
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
    #[error("workers: {running} are running; to run {wanted} restart the daemon")]
    Workers { running: usize, wanted: usize },
    #[error("the key of sticky cookies: {0}")]
    SessionKeyFile(SessionKeyFileError),
    #[error("the key of sticky cookies: {0}")]
    SessionKey(SessionKeyError),
}

fn lines(causes: &[Cause]) -> String {
    causes.iter().map(Cause::to_string).collect::<Vec<_>>().join("\n")
}

/// What the control side remembers from generation to generation.
#[derive(Debug, Default)]
pub(crate) struct Control {
    services: HashMap<ServiceName, Arc<ServiceState>>,
    listeners: HashMap<ListenerName, Arc<ListenerState>>,
    pub(crate) bound: Vec<Bound>,
    access: Option<config::AccessLog>,
    pub(crate) access_log: Option<AccessLog>,
    /// Of every access log there was: a change of the log is no reason to count from 0.
    access_counters: Arc<Counters>,
    /// As last heard.
    hosts: Hosts,
    /// What operators have ordered.
    orders: HashMap<ServiceName, HashMap<EndpointId, Override>>,
    /// The configuration in force.
    config: Option<Arc<Config>>,
    /// Snapshots that some request may still hold. They are freed here: a worker has better things to do.
    retired: Vec<Arc<Snapshot>>,
}

/// A generation that can be put in force.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) snapshot: Snapshot,
    services: HashMap<ServiceName, Arc<ServiceState>>,
    listeners: HashMap<ListenerName, Arc<ListenerState>>,
    memberships: Vec<NextService>,
    /// Newly bound.
    bound: Vec<Bound>,
    access: config::AccessLog,
    config: Arc<Config>,
    /// Where access records go from now on, if that changes.
    access_log: Option<Option<AccessLog>>,
    access_counters: Arc<Counters>,
    pub(crate) max_series: usize,
}

impl Next {
    /// Builds what `config` says around what `control` has, as generation `at.0` at the time `at.1` since the start.
    /// `workers` is how many there are.
    pub(crate) fn prepare(
        config: &Config,
        control: &Control,
        at: (u64, Duration),
        workers: usize,
    ) -> Result<Next, PrepareError> {
        let (generation, now) = at;
        let mut causes = Vec::new();
        let wanted = wanted_workers(config);
        if wanted != workers {
            causes.push(Cause::Workers { running: workers, wanted });
        }
        let doors = Doors::prepare(config, control, workers, &mut causes);
        let log = &config.log.access;
        let access_counters = Arc::clone(&control.access_counters);
        let access_log = (control.access.as_ref() != Some(log)).then(|| {
            AccessLog::open(log, Arc::clone(&access_counters)).unwrap_or_else(|error| {
                causes.push(Cause::AccessLog(error));
                None
            })
        });
        let needs_key =
            |service: &config::Service| service.sticky.as_ref().is_some_and(|s| s.keys.is_empty());
        let key = config.services.iter().any(needs_key).then(|| session_key::of(&config.state_dir));
        let key = key.transpose().unwrap_or_else(|error| {
            causes.push(Cause::SessionKeyFile(error));
            None
        });
        if !causes.is_empty() {
            return Err(PrepareError { causes });
        }
        let mut services = HashMap::new();
        let mut memberships = Vec::new();
        let mut built = Vec::with_capacity(config.services.len());
        for configured in &config.services {
            let next = NextService::prepare(configured, control, key.as_ref(), now)
                .map_err(|cause| PrepareError { causes: vec![cause] })?;
            built.push(Arc::new(Service::new(configured, &next.state)));
            services.insert(configured.name.clone(), Arc::clone(&next.state));
            memberships.push(next);
        }
        let Doors { listeners, states, binds, bound } = doors;
        Ok(Next {
            snapshot: Snapshot::new(config, generation, built, listeners, binds),
            services,
            listeners: states,
            memberships,
            bound,
            access: log.clone(),
            config: Arc::new(config.clone()),
            access_log,
            access_counters,
            max_series: config.metrics.max_series.get(),
        })
    }
}

/// What becomes of a service.
#[derive(Debug)]
struct NextService {
    state: Arc<ServiceState>,
    rules: Rules,
    membership: Arc<Membership>,
    /// As configured, by place.
    states: Vec<EndpointState>,
}

impl NextService {
    fn prepare(
        configured: &config::Service,
        control: &Control,
        key: Option<&Secret>,
        now: Duration,
    ) -> Result<Self, Cause> {
        let (policy, _) = service::policy(&configured.balance);
        let rules = Rules::new(configured);
        let check = rules.health.as_ref().map(|check| check.identity);
        let state = match control.services.get(&configured.name) {
            Some(state) => Arc::clone(state),
            None => Arc::new(ServiceState::new(&configured.name, Rules::new(configured), now)),
        };
        let before = state.membership.load_full();
        let sessions = configured.sticky.as_ref().map(|sticky| sessions(sticky, key, &before)).transpose()?;
        let orders = control.orders_of(&configured.name);
        let wanted = wanted_endpoints(configured, &control.hosts, orders);
        let plan =
            Plan { policy, wanted: &wanted, places: places(configured), sessions: sessions.as_ref(), check };
        let membership = if before.is(&plan) {
            before
        } else {
            Arc::new(Membership::new(&configured.name, &plan, &before))
        };
        let states = wanted.iter().map(|wanted| wanted.state).collect();
        Ok(NextService { state, rules, membership, states })
    }

    fn commit(self, orders: &HashMap<EndpointId, Override>, now: Duration) {
        self.state.replace(self.rules, self.membership, orders, &self.states, now);
    }
}

/// Requests that one endpoint may have at a time: each needs a connection of its own.
fn places(service: &config::Service) -> u32 {
    let most = |limit: Option<std::num::NonZeroU32>| limit.map_or(u32::MAX, std::num::NonZeroU32::get);
    most(service.limits.max_requests).min(most(service.limits.max_connections))
}

/// The keys of a sticky service: those it had, if they are the same.
fn sessions(
    sticky: &config::Sticky,
    default: Option<&Secret>,
    before: &Membership,
) -> Result<Arc<Sessions>, Cause> {
    let secrets = match (sticky.keys.as_slice(), default) {
        ([], Some(key)) => vec![key.clone()],
        (keys, _) => keys.to_vec(),
    };
    if let Some(pins) = before.pins.as_ref().filter(|pins| pins.sessions.secrets == secrets) {
        return Ok(Arc::clone(&pins.sessions));
    }
    let current = secrets.first().map_or(&[][..], Secret::expose);
    let keys = SessionKeys::new(current, secrets.get(1).map(Secret::expose)).map_err(Cause::SessionKey)?;
    Ok(Arc::new(Sessions { keys, secrets }))
}

impl Next {
    /// The last that can fail: from here on clients may connect.
    pub(crate) fn listen(&self) -> Result<(), PrepareError> {
        for bound in &self.bound {
            let name = self.snapshot.listeners[self.snapshot.binds[&bound.id]].name();
            bound.listen(name).map_err(|error| PrepareError { causes: vec![error.into()] })?;
        }
        Ok(())
    }
}

/// The listeners of a generation and their addresses.
struct Doors {
    listeners: Vec<Arc<Listener>>,
    states: HashMap<ListenerName, Arc<ListenerState>>,
    binds: HashMap<BindId, usize>,
    /// Newly bound.
    bound: Vec<Bound>,
}

impl Doors {
    fn prepare(config: &Config, control: &Control, workers: usize, causes: &mut Vec<Cause>) -> Self {
        let open: HashMap<&BindKey, BindId> =
            control.bound.iter().map(|bound| (&bound.key, bound.id)).collect();
        let mut doors =
            Doors { listeners: Vec::new(), states: HashMap::new(), binds: HashMap::new(), bound: Vec::new() };
        for (place, configured) in config.listeners.iter().enumerate() {
            let state = match control.listeners.get(&configured.name) {
                Some(state) => Arc::clone(state),
                None => Arc::new(ListenerState::new(&configured.name)),
            };
            doors.listeners.push(Arc::new(Listener::new(configured, &state)));
            doors.states.insert(configured.name.clone(), state);
            for key in BindKey::all(configured) {
                if let Some(&id) = open.get(&key) {
                    doors.binds.insert(id, place);
                    continue;
                }
                match listener::bind(&configured.name, key, workers) {
                    Ok(bound) => {
                        doors.binds.insert(bound.id, place);
                        doors.bound.push(bound);
                    }
                    Err(error) => causes.push(error.into()),
                }
            }
        }
        doors
    }
}

impl Control {
    /// Puts a generation in force. Requests that are under way end by the one they began with.
    pub(crate) fn commit(&mut self, next: Next, shared: &Shared, workers: &[mpsc::UnboundedSender<Order>]) {
        let Next {
            snapshot,
            services,
            listeners,
            memberships,
            bound,
            access,
            config,
            access_log,
            access_counters,
            max_series,
        } = next;
        shared.metrics.bound_series(max_series);
        shared.overload.follow(&config.overload);
        let now = shared.now();
        for service in memberships {
            let orders = self.orders_of(&service.state.name).clone();
            service.commit(&orders, now);
        }
        let open: HashSet<BindId> = snapshot.binds.keys().copied().collect();
        self.retired.push(shared.snapshot.swap(Arc::new(snapshot)));
        for (name, state) in &self.services {
            if !services.contains_key(name) {
                state.retire();
            }
        }
        (self.services, self.listeners, self.access) = (services, listeners, Some(access));
        self.config = Some(config);
        self.access_counters = access_counters;
        if let Some(access_log) = access_log {
            self.change_access_log(access_log, shared, workers);
        }
        self.open(bound, shared, workers);
        self.close(&open, workers);
        shared.metrics.follow(&shared.snapshot.load());
    }

    fn orders_of(&self, service: &ServiceName) -> &HashMap<EndpointId, Override> {
        static NONE: LazyLock<HashMap<EndpointId, Override>> = LazyLock::new(HashMap::new);
        self.orders.get(service).unwrap_or(&NONE)
    }

    /// The host names among the endpoints.
    pub(crate) fn host_names(&self) -> BTreeSet<String> {
        let endpoints = self.config.iter().flat_map(|config| &config.services).flat_map(|one| &one.endpoints);
        let host = |endpoint: &config::Endpoint| match &endpoint.address {
            Target::Host(host) => Some(host.host.clone()),
            Target::Address(_) => None,
        };
        endpoints.filter_map(host).collect()
    }

    /// A host name resolves to these addresses now.
    pub(crate) fn resolved(&mut self, host: &str, addresses: &[IpAddr], now: Duration) {
        self.hosts.insert(host.to_owned(), addresses.to_vec());
        let Some(config) = self.config.clone() else { return };
        let uses =
            |endpoint: &config::Endpoint| matches!(&endpoint.address, Target::Host(one) if one.host == host);
        for service in config.services.iter().filter(|service| service.endpoints.iter().any(uses)) {
            self.rebuild(service, now);
        }
    }

    /// Orders something of an endpoint, or clears what was ordered; false when there is no such endpoint.
    pub(crate) fn order(
        &mut self,
        service: &ServiceName,
        endpoint: &EndpointId,
        order: Option<Override>,
        now: Duration,
    ) -> bool {
        let Some(config) = self.config.clone() else { return false };
        let cleared =
            order.is_none() && self.orders.get_mut(service).is_some_and(|all| all.remove(endpoint).is_some());
        let Some(configured) = config.services.iter().find(|one| one.name == *service) else {
            return cleared;
        };
        let state = &self.services[service];
        if cleared {
            self.rebuild(configured, now);
            return true;
        }
        if !state.membership.load().endpoints.iter().any(|one| one.id == *endpoint) {
            return false;
        }
        let orders = self.orders.entry(service.clone()).or_default();
        match order {
            Some(order) => orders.insert(endpoint.clone(), order),
            None => orders.remove(endpoint),
        };
        self.rebuild(configured, now);
        true
    }

    /// Ends the orders whose time has come.
    pub(crate) fn expire(&mut self, wall: SystemTime, now: Duration) {
        let Some(config) = self.config.clone() else { return };
        for service in &config.services {
            let Some(orders) = self.orders.get_mut(&service.name) else { continue };
            let before = orders.len();
            orders.retain(|endpoint, order| {
                let ends = order.has_run_out(wall);
                if ends {
                    tracing::info!(service = %service.name, %endpoint, "an order has run out");
                }
                !ends
            });
            if orders.len() < before {
                self.rebuild(service, now);
            }
        }
    }

    /// Builds the endpoints of a service anew: names or orders have changed.
    fn rebuild(&mut self, service: &config::Service, now: Duration) {
        let before = self.services.get(&service.name).map(|state| state.membership.load_full());
        let key = before.as_ref().and_then(|before| before.pins.as_ref()?.sessions.secrets.first().cloned());
        match NextService::prepare(service, self, key.as_ref(), now) {
            Ok(next) => next.commit(&self.orders_of(&service.name).clone(), now),
            Err(cause) => tracing::error!(service = %service.name, %cause, "its endpoints stay as they are"),
        }
    }

    fn open(&mut self, bound: Vec<Bound>, shared: &Shared, workers: &[mpsc::UnboundedSender<Order>]) {
        for mut bound in bound {
            let snapshot = shared.snapshot.load();
            let listener = Arc::clone(&snapshot.listeners[snapshot.binds[&bound.id]]);
            for (socket, worker) in std::mem::take(&mut bound.sockets).into_iter().zip(workers) {
                // From here on, or an end that comes before the worker looks would not wait for it.
                shared.doors.fetch_add(1, Ordering::SeqCst);
                tell(worker, Order::Accept(bound.id, Arc::clone(&listener), socket));
            }
            self.bound.push(bound);
        }
    }

    fn close(&mut self, open: &HashSet<BindId>, workers: &[mpsc::UnboundedSender<Order>]) {
        self.bound.retain(|bound| {
            let stays = open.contains(&bound.id);
            if !stays {
                workers.iter().for_each(|worker| tell(worker, Order::StopAccepting(bound.id)));
            }
            stays
        });
    }

    fn change_access_log(
        &mut self,
        access_log: Option<AccessLog>,
        shared: &Shared,
        workers: &[mpsc::UnboundedSender<Order>],
    ) {
        for worker in workers {
            tell(worker, Order::AccessLog(access_log.as_ref().map(AccessLog::sink)));
        }
        shared.access_log.store(access_log.as_ref().map(AccessLog::counters));
        if let Some(before) = std::mem::replace(&mut self.access_log, access_log) {
            before.close_behind();
        }
    }

    /// Frees the snapshots that nobody holds any more; returns how many are alive, the one in force included.
    pub(crate) fn collect(&mut self) -> usize {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.retired.len() + 1
    }
}

/// A worker that has ended needs to be told nothing.
fn tell(worker: &mpsc::UnboundedSender<Order>, order: Order) {
    let _ = worker.send(order);
}

/// The endpoints that a service shall have, as far as its host names are resolved.
fn wanted_endpoints(
    service: &config::Service,
    hosts: &Hosts,
    orders: &HashMap<EndpointId, Override>,
) -> Vec<Wanted> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::with_capacity(service.endpoints.len());
    let mut add = |id: EndpointId, address: Address, endpoint: &config::Endpoint| {
        // A host may well resolve to an address that is configured too.
        if seen.insert(id.clone()) {
            let weight = orders.get(&id).and_then(|order| order.weight).unwrap_or(endpoint.weight);
            wanted.push(Wanted { id, address, weight, state: endpoint.state });
        }
    };
    for endpoint in &service.endpoints {
        match &endpoint.address {
            Target::Address(address) => add(endpoint.id.clone(), address.clone(), endpoint),
            Target::Host(host) => {
                let addresses = hosts.get(host.host.as_str()).map_or(&[][..], Vec::as_slice);
                for address in addresses {
                    let address = Address::Tcp(SocketAddr::new(*address, host.port.get()));
                    add(host_id(endpoint, host, &address), address, endpoint);
                }
            }
        }
    }
    wanted
}

/// One of the addresses of a host is called by itself, behind the name that the endpoint was given.
fn host_id(endpoint: &config::Endpoint, host: &HostPort, address: &Address) -> EndpointId {
    let name = endpoint.id.as_str();
    let text = if name == host.to_string() { address.to_string() } else { format!("{name}@{address}") };
    text.parse().unwrap_or_else(|_| endpoint.id.clone())
}

/// The addresses that host names resolve to.
type Hosts = HashMap<String, Vec<IpAddr>>;

/// What is configured, else the parallelism that the machine and the process's quota allow.
pub(crate) fn wanted_workers(config: &Config) -> usize {
    config.workers.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        std::num::NonZeroUsize::get,
    )
}
