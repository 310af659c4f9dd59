//! What the data plane looks like right now, as plain values.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use fulcrum_model::{Address, EndpointId, ServiceName};

use crate::data_plane::DataPlane;
use crate::service::{Membership, Override, Service};
use crate::timer;

/// A look at the whole data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The configuration in force.
    pub generation: u64,
    /// By number.
    pub workers: Vec<WorkerStatus>,
    /// In configured order.
    pub listeners: Vec<ListenerStatus>,
    /// In configured order.
    pub services: Vec<ServiceStatus>,
    /// Sorted by service and endpoint.
    pub absent_orders: Vec<AbsentOrder>,
}

/// What is ordered of an endpoint that there is not, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentOrder {
    /// The service, which may be absent too.
    pub service: ServiceName,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// What is ordered.
    pub order: Override,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Downstream connections open now.
    pub connections: u64,
    /// Connections accepted so far, those handed over included.
    pub accepted: u64,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Downstream connections open now.
    pub connections: u64,
    /// Requests answered so far.
    pub requests: u64,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Its balancing policy.
    pub balance: String,
    /// Endpoints that no operator has withdrawn.
    pub total: u64,
    /// How many of them nothing is known against.
    pub healthy: u64,
    /// How far health is ignored because too few are healthy: `no`, `reachable`, `all`.
    pub panic: &'static str,
    /// Requests wait, because no endpoint has been heard of yet.
    pub is_holding: bool,
    /// Requests that wait for a place at an endpoint.
    pub waiting: u64,
    /// Retries that could be made at once, as of the last attempt to make one.
    pub retries_left: u64,
    /// In configured order.
    pub endpoints: Vec<EndpointStatus>,
}

/// One endpoint of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Its identity within the service.
    pub id: String,
    /// Where it is.
    pub address: String,
    /// Its share.
    pub weight: u16,
    /// Who has said so: `config`, `discovery`, `heartbeat` or `order`.
    pub weight_from: &'static str,
    /// `up`, `starting`, `unknown`, `ejected`, `down`, `unreachable`, `draining` or `maintenance`.
    pub state: &'static str,
    /// Since when it is that.
    pub since: SystemTime,
    /// Why it is that.
    pub why: String,
    /// What an operator has ordered.
    pub order: Option<Override>,
    /// What its last check that did not pass has found; nothing when the last one passed.
    pub last_check_failure: Option<String>,
    /// Requests of ours there now.
    pub in_flight: u64,
    /// Those of others, as the instance has said: what is no news any more is not counted.
    pub elsewhere: u64,
    /// Requests that it may have of us at a time, if that has a limit.
    pub limit: Option<u32>,
    /// Upstream connections, busy and idle.
    pub connections: u64,
    /// Responses received so far.
    pub requests: u64,
    /// Failed attempts so far.
    pub errors: u64,
}

/// What a service can take now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLoad {
    /// Its endpoints that have an internet address: where they are, their shares, and whether they get new requests.
    pub endpoints: Vec<(SocketAddr, u16, bool)>,
    /// How many of all its endpoints get new requests.
    pub healthy: u32,
    /// Requests at its endpoints, and those that wait for a place at one.
    pub requests: u64,
    /// How many requests its healthy endpoints can work on at a time; `None` where one of them has no limit.
    pub capacity: Option<u64>,
    /// Nothing is known of its endpoints yet.
    pub is_unknown: bool,
}

impl DataPlane {
    /// What a service can take now; nothing when there is no such service.
    pub fn service_load(&self, name: &ServiceName) -> Option<ServiceLoad> {
        let snapshot = self.shared.snapshot.load();
        let service = snapshot.services.iter().find(|found| found.name() == name)?;
        let membership = service.state.membership.load();
        let mut load = ServiceLoad {
            endpoints: Vec::with_capacity(membership.endpoints.len()),
            healthy: 0,
            requests: service.state.queue.waiting().into(),
            capacity: Some(0),
            is_unknown: service.state.is_holding(),
        };
        for (endpoint, (weight, _)) in membership.endpoints.iter().zip(membership.weights.iter()) {
            let is_healthy = endpoint.gate().lets_new_requests();
            load.requests += u64::from(endpoint.in_flight());
            if is_healthy {
                load.healthy += 1;
                load.capacity =
                    load.capacity.zip(endpoint.limit()).map(|(sum, limit)| sum + u64::from(limit));
            }
            if let Address::Tcp(address) = endpoint.address {
                load.endpoints.push((address, weight.get(), is_healthy));
            }
        }
        Some(load)
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
            absent_orders: self.control().absent_orders(),
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

    fn service_status(&self, service: &Service) -> ServiceStatus {
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

    fn look_at(&self, service: &Service, membership: &Membership, place: usize) -> EndpointStatus {
        let endpoint = &membership.endpoints[place];
        let (requests, errors) =
            self.shared.metrics.endpoint_totals(service.name().as_str(), endpoint.id.as_str());
        let standing = endpoint.standing().clone();
        let (weight, weight_source) = membership.weights[place];
        EndpointStatus {
            id: endpoint.id.to_string(),
            address: endpoint.address.to_string(),
            weight: weight.get(),
            weight_from: weight_source.as_str(),
            state: endpoint.gate().word(),
            since: standing.since,
            why: standing.why,
            order: standing.order,
            last_check_failure: standing.checked.and_then(|checked| checked.failure),
            in_flight: u64::from(endpoint.in_flight()),
            elsewhere: u64::from(endpoint.elsewhere.at(timer::millis(Some(self.shared.now())))),
            limit: endpoint.limit(),
            connections: u64::from(endpoint.connections()),
            requests,
            errors,
        }
    }
}
