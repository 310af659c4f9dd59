//! The running data plane: what can be asked of it and changed.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use fulcrum_config::{Config, Discovery};
use fulcrum_model::{EndpointId, ListenerName, Reach, ServiceName, Source};
use tokio::sync::mpsc;

use crate::generation::{Control, Discovered, Next, PrepareError};
use crate::health;
use crate::metrics::Collector;
use crate::service::Override;
use crate::shared::{Phase, Shared};
use crate::worker::Order;

/// The running data plane.
#[derive(Debug)]
pub struct DataPlane {
    pub(crate) shared: Arc<Shared>,
    /// Until they are joined.
    pub(crate) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) orders: Vec<mpsc::UnboundedSender<Order>>,
    /// Held by whoever changes something, from its first look to the change.
    pub(crate) control: Mutex<Control>,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundListener {
    /// Its name.
    pub name: ListenerName,
    /// `host:port` or `unix:/path`, with the port that the kernel chose for port 0.
    pub addresses: Vec<String>,
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
    pub(crate) fn control(&self) -> MutexGuard<'_, Control> {
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

    /// The names in the registry that services of the configuration in force follow.
    pub fn followed(&self) -> BTreeSet<ServiceName> {
        self.control().followed()
    }

    /// The services of the configuration in force that have endpoints from outside of the registry, and from where. It
    /// waits for a change that is being prepared.
    pub fn sources(&self) -> Vec<(ServiceName, Source)> {
        self.control().sources()
    }

    /// These are all the endpoints that are discovered at a place now. Those that were there before live on with
    /// everything that is known of them. Addresses of names are told by [`resolved`](Self::resolved).
    pub fn discovered(&self, place: &Discovery, found: Vec<Discovered>) {
        self.control().discovered(place, found, self.shared.now());
    }

    /// What is known of the ways to the endpoints that were discovered under a name; those of which nothing is known
    /// may be left out. Waits for a change that is being prepared.
    pub fn reaches(&self, name: &ServiceName) -> HashMap<EndpointId, Reach> {
        self.control().reaches(name)
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
    pub(crate) fn tick(&self) {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fulcrum_config::EndpointState;
    use fulcrum_model::Weight;

    use super::*;
    use crate::prepare;

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
        // Also of an endpoint that is not there.
        assert!(plane.order(&service, &endpoint, Some(order(None, past))));
        let other = fulcrum_config::load_text("a.yaml", &CONFIG.replace("blue", "red"), &|_| None);
        plane.prepare(&other.expect("it is right").config).expect("the same address").commit();
        assert_eq!(plane.status().absent_orders.len(), 1);
        plane.tick();
        assert_eq!(plane.status().absent_orders, []);
        let nobody = "green".parse().expect("an id");
        assert!(!plane.order(&service, &nobody, Some(order(None, None))));
        assert!(!plane.order(&"shop".parse().expect("a name"), &endpoint, None));
        plane.stop();
    }
}
