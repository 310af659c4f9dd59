//! What the data plane looks like right now, as plain values.

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
    /// Requests there now.
    pub in_flight: u64,
    /// Responses received so far.
    pub requests: u64,
    /// Failed attempts so far.
    pub errors: u64,
}
