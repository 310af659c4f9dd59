//! What the data plane looks like right now, as plain values.

use std::time::SystemTime;

use crate::service::Override;

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
    /// Requests there now.
    pub in_flight: u64,
    /// Upstream connections, busy and idle.
    pub connections: u64,
    /// Responses received so far.
    pub requests: u64,
    /// Failed attempts so far.
    pub errors: u64,
}
