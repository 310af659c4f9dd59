//! A configuration file as it is written: every key, in short and long form, each value with its place.
//!
//! These structs are also what the JSON schema is generated from, so the comments here are its descriptions.

mod discovery;
mod endpoint;
mod gslb;
mod health;
mod limits;
mod listener;
mod policy;
mod registry;
mod retry;
mod route;
mod service;
mod sticky;
mod zone;

pub(crate) use discovery::{RawDiscovery, RawHttpSource};
pub(crate) use endpoint::RawEndpoint;
pub(crate) use gslb::{
    RawDnsTcp, RawGeo, RawGslb, RawHeadroom, RawQueryLog, RawRegion, RawRegionOverride, RawResponseRate,
    RawVerdict,
};
pub(crate) use health::{
    ProbeMethod, RawExpect, RawHealth, RawHealthLong, RawOutlier, RawPanic, RawTcpProbe,
};
pub(crate) use limits::RawServiceLimits;
pub(crate) use listener::{RawHttp, RawListener, SpokenProtocol};
pub(crate) use policy::{
    DnsPanic, DnsPolicy, RawPolicyHealth, RawStickyKey, RawTarget, RawTargetLong, RawTtl, RawTtlLong,
};
pub(crate) use registry::{RawRegistry, RawRegistryDns, RawToken};
pub(crate) use retry::{RawRetry, RetryCause};
pub(crate) use route::{
    RawHeaderEdits, RawMatch, RawPath, RawRedirect, RawRespond, RawRewrite, RawRoute, RawValueMatch,
    exactly_one,
};
pub(crate) use service::{Policy, RawBalance, RawPool, RawService};
pub(crate) use sticky::RawSticky;
pub(crate) use zone::{RawName, RawNameKeys, RawSet, RawSoa, RawZone};

use schemars::JsonSchema;

use crate::bind::{AdminBind, SocketPath};
use crate::code::Code;
use crate::decode::{
    At, Checked, Complaint, Decode, Limit, Named, OneOrMany, Switch, Whole, Word, Words, complain,
};
use crate::directory::Directory;
use crate::duration::{Period, Span, Timeout};
use crate::fields::fields;
use crate::network::Network;
use crate::node::{Node, Resolved, Value};
use crate::percent::Percent;
use crate::process::LogLevel;
use crate::report::Problems;
use crate::secret::SecretText;

