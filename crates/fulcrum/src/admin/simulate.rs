//! What would happen if a region went down, as `/v1/simulate/region-down` writes it and `fulcrum simulate` reads it.

use serde::{Deserialize, Serialize};

/// The answer of `/v1/simulate/region-down`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SimulationDocument {
    pub(crate) region: String,
    /// How it stands now.
    pub(crate) state: String,
    /// Whether the others have room for its clients; `null` where nobody can tell.
    pub(crate) fits: Option<bool>,
    /// Whether shares are by answers that were counted; else all names, and all kinds of clients, count the same.
    pub(crate) counted: bool,
    /// By when clients have followed: the hold and the longest time-to-live.
    pub(crate) follows_seconds: u64,
    /// Names of which nothing would be left for some clients: their panic mode answers.
    pub(crate) names_in_panic: usize,
    pub(crate) names_in_all: usize,
    pub(crate) regions: Vec<ReceiverDocument>,
    /// Those with most answers; at most a thousand.
    pub(crate) names: Vec<NameDocument>,
}

/// A region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReceiverDocument {
    pub(crate) region: String,
    /// Its part of the clients of all names.
    pub(crate) before_percent: f64,
    pub(crate) after_percent: f64,
    /// Requests in flight and queued; `null` without a service.
    pub(crate) load: Option<f64>,
    /// `null` where nobody can tell.
    pub(crate) load_after: Option<f64>,
    pub(crate) capacity: Option<f64>,
    pub(crate) fits: Option<bool>,
}

/// A name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NameDocument {
    pub(crate) name: String,
    /// How many of all answers were for it.
    pub(crate) answers_percent: f64,
    pub(crate) panic: bool,
    pub(crate) shares: Vec<ShareDocument>,
}

/// A region's part of the clients of a name; `null` of no region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShareDocument {
    pub(crate) region: Option<String>,
    pub(crate) before_percent: f64,
    pub(crate) after_percent: f64,
}
