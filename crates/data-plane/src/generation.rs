//! From a configuration to the next generation: what lives on, what is new, what goes.
//!
//! Everything that can fail is done in [`Next::prepare`], where nothing of it is visible; [`Control::commit`] cannot fail.

mod discovered;
mod doors;
mod hosts;
mod orders;
mod service;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fulcrum_balance::session::SessionKeyError;
use fulcrum_config::{self as config, Config};
use fulcrum_model::{ListenerName, ServiceName};
use tokio::sync::mpsc;

use crate::http::access_log::{AccessLog, Counters};
use crate::listener::{BindError, BindId, Bound, ListenerState};
use crate::service::{Service, ServiceState};
use crate::session_key::{self, SessionKeyFileError};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::worker::Order;

use discovered::Findings;
use doors::Doors;
use hosts::Hosts;
use orders::Orders;
use service::NextService;

pub use discovered::{Discovered, LoadTerms};

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
    /// As last heard, too.
    findings: Findings,
    /// What operators have ordered.
    orders: Orders,
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
        self.hear_all(&config);
        self.config = Some(config);
        self.access_counters = access_counters;
        if let Some(access_log) = access_log {
            self.change_access_log(access_log, shared, workers);
        }
        self.open(bound, shared, workers);
        self.close(&open, workers);
        workers.iter().for_each(|worker| tell(worker, Order::Look));
        shared.metrics.follow(&shared.snapshot.load());
    }

    /// Builds the endpoints of a service anew: names or orders have changed.
    fn rebuild(&mut self, service: &config::Service, now: Duration) {
        let before = self.services.get(&service.name).map(|state| state.membership.load_full());
        let key = before.as_ref().and_then(|before| before.pins.as_ref()?.sessions.secrets.first().cloned());
        match NextService::prepare(service, self, key.as_ref(), now) {
            Ok(next) => {
                next.commit(&self.orders_of(&service.name).clone(), now);
                self.hear(service);
            }
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

/// What is configured, else the parallelism that the machine and the process's quota allow.
pub(crate) fn wanted_workers(config: &Config) -> usize {
    config.workers.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        std::num::NonZeroUsize::get,
    )
}
