//! How much a service takes at a time.

use std::num::NonZeroU32;
use std::time::Duration;

/// Bounds of each endpoint over all workers, and what waits when all are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLimits {
    /// Requests in flight at an endpoint. Default none.
    pub max_requests: Option<NonZeroU32>,
    /// Connections to an endpoint, busy and idle. Default none.
    pub max_connections: Option<NonZeroU32>,
    /// One for the whole service.
    pub queue: Queue,
}

/// What waits for an endpoint below its bounds, in order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Most that wait; 0 for no queue. Default 1000.
    pub max: u32,
    /// How long each may wait. Default 5 s.
    pub timeout: Duration,
}
