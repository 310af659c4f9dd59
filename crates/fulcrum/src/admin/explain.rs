//! Why a name is answered as it is, as `/v1/explain/dns` writes it and `fulcrum explain dns` reads it.

use fulcrum_control_plane::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer of `/v1/explain/dns`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExplainDocument {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) record_type: String,
    pub(crate) from: String,
    pub(crate) generation: u64,
    /// `null`: it is in no zone of this daemon.
    pub(crate) zone: Option<String>,
    /// `records`, `choice`, `no_data`, `no_name`, `nowhere`.
    pub(crate) found: String,
    /// The same in words.
    pub(crate) why: String,
    pub(crate) answer: ToldDocument,
    /// `null` where it is always the same.
    pub(crate) choice: Option<ChoosingDocument>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ToldDocument {
    pub(crate) code: String,
    pub(crate) answers: Vec<String>,
    pub(crate) authority: Vec<String>,
    /// For how many bits of the client's network it is meant (RFC 7871).
    pub(crate) scope: Option<u8>,
    pub(crate) truncated: bool,
    pub(crate) bytes: usize,
}

/// How it was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChoosingDocument {
    /// The name as it is configured.
    pub(crate) owner: String,
    pub(crate) by: String,
    pub(crate) class: Option<u16>,
    /// Where the client is; `null` where that does not matter.
    pub(crate) client: Option<ClientDocument>,
    pub(crate) candidates: Vec<CandidateDocument>,
    pub(crate) parts: Vec<PartDocument>,
    /// The number of the part that this client is in, from 0.
    pub(crate) part: Option<usize>,
    pub(crate) panic: Option<PanicDocument>,
    pub(crate) ttl: TtlDocument,
}

/// Where a client is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClientDocument {
    pub(crate) address: String,
    /// How IPv4 is written in IPv6, like `nat64`.
    pub(crate) embedding: Option<String>,
    /// `nets`, `database`, `asn`, `default`.
    pub(crate) known_by: String,
    /// The network that it is known by.
    pub(crate) network: Option<String>,
    /// The region that the nets file gives it.
    pub(crate) region: Option<String>,
    pub(crate) continent: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) subdivision: Option<String>,
    pub(crate) asn: Option<u32>,
    /// Latitude and longitude.
    pub(crate) location: Option<String>,
}

/// A region, or all targets where there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CandidateDocument {
    pub(crate) region: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) since: Option<Timestamp>,
    /// Why it stands so.
    pub(crate) verdict: Option<String>,
    pub(crate) share_percent: Option<u8>,
    /// How many of the clients like this one it gets.
    pub(crate) clients_percent: f64,
    /// `answers`, `last_resort`, `not_eligible`, `no_target`, `not_reached`, `no_weight`, `not_for_client`.
    pub(crate) outcome: String,
    /// Why it is at this place of the order.
    pub(crate) rank: Option<String>,
    pub(crate) targets: Vec<TargetDocument>,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TargetDocument {
    pub(crate) answer: String,
    pub(crate) weight: u32,
    /// `unchecked`, `up`, `suspect`, `down`, `returning`.
    pub(crate) health: String,
    pub(crate) last_check_failure: Option<String>,
    /// How many answers to clients of its part begin with it.
    pub(crate) first_percent: f64,
    /// How many answers began with it since the start; `null` where that is not counted.
    pub(crate) answered: Option<u64>,
    /// The same in percent of those of its part.
    pub(crate) answered_percent: Option<f64>,
}

/// A part of the clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartDocument {
    pub(crate) region: Option<String>,
    pub(crate) clients_percent: f64,
}

/// That nothing is left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PanicDocument {
    pub(crate) mode: String,
    pub(crate) why: String,
}

/// How long an answer may be remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TtlDocument {
    pub(crate) seconds: u32,
    pub(crate) why: String,
}
