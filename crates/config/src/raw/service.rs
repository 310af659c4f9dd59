//! A service as it is written.

use schemars::JsonSchema;

use crate::address::AddressText;
use crate::decode::{At, AtLeastOne, Decode, Limit, Whole, Word, Words};
use crate::duration::Timeout;
use crate::fields::fields;
use crate::node::{Node, Value};
use crate::report::Problems;

fields! {
    /// A named group of endpoints.
    RawService {
        /// At least one: IP:PORT, unix:/path, or the long form.
        endpoints: AtLeastOne<RawEndpoint> = required,
        /// How an endpoint is chosen: a policy, or the long form. Default least_request.
        balance: RawBalance,
        /// How long to wait for the upstream.
        timeouts: RawUpstreamTimeouts,
        /// How connections to the upstream are kept.
        pool: RawPool,
    }

    /// An endpoint in its long form.
    RawEndpointLong {
        /// Its identity in metrics and logs. Default: the address.
        id: At<String>,
        /// IP:PORT or unix:/path.
        address: At<AddressText> = required,
        /// Its share of traffic, relative to the others. Default 1.
        weight: Whole<1, 65_535>,
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

/// An endpoint.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawEndpoint {
    /// IP:PORT or unix:/path.
    Short(At<AddressText>),
    /// Address, identity and weight.
    Long(RawEndpointLong),
}

impl Decode for RawEndpoint {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RawEndpointLong::decode(node, problems).map(RawEndpoint::Long),
            _ => At::decode(node, problems).map(RawEndpoint::Short),
        }
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
