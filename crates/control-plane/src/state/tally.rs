//! What all instances are together, counted as they come and go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::instance::Principal;
use super::roster::Entry;

/// So that nobody has to look at all of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// So many instances have this time-to-live.
    ttls: BTreeMap<Duration, usize>,
    all: Held,
    by_owner: HashMap<Principal, Held>,
}

/// What is in the registry of somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) instances: usize,
    /// What their texts take, in bytes.
    pub(super) texts: usize,
}

impl Tally {
    /// In the place of one instance, or of nobody, there is another one, or nobody.
    pub(super) fn replace(&mut self, before: Option<&Entry>, after: Option<&Entry>) {
        if let Some(entry) = after {
            *self.ttls.entry(entry.instance.ttl()).or_default() += 1;
            self.all.add(entry);
            self.by_owner.entry(Arc::clone(&entry.instance.owner)).or_default().add(entry);
        }
        if let Some(entry) = before {
            let ttl = entry.instance.ttl();
            let count = self.ttls.get_mut(&ttl).expect("it was counted as it came");
            *count -= 1;
            if *count == 0 {
                self.ttls.remove(&ttl);
            }
            self.all.take(entry);
            let of_owner = self.by_owner.get_mut(&entry.instance.owner).expect("it was counted as it came");
            of_owner.take(entry);
            if of_owner.instances == 0 {
                self.by_owner.remove(&entry.instance.owner);
            }
        }
    }

    /// The longest time-to-live; zero without instances.
    pub(super) fn longest_ttl(&self) -> Duration {
        self.ttls.last_key_value().map_or(Duration::ZERO, |(ttl, _)| *ttl)
    }

    /// The same name, which is in memory once for all that one has registered.
    pub(super) fn shared(&self, owner: &Principal) -> Principal {
        match self.by_owner.get_key_value(owner) {
            Some((known, _)) => Arc::clone(known),
            // Where whoever is served is let go of soon, nothing is to stay.
            None => Arc::from(&**owner),
        }
    }

    /// What all hold.
    pub(super) fn all(&self) -> Held {
        self.all
    }

    /// What one holds who registers.
    pub(super) fn of(&self, owner: &Principal) -> Held {
        self.by_owner.get(owner).copied().unwrap_or_default()
    }
}

impl Held {
    fn add(&mut self, entry: &Entry) {
        self.instances += 1;
        self.texts += entry.instance.registration.texts();
    }

    fn take(&mut self, entry: &Entry) {
        self.instances -= 1;
        self.texts -= entry.instance.registration.texts();
    }
}