fields! {
    /// The configuration of Fulcrum.
    RawConfig {
        /// The version of this format: 1. Included files may leave it out.
        #[schemars(required)]
        version: Version,
        /// Data-plane threads. Default: the available parallelism.
        workers: Whole<1, 1024>,
        /// Further files, relative to this one: paths, folders (their *.yaml) or patterns like conf.d/*.yaml.
        include: OneOrMany<String>,
        /// Peers whose forwarded headers are believed.
        trusted_proxies: Vec<At<Network>>,
        /// What every listener and service inherits that does not say otherwise.
        defaults: RawDefaults,
        /// Where the daemon keeps what it must still know after a restart: an absolute path. Default /var/lib/fulcrum.
        state_dir: Directory,
        /// What the daemon does before it has more to do than it can.
        overload: RawOverload,
        /// How metrics are bounded.
        metrics: RawMetrics,
        /// How the daemon ends after SIGTERM.
        shutdown: RawShutdown,
        /// Where the daemon is operated.
        admin: RawAdmin,
        /// What is logged, and where to.
        log: RawLog,
        /// Addresses and what is spoken on them, by name.
        listeners: Named<RawListener>,
        /// Which requests go where. The order counts only among routes of equal precedence.
        routes: Vec<Checked<RawRoute>>,
        /// Groups of endpoints, by name.
        services: Named<RawService>,
        /// Where instances register, to be found by services and by others.
        registry: RawRegistry,
        /// Who answers DNS.
        gslb: RawGslb,
    }

    /// What every listener and service inherits that does not say otherwise.
    RawDefaults {
        /// Clocks of listeners and of services.
        timeouts: RawDefaultTimeouts,
        /// What a request may look like.
        http: RawHttp,
        /// How connections to upstreams are kept.
        pool: RawPool,
        /// How long an endpoint that has come up takes less than its share, or none. Default 10s; at most 1h.
        slow_start: Limit<Span<1, 3_600_000>>,
        /// What real traffic says about endpoints, or none.
        outlier: Switch<RawOutlier>,
        /// When a request is tried on another endpoint, or none.
        retry: Switch<RawRetry>,
    }

    /// Clocks of listeners (header, body_idle, keep_alive) and of services (the others).
    RawDefaultTimeouts {
        /// Total time for a request head. Default 10s.
        header: Limit<Timeout>,
        /// Time without progress on a body, either way. Default 60s.
        body_idle: Limit<Timeout>,
        /// Time between requests. Default 75s.
        keep_alive: Limit<Timeout>,
        /// Time to connect to an endpoint. Default 5s.
        connect: Limit<Timeout>,
        /// Time from the end of the request to the response head. Default 60s.
        response_header: Limit<Timeout>,
        /// Time without progress in a response body. Default 60s.
        response_idle: Limit<Timeout>,
        /// Time without progress in upgraded connections, server-sent events and gRPC. Default 1h.
        stream_idle: Limit<Timeout>,
    }

    /// How metrics are bounded.
    RawMetrics {
        /// Most series of routes and endpoints; the rest is counted under `other`. Default 100000.
        max_series: Whole<1, 100_000_000>,
    }

    /// What the daemon does before it has more to do than it can.
    RawOverload {
        /// Memory in use at which the daemon begins to save, in percent of what there is, or none. Default 85%.
        memory: Limit<Percent<1, 100>>,
        /// Most downstream connections of all listeners. Default: what the file descriptors allow.
        connections: Whole<1, 9_223_372_036_854_775_807>,
    }

    /// How the daemon ends after SIGTERM.
    RawShutdown {
        /// How long /readyz fails before accepting stops. Default 0s.
        pre_stop: Period,
        /// How long requests may take to finish. Default 30s.
        deadline: Period,
    }

    /// Where the daemon is operated.
    RawAdmin {
        /// The path of the unix socket, or none. Default /run/fulcrum/admin.sock.
        socket: Limit<At<SocketPath>>,
        /// A TCP address that serves metrics, health and readiness freely, the rest only with the token.
        bind: At<AdminBind>,
        /// The bearer token: file:/path, or the token itself.
        token: At<SecretText>,
    }

    /// What is logged, and where to.
    RawLog {
        /// The least level of diagnostics on standard error. Default info.
        level: Word<LogLevel>,
        /// The access log: a path, stdout, none, or the long form. Default none.
        access: RawAccess,
    }

    /// The access log in its long form.
    RawAccessLong {
        /// A path, stdout or none.
        path: At<String> = required,
        /// json, clf, or a template with {field} placeholders. Default json.
        format: At<String>,
    }
}

/// The access log.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawAccess {
    /// A path, stdout or none.
    Short(At<String>),
    /// Path and format.
    Long(RawAccessLong),
}

impl Decode for RawAccess {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RawAccessLong::decode(node, problems).map(RawAccess::Long),
            _ => At::decode(node, problems).map(RawAccess::Short),
        }
    }
}

/// The only version there is.
#[derive(Debug)]
pub(crate) struct Version;

impl Decode for Version {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.scalar().map(|scalar| scalar.resolved()) == Some(Resolved::Integer(1)) {
            return Some(Version);
        }
        let complaint = Complaint::new(Code::Version, "is not a version of this format")
            .note("this release reads `version: 1`");
        complain(node, complaint, problems);
        None
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": 1 })
    }
}

impl Words for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
}
