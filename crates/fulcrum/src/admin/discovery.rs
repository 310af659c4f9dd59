//! The part of `/status` about sources of endpoints: written by the daemon, read by `fulcrum status`.

use serde::{Deserialize, Serialize};

use fulcrum_control_plane::timestamp::Timestamp;

/// Where a service has endpoints from besides the configuration and the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DiscoveryStatus {
    pub(crate) service: String,
    /// `dns`, `srv`, `file` or `http`.
    pub(crate) kind: String,
    /// As it is configured.
    pub(crate) source: String,
    /// Endpoints of the last good list.
    pub(crate) endpoints: usize,
    /// Nothing before the first one.
    pub(crate) last_success: Option<Timestamp>,
    /// How long ago that was.
    pub(crate) age_seconds: Option<f64>,
    /// What was wrong with the last look, or with a part of what was found: the token that metrics have.
    pub(crate) last_failure: Option<String>,
    /// The same in words.
    pub(crate) detail: Option<String>,
    /// Looks in a row that gave nothing.
    pub(crate) failures: u32,
}
