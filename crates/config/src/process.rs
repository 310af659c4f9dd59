//! What concerns the daemon as a whole: admin, logs, metrics, overload, shutdown.

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// Where the daemon is operated.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// The unix socket; default `/run/fulcrum/admin.sock`; `None` (`socket: none`) for none.
    pub socket: Option<PathBuf>,
    /// A TCP address that serves metrics, health and readiness freely, the rest only with the token.
    pub bind: Option<SocketAddr>,
    /// The bearer token for the rest; without one the rest is refused on TCP.
    pub token: Option<Secret>,
}

/// A secret that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes the bytes of a secret.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Secret(bytes.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is logged, and where to.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Diagnostics on standard error: the least level shown. Default info.
    pub level: LogLevel,
    /// One record per request.
    pub access: AccessLog,
}

/// Levels of diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what ends something.
    Error,
    /// What an operator should look at.
    Warn,
    /// What changed.
    Info,
    /// Why it did what it did.
    Debug,
    /// Everything.
    Trace,
}

/// Where access records go and how they look.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// Default none.
    pub destination: Destination,
    /// Default JSON.
    pub format: LogFormat,
}

/// Where access records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere: no record is made.
    None,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// How an access record looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// The common log format of NCSA httpd.
    Clf,
    /// A line with `{field}` placeholders; the names are those of the JSON form, checked at load.
    Template(String),
}

/// How metrics are bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Most series of routes and endpoints; the rest is counted under `other`. Default 100,000.
    pub max_series: NonZeroUsize,
}

/// What the daemon does before it has more to do than it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overload {
    /// Memory in use, in percent of what there is, at which it begins to save; 1 to 100. Default 85; `None` for never.
    pub memory: Option<u8>,
    /// Most downstream connections of all listeners; `None`, the default, derives it from the file descriptors.
    pub connections: Option<NonZeroU64>,
}

/// How the daemon ends after SIGTERM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long `/readyz` fails before accepting stops. Default 0 s.
    pub pre_stop: Duration,
    /// How long requests may take to finish. Default 30 s.
    pub deadline: Duration,
}
