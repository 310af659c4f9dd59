//! The responder in `/status`.

use fulcrum_control_plane::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// The responder that answers DNS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GslbStatus {
    pub(crate) addresses: Vec<String>,
    pub(crate) generation: u64,
    /// At most a thousand.
    pub(crate) zones: Vec<String>,
    /// How many names there are in all zones, empty ones included.
    pub(crate) names: usize,
    pub(crate) regions: Vec<GslbRegionStatus>,
    /// Targets that are checked; at most a thousand.
    pub(crate) targets: Vec<GslbTargetStatus>,
}

/// A region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GslbRegionStatus {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) since: Timestamp,
    pub(crate) why: String,
    /// The part of its clients that its verdict leaves it.
    pub(crate) share_percent: u8,
    /// The part of these that its headroom leaves it.
    pub(crate) headroom_percent: u8,
}

/// A target of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GslbTargetStatus {
    pub(crate) address: String,
    pub(crate) state: String,
    pub(crate) last_check_failure: Option<String>,
}
