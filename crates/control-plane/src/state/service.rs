//! The instances of one service, and the memory of those that have gone.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use fulcrum_model::InstanceId;

use super::command::Departure;
use super::instance::Sequence;
use super::roster::Roster;

#[derive(Debug, Default)]
pub(super) struct Service {
    pub(super) instances: Roster,
    /// So that whoever comes back gets another epoch than the process it replaces.
    pub(super) departed: HashMap<InstanceId, Departure>,
    /// The last change.
    pub(super) index: Sequence,
}

impl Service {
    pub(super) fn remember(&mut self, departed: Departure) {
        self.departed.insert(departed.id.clone(), departed);
    }

    pub(super) fn forget(&mut self, departed: &Departure) {
        self.departed.remove(&departed.id);
    }

    /// Forgets who has gone a while ago.
    pub(super) fn forget_before(&mut self, now: SystemTime) {
        let is_fresh = |departed: &Departure| {
            // A wall clock that was set back makes it fresh.
            now.duration_since(departed.at).is_ok_and(|ago| ago < REMEMBERED) || departed.at > now
        };
        self.departed.retain(|_, departed| is_fresh(departed));
    }

    /// Whether nothing is left of it.
    pub(super) fn is_forgotten(&self) -> bool {
        self.instances.is_empty() && self.departed.is_empty()
    }
}

/// How long who has gone is remembered: longer than a process that believes itself registered can be out of touch
/// without asking.
const REMEMBERED: Duration = Duration::from_secs(600);
