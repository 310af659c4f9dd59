//! A named group of endpoints: which of them serves the next request.
//!
//! ```text
//!   Service (a generation's settings) ─► ServiceState (lives on) ─► Membership (endpoints + picker, swapped)
//!        └─► ServiceView (per worker) ─► MembersView ─► EndpointView (per worker, lives on): pool, numbers
//! ```

mod counts;
mod membership;
mod panic;
mod queue;
mod rules;
mod standing;
mod state;
mod streams;
mod verdict;
mod view;
mod waiting;

use std::net::IpAddr;
use std::sync::Arc;

use fulcrum_balance::{Policy, hash_key};
use fulcrum_config::{self as config, Balance, HashKey};
use fulcrum_model::ServiceName;

use crate::http::Client;
use crate::http::message::RequestHead;
use crate::http::route::{Attributes, first_parameter};
use crate::timer::Millis;

pub(crate) use membership::{Membership, Plan, Sessions, Terms, Wanted};
pub(crate) use panic::Panic;
pub(crate) use rules::{Check, Rules};
pub use standing::Override;
pub(crate) use standing::Standing;
pub(crate) use state::ServiceState;
pub(crate) use streams::{LongStay, Staying};
pub(crate) use verdict::Failing;
pub(crate) use view::{
    EndpointView, InFlight, MembersView, NoPick, Penalty, ServiceView, Spare, Tried, Watch,
};
pub(crate) use waiting::{HOLD, LOOK, Line, Waiter};

/// What a generation says of a service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) state: Arc<ServiceState>,
    pub(crate) policy: Policy,
    pub(crate) key: Option<HashKey>,
    pub(crate) timeouts: Timeouts,
    pub(crate) pool: config::Pool,
    pub(crate) slow_start: std::time::Duration,
    pub(crate) retry: config::Retry,
    pub(crate) queue: Queue,
    /// Upstream connections, busy and idle, that one endpoint may have.
    pub(crate) max_connections: u32,
    pub(crate) sticky: Option<Sticky>,
}

/// The line of a service, as configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    pub(crate) max: u32,
    pub(crate) timeout: Millis,
}

/// The cookie of a sticky service.
#[derive(Debug)]
pub(crate) struct Sticky {
    pub(crate) cookie: String,
    pub(crate) max_idle: Option<std::time::Duration>,
    pub(crate) max_life: Option<std::time::Duration>,
}

/// Clocks that run while we wait for the upstream, in milliseconds; [`NEVER`](crate::timer::NEVER) is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Option<std::time::Duration>,
    pub(crate) response_header: Millis,
    pub(crate) response_idle: Millis,
    pub(crate) stream_idle: Millis,
}

impl Service {
    pub(crate) fn new(service: &config::Service, state: &Arc<ServiceState>) -> Self {
        let (policy, key) = policy(&service.balance);
        Service {
            state: Arc::clone(state),
            policy,
            key,
            timeouts: Timeouts {
                connect: service.timeouts.connect,
                response_header: crate::timer::millis(service.timeouts.response_header),
                response_idle: crate::timer::millis(service.timeouts.response_idle),
                stream_idle: crate::timer::millis(service.timeouts.stream_idle),
            },
            pool: service.pool.clone(),
            slow_start: service.slow_start,
            retry: service.retry.clone(),
            queue: Queue {
                max: service.limits.queue.max,
                timeout: crate::timer::millis(Some(service.limits.queue.timeout)),
            },
            max_connections: service.limits.max_connections.map_or(u32::MAX, |most| most.get()),
            sticky: service.sticky.as_ref().map(|sticky| Sticky {
                cookie: sticky.cookie.clone(),
                max_idle: sticky.max_idle,
                max_life: sticky.max_life,
            }),
        }
    }

    pub(crate) fn name(&self) -> &ServiceName {
        &self.state.name
    }

    /// The name of the balancing policy, as in the configuration.
    pub(crate) fn policy_name(&self) -> &'static str {
        match self.policy {
            Policy::RoundRobin => "round_robin",
            Policy::LeastRequest => "least_request",
            Policy::Random => "random",
            Policy::Ring => "ring",
            Policy::Maglev => "maglev",
        }
    }

    /// What a connection is hashed by, where the policy hashes: its client is all that is known of it.
    pub(crate) fn source_key(&self, client: IpAddr) -> Option<u64> {
        self.key.as_ref().map(|_| hash_key(client.to_string().as_bytes()))
    }

    /// What this request is hashed by, where the policy hashes and the request has it.
    fn request_key(&self, client: &Client, head: &RequestHead, view: &impl Attributes) -> Option<u64> {
        let mut found = None;
        let mut first = |value: &[u8]| {
            found.get_or_insert(hash_key(value));
            true
        };
        match self.key.as_ref()? {
            HashKey::Source => return self.source_key(client.address),
            HashKey::Path => {
                first(&head.normal_path);
            }
            HashKey::Header(name) => {
                view.any_header(name, &mut first);
            }
            HashKey::Cookie(name) => {
                view.any_cookie(name, &mut first);
            }
            HashKey::Query(name) => {
                if let Some(value) = first_parameter(head.query_text(), name.as_bytes()) {
                    first(&value);
                }
            }
        }
        found
    }
}

pub(crate) fn policy(balance: &Balance) -> (Policy, Option<HashKey>) {
    match balance {
        Balance::RoundRobin => (Policy::RoundRobin, None),
        Balance::LeastRequest => (Policy::LeastRequest, None),
        Balance::Random => (Policy::Random, None),
        Balance::Ring(key) => (Policy::Ring, Some(key.clone())),
        Balance::Maglev(key) => (Policy::Maglev, Some(key.clone())),
    }
}
