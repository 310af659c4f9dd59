//! The part of `/status` about the registry: written by the daemon, read by `fulcrum status`.

use serde::{Deserialize, Serialize};

use fulcrum_control_plane::timestamp::Timestamp;

/// How the registry of a daemon is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RegistryStatus {
    /// Where its API is served.
    pub(crate) address: String,
    /// Services that have an instance.
    pub(crate) services: usize,
    pub(crate) instances: usize,
    /// Instances that are kept although their leases have run out.
    pub(crate) suspects: usize,
    /// The first hundred of them.
    pub(crate) first_suspects: Vec<SuspectStatus>,
    pub(crate) mood: MoodStatus,
    /// Those who follow it, clients and parts of the daemon.
    pub(crate) watchers: usize,
    /// The number of the last event.
    pub(crate) sequence: u64,
    /// Whether changes can be kept now.
    pub(crate) writable: bool,
    /// How long ago the last change was kept; nothing before the first since the start.
    pub(crate) last_commit_seconds: Option<f64>,
}

/// An instance that is kept although its lease has run out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuspectStatus {
    pub(crate) service: String,
    pub(crate) instance: String,
    /// Why it is kept: `reachable`, `too_early`, `eviction_cap`, `mass_lapse`, `last_instance`.
    pub(crate) hold: String,
    /// When the lease ran out.
    pub(crate) since: Timestamp,
}

/// What is believed of the silence of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MoodStatus {
    /// Each case by itself.
    Normal,
    /// So many are silent that our own network is the likelier cause: nobody goes.
    Frozen,
    /// It has lasted for too long to be that: they go, slowly.
    Releasing,
}
