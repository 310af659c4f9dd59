//! The instances of one service, and the memory of those that have gone.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use fulcrum_model::{InstanceId, Traits};

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
    /// What instances have said, each once: the last ones that were new, the newest last. Some of it nobody says any more.
    said: Vec<Weak<Traits>>,
}

impl Service {
    /// What another instance says in the same words, or nearly, is in memory once.
    pub(super) fn share(&mut self, traits: &mut Arc<Traits>) {
        let mut said = self.said.iter().filter_map(Weak::upgrade);
        if let Some(same) = said.clone().find(|said| said == traits) {
            *traits = same;
            return;
        }
        if let Some(other) = said.next() {
            Traits::share(traits, &other);
        }
        // What nobody says any more would stay in memory for its place here.
        self.said.retain(|said| said.strong_count() > 0);
        if self.said.len() == SAID {
            self.said.remove(0);
        }
        self.said.reserve_exact(1);
        self.said.push(Arc::downgrade(traits));
    }

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

/// Kinds of instances in a service, like zones and versions, that are known by what they say.
const SAID: usize = 8;

/// How long who has gone is remembered: longer than a process that believes itself registered can be out of touch
/// without asking.
const REMEMBERED: Duration = Duration::from_secs(600);
