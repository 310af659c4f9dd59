//! What the responder sees of others: services, and how checks end.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use fulcrum_config::HealthCheck;
use fulcrum_model::ServiceName;

/// A service of the balancer as names and regions need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceView {
    /// Its endpoints that have an internet address.
    pub endpoints: Vec<EndpointView>,
    /// How many of all its endpoints get new requests.
    pub healthy: u32,
    /// Requests in flight and queued.
    pub load: f64,
    /// How many requests its healthy endpoints can work on at a time; `None` where one of them has no limit.
    pub capacity: Option<f64>,
    /// Nothing is known of its endpoints yet.
    pub is_unknown: bool,
}

/// An endpoint of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointView {
    /// Where it is.
    pub address: IpAddr,
    /// Where it serves.
    pub port: u16,
    /// Its share.
    pub weight: u16,
    /// Whether it gets new requests.
    pub is_healthy: bool,
}

/// What the responder asks of others.
#[derive(Clone)]
pub struct Outside {
    /// A service of the balancer; `None` if there is no such service.
    pub service: Arc<ViewService>,
    /// Runs one check.
    pub probe: Arc<RunProbe>,
}

/// Looks at a service.
pub type ViewService = dyn Fn(&ServiceName) -> Option<ServiceView> + Send + Sync;

/// Begins a check of an address.
pub type RunProbe = dyn Fn(SocketAddr, Arc<HealthCheck>) -> Probe + Send + Sync;

/// A check that runs.
pub type Probe = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
