//! Limits of a service as they are written.

use crate::decode::{Limit, Whole};
use crate::duration::Timeout;
use crate::fields::fields;

fields! {
    /// How much a service takes at a time.
    RawServiceLimits {
        /// Requests in flight at an endpoint, or none. Default none.
        max_requests: Limit<Whole<1, 4_294_967_295>>,
        /// Connections to an endpoint, busy and idle, or none. Default none.
        max_connections: Limit<Whole<1, 4_294_967_295>>,
        /// What waits when every endpoint is at its limit.
        queue: RawQueue,
    }

    /// What waits when every endpoint is at its limit, in order of arrival.
    RawQueue {
        /// Most that wait; 0 for no queue. Default 1000.
        max: Whole<0, 1_000_000>,
        /// How long each may wait. Default 5s.
        timeout: Timeout,
    }
}
