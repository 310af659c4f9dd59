//! A service as it is written.

use schemars::JsonSchema;

use crate::decode::{At, AtLeastOne, Decode, Limit, Switch, Whole, Word, Words};
use crate::duration::{Span, Timeout};
use crate::fields::fields;
use crate::node::{Node, Value};
use crate::report::Problems;

use super::{
    RawDiscovery, RawEndpoint, RawHealth, RawOutlier, RawPanic, RawRetry, RawServiceLimits, RawSticky,
};

fields! {
    /// A named group of endpoints.
    RawService {
        /// At least one, unless they are discovered: IP:PORT, NAME:PORT, unix:/path, or the long form.
        endpoints: AtLeastOne<RawEndpoint>,
        /// Where endpoints are found besides those that are given.
        discovery: RawDiscovery,
        /// How an endpoint is chosen: a policy, or the long form. Default least_request.
        balance: RawBalance,
        /// How long an endpoint that has come up takes less than its share, or none. Default 10s; at most 1h.
        slow_start: Limit<Span<1, 3_600_000>>,
        /// What happens when few endpoints are healthy.
        panic: RawPanic,
        /// How endpoints are checked: a path, the long form, or none. Default none.
        health: Switch<RawHealth>,
        /// What real traffic says about endpoints, or none.
        outlier: Switch<RawOutlier>,
        /// When a request is tried on another endpoint, or none.
        retry: Switch<RawRetry>,
        /// How much the service takes at a time.
        limits: RawServiceLimits,
        /// How a client is brought back to its endpoint: cookie, the long form, or none. Default none.
        sticky: Switch<RawSticky>,
        /// What becomes of existing work when an endpoint is removed or drained.
        drain: RawDrain,
        /// How long to wait for the upstream.
        timeouts: RawUpstreamTimeouts,
        /// How connections to the upstream are kept.
        pool: RawPool,
    }

    /// How an endpoint is chosen, in its long form.
    RawBalanceLong {
        /// The policy.
        policy: Word<Policy> = required,
        /// What ring and maglev hash: source, path, header:NAME, cookie:NAME or query:NAME. Default source.
        key: At<String>,
    }

    /// How long to wait for the upstream.
    RawUpstreamTimeouts {
        /// Time to connect. Default 5s.
        connect: Limit<Timeout>,
        /// Time from the end of the request to the response head. Default 60s.
        response_header: Limit<Timeout>,
        /// Time without progress in a response body. Default 60s.
        response_idle: Limit<Timeout>,
        /// Time without progress in upgraded connections, server-sent events and gRPC. Default 1h.
        stream_idle: Limit<Timeout>,
    }

    /// What becomes of existing work when an endpoint is removed or drained.
    RawDrain {
        /// How long it may go on, or none. Default 5m.
        timeout: Limit<Timeout>,
    }

    /// How connections to the upstream are kept, per worker and endpoint.
    RawPool {
        /// Most idle connections kept; 0 for none. Default 100.
        max_idle: Whole<0, 1_000_000>,
        /// Oldest connection that is used again, or none. Default 1h.
        max_age: Limit<Timeout>,
        /// Most requests on one connection, or none. Default 100000.
        max_requests: Limit<Whole<1, 9_223_372_036_854_775_807>>,
        /// Longest time unused, or none. Default 55s.
        idle: Limit<Timeout>,
    }
}

/// How an endpoint is chosen.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawBalance {
    /// A policy.
    Short(Word<Policy>),
    /// Policy and key.
    Long(RawBalanceLong),
}

impl Decode for RawBalance {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RawBalanceLong::decode(node, problems).map(RawBalance::Long),
            _ => Word::decode(node, problems).map(RawBalance::Short),
        }
    }
}

/// The policies of balancing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    RoundRobin,
    LeastRequest,
    Random,
    Ring,
    Maglev,
}

impl Words for Policy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("round_robin", Policy::RoundRobin),
        ("least_request", Policy::LeastRequest),
        ("random", Policy::Random),
        ("ring", Policy::Ring),
        ("maglev", Policy::Maglev),
    ];
}
