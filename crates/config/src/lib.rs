//! From YAML text to a configuration that cannot be wrong.
//!
//! ```text
//!   file, includes ─► events ─► tree of places: merge, ${VAR} ─► raw structs ─► validate ─► Config
//!                        └───────────── every error of every step, with file:line:col ─────────┘
//! ```
//!
//! After [`load`] nobody re-checks: names resolve, limits are in range, patterns compile.

mod address;
mod bind;
mod code;
mod compose;
mod decode;
mod directory;
mod dns;
mod duration;
mod endpoint;
mod field;
mod fields;
mod file;
mod geo;
mod grant;
pub mod gslb;
mod health;
mod host;
mod limits;
mod listener;
mod load;
mod moment;
mod network;
mod node;
mod path;
mod pattern;
mod percent;
mod probe;
mod probe_url;
mod process;
mod rate;
mod raw;
mod registry;
pub mod regular_file;
mod report;
mod retry;
mod route;
mod schema;
mod secret;
mod service;
mod size;
mod source;
mod sticky;
mod suggest;
mod syntax;
mod target;
mod url;
mod validate;
mod variable;

pub use code::{Code, Severity};
pub use endpoint::{Endpoint, EndpointState, Target};
pub use gslb::Gslb;
pub use health::{HealthCheck, HttpProbe, Outlier, Panic, PanicAction, Probe, TcpProbe};
pub use limits::{Queue, ServiceLimits};
pub use listener::{
    Bind, DownstreamTimeouts, EncodedSlash, HttpRules, Listener, ListenerAction, Protocol, Underscores,
};
pub use load::{Loaded, load, load_text};
pub use process::{
    AccessLog, Admin, Destination, Log, LogFormat, LogLevel, Metrics, Overload, Secret, Shutdown,
};
pub use registry::{AllowAddresses, Discovery, Grant, Registry, RegistryDns, Token};
pub use report::{Diagnostic, Report};
pub use retry::{Retry, RetryOn};
pub use route::{
    Action, FixedResponse, HeaderEdits, HostPattern, Matchers, PathPattern, Redirect, RedirectTarget,
    Rewrite, Route, ValueMatch,
};
pub use schema::schema;
pub use service::{Balance, HashKey, Pool, Service, UpstreamTimeouts};
pub use sticky::Sticky;

pub use validate::ACCESS_LOG_FIELDS;

use std::num::NonZeroUsize;
use std::path::PathBuf;

/// A whole validated configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Data-plane threads; `None` for the available parallelism.
    pub workers: Option<NonZeroUsize>,
    /// Peers whose forwarded headers are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Where the daemon keeps what it must still know after a restart: an absolute path. Default `/var/lib/fulcrum`.
    pub state_dir: PathBuf,
    /// What the daemon does before it has more to do than it can.
    pub overload: Overload,
    /// How metrics are bounded.
    pub metrics: Metrics,
    /// How the daemon ends.
    pub shutdown: Shutdown,
    /// Where the daemon is operated.
    pub admin: Admin,
    /// What is logged, and where to.
    pub log: Log,
    /// In file order; at least one; binds do not overlap.
    pub listeners: Vec<Listener>,
    /// In file order; names are unique; none is shadowed.
    pub routes: Vec<Route>,
    /// In file order; names are unique.
    pub services: Vec<Service>,
    /// Where instances register; there before any service is discovered in it.
    pub registry: Option<Registry>,
    /// Who answers DNS.
    pub gslb: Option<Gslb>,
}
