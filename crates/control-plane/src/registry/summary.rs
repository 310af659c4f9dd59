//! The registry in a few words, for whoever operates it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Entry, Registry};
use crate::eviction::Mood;
use crate::state::{Hold, Key, Sequence};

/// How a registry is doing.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Services that have an instance.
    pub services: usize,
    /// Everyone registered.
    pub instances: usize,
    /// Those of them who are kept although their leases have run out: how many.
    pub suspects: usize,
    /// And the first of them, [`MOST_SUSPECTS`] at most.
    pub first_suspects: Vec<Suspect>,
    /// What is believed of their silence.
    pub mood: Mood,
    /// Those who follow.
    pub watchers: usize,
    /// The last event.
    pub sequence: Sequence,
    /// Whether changes can be kept now.
    pub is_writable: bool,
    /// How long ago the last change was kept; nothing when none was since the start.
    pub since_commit: Option<Duration>,
}

/// An instance whose lease has run out.
#[derive(Clone, Debug)]
pub struct Suspect {
    /// Which one.
    pub key: Key,
    /// Why it is kept.
    pub hold: Hold,
    /// How long ago the lease ran out.
    pub silent_for: Duration,
}

/// Suspects that a summary names.
pub const MOST_SUSPECTS: usize = 100;

impl Registry {
    /// How it is doing. Looks at every instance.
    pub fn summary(&self) -> Summary {
        let (services, sequence) = self.services();
        let entries = || services.iter().flat_map(|(_, published)| &published.entries);
        let suspects = || entries().filter_map(|entry| self.suspect(entry));
        let counters = self.counters();
        Summary {
            services: services.iter().filter(|(_, published)| !published.entries.is_empty()).count(),
            instances: entries().count(),
            suspects: entries().filter(|entry| entry.instance.suspect.is_some()).count(),
            first_suspects: suspects().take(MOST_SUSPECTS).collect(),
            mood: self.mood(),
            watchers: self.watchers(),
            sequence,
            is_writable: counters.is_writable.load(Ordering::Relaxed),
            since_commit: self.since_commit(),
        }
    }

    fn suspect(&self, entry: &Entry) -> Option<Suspect> {
        let hold = entry.instance.suspect?;
        let silent_for = self.shared.lease_now().saturating_sub(entry.lease.deadline());
        Some(Suspect { key: entry.instance.key.clone(), hold, silent_for })
    }

    fn since_commit(&self) -> Option<Duration> {
        let at = *super::lock(&self.shared.committed);
        Some(at?.elapsed())
    }
}
