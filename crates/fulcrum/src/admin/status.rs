//! The document of `/status`: written by the daemon, read by `fulcrum status`.

use fulcrum_data_plane as data_plane;
use serde::{Deserialize, Serialize};

use super::discovery::DiscoveryStatus;
use super::gslb::GslbStatus;
use super::order::OrderDocument;
use super::registry::RegistryStatus;
use crate::reload::ConfigHistory;
use fulcrum_control_plane::timestamp::Timestamp;

/// What a daemon is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatusDocument {
    /// Of the program.
    pub(crate) version: String,
    /// The process id.
    pub(crate) pid: u32,
    /// Whether it takes new work.
    pub(crate) state: State,
    /// Since it serves.
    pub(crate) uptime_seconds: f64,
    /// The number of the configuration in use.
    pub(crate) generation: u64,
    /// Where that came from, and how it is doing.
    pub(crate) config: ConfigStatus,
    /// Downstream connections open now.
    pub(crate) connections: u64,
    /// Requests in progress now.
    pub(crate) requests: u64,
    /// Where it is operated.
    pub(crate) admin: Vec<String>,
    pub(crate) workers: Vec<WorkerStatus>,
    pub(crate) listeners: Vec<ListenerStatus>,
    pub(crate) services: Vec<ServiceStatus>,
    pub(crate) absent_overrides: Vec<AbsentOverride>,
    pub(crate) host_names: Vec<HostNameStatus>,
    #[serde(default)]
    pub(crate) discovery: Vec<DiscoveryStatus>,
    /// Nothing where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registry: Option<RegistryStatus>,
    /// Nothing where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gslb: Option<GslbStatus>,
}

/// A host name among the endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HostNameStatus {
    pub(crate) name: String,
    /// The last good ones.
    pub(crate) addresses: Vec<String>,
    /// Nothing before the first one.
    pub(crate) last_answer: Option<Timestamp>,
    /// What was wrong with the last look-up, also with one kind of addresses of an answered one.
    pub(crate) last_failure: Option<String>,
    /// Look-ups in a row that gave no addresses.
    pub(crate) failures: u32,
}

/// What is ordered of an endpoint that there is not, now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AbsentOverride {
    pub(crate) service: String,
    pub(crate) endpoint: String,
    #[serde(rename = "override")]
    pub(crate) order: OrderDocument,
}

/// The configuration in use, and the last attempt to use another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfigStatus {
    /// Its number.
    pub(crate) generation: u64,
    #[serde(flatten)]
    pub(crate) history: ConfigHistory,
}

/// Whether a daemon takes new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It does.
    Ready,
    /// It was told to end.
    Draining,
}

/// One thread of the data plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorkerStatus {
    /// Open now.
    pub(crate) connections: u64,
    /// Since start.
    pub(crate) accepted: u64,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListenerStatus {
    pub(crate) name: String,
    /// As bound: a port 0 has become a real one.
    pub(crate) addresses: Vec<String>,
    /// Open now.
    pub(crate) connections: u64,
    /// Answered since start.
    pub(crate) requests: u64,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceStatus {
    pub(crate) name: String,
    pub(crate) balance: String,
    /// Endpoints that no operator has withdrawn.
    pub(crate) total: u64,
    /// How many of them nothing is known against.
    pub(crate) healthy: u64,
    /// How far health is ignored because too few are healthy: `no`, `reachable`, `all`.
    pub(crate) panic: String,
    /// Requests wait, because no endpoint has been heard of yet.
    pub(crate) holding: bool,
    pub(crate) queue: QueueStatus,
    /// Retries that could be made at once, as of the last one.
    pub(crate) retries_left: u64,
    pub(crate) endpoints: Vec<EndpointStatus>,
}

/// The line of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct QueueStatus {
    /// Requests in it now.
    pub(crate) waiting: u64,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EndpointStatus {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) weight: u16,
    /// Who has said so: `config`, `discovery`, `heartbeat` or `order`.
    pub(crate) weight_from: String,
    /// `up`, `starting`, `unknown`, `ejected`, `down`, `unreachable`, `draining` or `maintenance`.
    pub(crate) state: String,
    /// Since when it is that.
    pub(crate) since: Timestamp,
    /// Why it is that.
    pub(crate) why: String,
    /// Requests of ours there now.
    pub(crate) in_flight: u64,
    /// Those of others, as the instance has said a while ago at most.
    pub(crate) elsewhere: u64,
    /// Requests that it may have of us at a time; nothing when that has no limit.
    pub(crate) limit: Option<u32>,
    /// Upstream connections, busy and idle.
    pub(crate) connections: u64,
    /// Answered since start.
    pub(crate) requests: u64,
    /// Failed attempts since start.
    pub(crate) errors: u64,
    /// What an operator has ordered.
    #[serde(rename = "override")]
    pub(crate) order: Option<OrderDocument>,
    /// What its last check has found; nothing when that has passed.
    pub(crate) last_check_failure: Option<String>,
}

impl From<data_plane::AbsentOrder> for AbsentOverride {
    fn from(absent: data_plane::AbsentOrder) -> Self {
        AbsentOverride {
            service: absent.service.to_string(),
            endpoint: absent.endpoint.to_string(),
            order: absent.order.into(),
        }
    }
}

impl From<data_plane::WorkerStatus> for WorkerStatus {
    fn from(worker: data_plane::WorkerStatus) -> Self {
        WorkerStatus { connections: worker.connections, accepted: worker.accepted }
    }
}

impl From<data_plane::ListenerStatus> for ListenerStatus {
    fn from(listener: data_plane::ListenerStatus) -> Self {
        ListenerStatus {
            name: listener.name,
            addresses: listener.addresses,
            connections: listener.connections,
            requests: listener.requests,
        }
    }
}

impl From<data_plane::ServiceStatus> for ServiceStatus {
    fn from(service: data_plane::ServiceStatus) -> Self {
        ServiceStatus {
            name: service.name,
            balance: service.balance,
            total: service.total,
            healthy: service.healthy,
            panic: service.panic.to_owned(),
            holding: service.is_holding,
            queue: QueueStatus { waiting: service.waiting },
            retries_left: service.retries_left,
            endpoints: service.endpoints.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<data_plane::EndpointStatus> for EndpointStatus {
    fn from(endpoint: data_plane::EndpointStatus) -> Self {
        EndpointStatus {
            id: endpoint.id,
            address: endpoint.address,
            weight: endpoint.weight,
            weight_from: endpoint.weight_from.to_owned(),
            state: endpoint.state.to_owned(),
            since: Timestamp(endpoint.since),
            why: endpoint.why,
            in_flight: endpoint.in_flight,
            elsewhere: endpoint.elsewhere,
            limit: endpoint.limit,
            connections: endpoint.connections,
            requests: endpoint.requests,
            errors: endpoint.errors,
            order: endpoint.order.map(Into::into),
            last_check_failure: endpoint.last_check_failure,
        }
    }
}
