//! One place of a service: where it is, its share, and whether it takes work.

use std::fmt;

use fulcrum_model::{Address, EndpointId, HostPort, Weight};

/// One configured endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Unique within the service; default its address.
    pub id: EndpointId,
    /// Where it is.
    pub address: Target,
    /// Its share. Default 1.
    pub weight: Weight,
    /// What it takes. Default up.
    pub state: EndpointState,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// An address that can be connected to as it is.
    Address(Address),
    /// A name that stands for all its addresses, which change with time.
    Host(HostPort),
}

impl fmt::Display for Target {
    /// As in a configuration: `10.0.0.1:80`, `unix:/path`, `app.internal:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Address(address) => address.fmt(f),
            Target::Host(host) => host.fmt(f),
        }
    }
}

/// What an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// All work, while it is healthy.
    Up,
    /// What is pinned to it and what it has already; nothing new.
    Drain,
    /// Nothing at all.
    Maintenance,
}
