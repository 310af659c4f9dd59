//! Policies as they are written.

use schemars::JsonSchema;

use crate::decode::{At, Decode, Whole, Words};
use crate::duration::{Seconds, Span};
use crate::fields::fields;
use crate::node::{Node, Value};
use crate::probe_url::{HttpUrl, TcpUrl};
use crate::report::Problems;
use crate::target::IpText;

fields! {
    /// A target in its long form: exactly one of address and cname.
    RawTargetLong {
        /// An IPv4 or IPv6 address.
        address: At<IpText>,
        /// The name that is answered as an alias.
        cname: At<String>,
        /// Its share, relative to the others, for weighted and sticky; 0: only when there is no other. Default 1.
        weight: Whole<0, 65_535>,
    }

    /// How long an answer may be remembered.
    RawTtlLong {
        /// While nothing is about to change.
        max: Seconds = required,
        /// Near a change; not more than max.
        min: Seconds = required,
    }

    /// How much of a client's address counts.
    RawStickyKey {
        /// Bits of an IPv4 address. Default 24.
        v4: Whole<1, 32>,
        /// Bits of an IPv6 address. Default 56.
        v6: Whole<1, 128>,
    }

    /// How targets are probed: exactly one of http and tcp.
    RawPolicyHealth {
        /// A request at every target's own address: http://:8080/healthz.
        http: HttpUrl,
        /// A connection to every target's own address: tcp://:5432.
        tcp: TcpUrl,
        /// From one check to the next. Default 2s; from 100ms to 1h.
        interval: Span<100, 3_600_000>,
        /// A check that takes longer has failed. Default 1s; from 10ms to 1m.
        timeout: Span<10, 60_000>,
        /// Good checks in a row that make a suspected target good. Default 5.
        rise: Whole<1, 1000>,
        /// Bad checks, counted until there are `rise` good ones in a row, that make a target suspected. Default 4.
        fall: Whole<1, 1000>,
        /// How long a target is suspected before it is left out, 1s to 600s. Default that of verdict.
        hold: At<Span<1_000, 600_000>>,
    }
}

/// A target.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawTarget {
    /// An IPv4 or IPv6 address.
    Short(At<IpText>),
    /// With a weight, or an alias.
    Long(RawTargetLong),
}

impl Decode for RawTarget {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RawTargetLong::decode(node, problems).map(RawTarget::Long),
            _ => At::decode(node, problems).map(RawTarget::Short),
        }
    }
}

/// How long an answer may be remembered.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawTtl {
    /// Always the same.
    Short(Seconds),
    /// Less near a change.
    Long(At<RawTtlLong>),
}

impl Decode for RawTtl {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => At::decode(node, problems).map(RawTtl::Long),
            _ => Seconds::decode(node, problems).map(RawTtl::Short),
        }
    }
}

/// How targets are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DnsPolicy {
    Geo,
    Nearest,
    RoundRobin,
    Weighted,
    Sticky,
    Failover,
}

impl DnsPolicy {
    /// As it is written.
    pub(crate) fn as_str(self) -> &'static str {
        DnsPolicy::WORDS.iter().find(|(_, word)| *word == self).map_or("", |(text, _)| text)
    }
}

impl Words for DnsPolicy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("round_robin", DnsPolicy::RoundRobin),
        ("weighted", DnsPolicy::Weighted),
        ("nearest", DnsPolicy::Nearest),
        ("geo", DnsPolicy::Geo),
        ("failover", DnsPolicy::Failover),
        ("sticky", DnsPolicy::Sticky),
    ];
}

/// What is answered when nothing is eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DnsPanic {
    All,
    LastGood,
    Fallback,
    NoData,
}

impl Words for DnsPanic {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("all", DnsPanic::All),
        ("last_good", DnsPanic::LastGood),
        ("fallback", DnsPanic::Fallback),
        ("nodata", DnsPanic::NoData),
    ];
}
