//! From a configuration to the next generation: what lives on, what is new, what goes.
//!
//! Everything that can fail is done in [`Next::prepare`], where nothing of it is visible; [`Control::commit`] cannot fail.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fulcrum_config::{self as config, Config, Target};
use fulcrum_model::{Address, EndpointId, HostPort, ListenerName, ServiceName};
use tokio::sync::mpsc;

use crate::http::access_log::{AccessLog, Counters};
use crate::listener::{self, BindError, BindId, BindKey, Bound, Listener, ListenerState};
use crate::service::{self, Membership, Service, ServiceState, Wanted};
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
    /// Snapshots that some request may still hold. They are freed here: a worker has better things to do.
    retired: Vec<Arc<Snapshot>>,
}

/// A generation that can be put in force.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) snapshot: Snapshot,
    services: HashMap<ServiceName, Arc<ServiceState>>,
    listeners: HashMap<ListenerName, Arc<ListenerState>>,
    memberships: Vec<(Arc<ServiceState>, Arc<Membership>)>,
    /// Newly bound.
    bound: Vec<Bound>,
    access: config::AccessLog,
    /// Where access records go from now on, if that changes.
    access_log: Option<Option<AccessLog>>,
    access_counters: Arc<Counters>,
    pub(crate) max_series: usize,
}

impl Next {
    /// Builds what `config` says around what `control` has. `workers` is how many there are.
    pub(crate) fn prepare(
        config: &Config,
        control: &Control,
        generation: u64,
        workers: usize,
    ) -> Result<Next, PrepareError> {
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
        if !causes.is_empty() {
            return Err(PrepareError { causes });
        }
        let mut services = HashMap::new();
        let mut memberships = Vec::new();
        let mut built = Vec::with_capacity(config.services.len());
        for configured in &config.services {
            let (policy, _) = service::policy(&configured.balance);
            let state = match control.services.get(&configured.name) {
                Some(state) => Arc::clone(state),
                None => Arc::new(ServiceState::new(&configured.name, policy)),
            };
            if let Some(membership) = state.plan(policy, &wanted_endpoints(configured, &control.hosts)) {
                memberships.push((Arc::clone(&state), membership));
            }
            built.push(Arc::new(Service::new(configured, &state)));
            services.insert(configured.name.clone(), state);
        }
        let Doors { listeners, states, binds, bound } = doors;
        // The last that can fail: from here on clients may connect.
        for bound in &bound {
            let name = listeners[binds[&bound.id]].name();
            bound.listen(name).map_err(|error| PrepareError { causes: vec![error.into()] })?;
        }
        Ok(Next {
            snapshot: Snapshot::new(config, generation, built, listeners, binds),
            services,
            listeners: states,
            memberships,
            bound,
            access: log.clone(),
            access_log,
            access_counters,
            max_series: config.metrics.max_series.get(),
        })
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
            access_log,
            access_counters,
            max_series,
        } = next;
        shared.metrics.bound_series(max_series);
        for (state, membership) in memberships {
            state.replace(membership);
        }
        let open: HashSet<BindId> = snapshot.binds.keys().copied().collect();
        self.retired.push(shared.snapshot.swap(Arc::new(snapshot)));
        for (name, state) in &self.services {
            if !services.contains_key(name) {
                state.retire();
            }
        }
        (self.services, self.listeners, self.access) = (services, listeners, Some(access));
        self.access_counters = access_counters;
        if let Some(access_log) = access_log {
            self.change_access_log(access_log, shared, workers);
        }
        self.open(bound, workers);
        self.close(&open, workers);
        shared.metrics.forget(&shared.snapshot.load());
    }

    fn open(&mut self, bound: Vec<Bound>, workers: &[mpsc::UnboundedSender<Order>]) {
        for mut bound in bound {
            for (socket, worker) in std::mem::take(&mut bound.sockets).into_iter().zip(workers) {
                tell(worker, Order::Accept(bound.id, socket));
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
fn wanted_endpoints(service: &config::Service, hosts: &Hosts) -> Vec<Wanted> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::with_capacity(service.endpoints.len());
    let mut add = |id: EndpointId, address: Address, endpoint: &config::Endpoint| {
        // A host may well resolve to an address that is configured too.
        if seen.insert(id.clone()) {
            wanted.push(Wanted { id, address, weight: endpoint.weight, state: endpoint.state });
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
