//! The document of `/status`: written by the daemon, read by `fulcrum status`.

use fulcrum_data_plane as data_plane;
use serde::{Deserialize, Serialize};

use crate::reload::ConfigHistory;

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
    pub(crate) endpoints: Vec<EndpointStatus>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EndpointStatus {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) weight: u16,
    /// Requests there now.
    pub(crate) in_flight: u64,
    /// Answered since start.
    pub(crate) requests: u64,
    /// Failed attempts since start.
    pub(crate) errors: u64,
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
            in_flight: endpoint.in_flight,
            requests: endpoint.requests,
            errors: endpoint.errors,
        }
    }
}
