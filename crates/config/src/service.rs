//! A named group of endpoints with balancing, limits and timeouts.

use std::num::NonZeroU64;
use std::time::Duration;

use fulcrum_model::ServiceName;

use crate::endpoint::Endpoint;
use crate::health::{HealthCheck, Outlier, Panic};
use crate::limits::ServiceLimits;
use crate::registry::Discovery;
use crate::retry::Retry;
use crate::sticky::Sticky;

/// A validated service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Unique among services.
    pub name: ServiceName,
    /// Ids are unique; at least one, unless they are discovered.
    pub endpoints: Vec<Endpoint>,
    /// Where endpoints are found besides those that are configured.
    pub discovery: Option<Discovery>,
    /// How an endpoint is chosen. Default least_request.
    pub balance: Balance,
    /// How long an endpoint that has come up takes less than its share. Default 10 s, at most 1 h; zero for not at all.
    pub slow_start: Duration,
    /// What happens when few endpoints are healthy.
    pub panic: Panic,
    /// How endpoints are checked. Default not at all.
    pub health: Option<HealthCheck>,
    /// What real traffic says about endpoints; `None` (`outlier: none`) when it is not listened to.
    pub outlier: Option<Outlier>,
    /// When a request is tried on another endpoint.
    pub retry: Retry,
    /// How much the service takes at a time.
    pub limits: ServiceLimits,
    /// How a client is brought back to its endpoint. Default not at all.
    pub sticky: Option<Sticky>,
    /// How long existing work may go on after an endpoint is removed or drained. Default 5 min; `None` is no limit.
    pub drain: Option<Duration>,
    /// How long to wait for the upstream.
    pub timeouts: UpstreamTimeouts,
    /// How connections to the upstream are kept.
    pub pool: Pool,
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Smooth weighted turns.
    RoundRobin,
    /// The less loaded of two weighted draws.
    LeastRequest,
    /// A weighted draw.
    Random,
    /// Consistent hashing on a ring.
    Ring(HashKey),
    /// Consistent hashing by a Maglev table.
    Maglev(HashKey),
}

/// What is hashed. A request without it is balanced by turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    Source,
    /// The first field of this lower-case name.
    Header(String),
    /// The cookie of this name.
    Cookie(String),
    /// The query parameter of this name.
    Query(String),
    /// The normalised path.
    Path,
}

/// Clocks that run while we wait for the upstream. `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// To connect. Default 5 s.
    pub connect: Option<Duration>,
    /// From the end of the request to the response head. Default 60 s.
    pub response_header: Option<Duration>,
    /// Without progress in a response body. Default 60 s.
    pub response_idle: Option<Duration>,
    /// Without progress in upgraded connections, server-sent events and gRPC. Default 1 h.
    pub stream_idle: Option<Duration>,
}

/// How connections to the upstream are kept, per worker and endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Most idle connections kept; 0 for none. Default 100.
    pub max_idle: u32,
    /// Oldest connection that is used again. Default 1 h.
    pub max_age: Option<Duration>,
    /// Most requests on one connection. Default 100,000.
    pub max_requests: Option<NonZeroU64>,
    /// Longest time unused. Default 55 s.
    pub idle: Option<Duration>,
}
