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
    /// What is ordered of it.
    #[serde(rename = "override")]
    pub(crate) order: Option<RegionOrderStatus>,
    /// How many names are answered with it now.
    pub(crate) names: usize,
    /// For how long answers with it may be remembered, in seconds from now: 0 when the last one has run out.
    pub(crate) remembered_seconds: u64,
    /// What its service works on now, requests in flight and queued; `null` without a service.
    pub(crate) in_flight: Option<f64>,
    /// What its service can work on at a time; `null` where nobody has said.
    pub(crate) capacity: Option<f64>,
    /// Nobody is led to it any more, and nothing is in flight there, as far as that is known.
    pub(crate) safe_to_stop: bool,
}

/// What is ordered of a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RegionOrderStatus {
    pub(crate) state: RegionState,
    pub(crate) reason: String,
    pub(crate) until: Timestamp,
    /// `order` when it was given at run time, `config` when it is among `overrides`.
    pub(crate) from: String,
}

/// The body of an order for a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionOrderDocument {
    pub(crate) state: RegionState,
    pub(crate) reason: String,
    pub(crate) until: Timestamp,
}

/// What a region is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RegionState {
    Up,
    Down,
    Drain,
}

/// A target of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GslbTargetStatus {
    pub(crate) address: String,
    pub(crate) state: String,
    pub(crate) last_check_failure: Option<String>,
}
