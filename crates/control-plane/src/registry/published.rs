//! What readers see: for each service one immutable list, and the last events.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use fulcrum_model::{InstanceId, ServiceName};

use super::history::History;
use super::places::Places;
use super::watch::{Event, Wakers};
use crate::lease::Lease;
use crate::state::{Instance, Sequence, State};

/// The instances of a service at one moment.
#[derive(Debug)]
pub struct Published {
    /// The last change.
    pub index: Sequence,
    /// By id.
    pub entries: Vec<Entry>,
    places: Places,
}

/// An instance and its lease.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is known of it.
    pub instance: Arc<Instance>,
    /// How long it may stay.
    pub lease: Arc<Lease>,
}

impl Published {
    fn of(service: &ServiceName, state: &State) -> Option<Self> {
        let entries = state.instances(service);
        let entries = entries
            .map(|(instance, lease)| Entry { instance: Arc::clone(instance), lease: Arc::clone(lease) });
        let mut all = Vec::with_capacity(state.count(service));
        all.extend(entries);
        let places = Places::of(all.iter().map(|entry| &entry.instance.key.id));
        Some(Published { index: state.index(service)?, entries: all, places })
    }

    /// One of them.
    pub fn find(&self, id: &InstanceId) -> Option<&Entry> {
        let place = self.places.find(id, |place| self.entries[place].instance.key.id == *id)?;
        Some(&self.entries[place])
    }
}

/// Everything that is published.
#[derive(Debug)]
pub(super) struct Contents {
    inner: RwLock<Inner>,
    pub(super) wakers: Wakers,
}

#[derive(Debug)]
pub(super) struct Inner {
    services: HashMap<ServiceName, Arc<Published>>,
    /// The last event.
    pub(super) sequence: Sequence,
    pub(super) history: History,
}

impl Contents {
    /// Of a registry that has just begun.
    pub(super) fn new(state: &State) -> Self {
        let services = state
            .services()
            .filter_map(|(name, _)| Some((name.clone(), Arc::new(Published::of(name, state)?))));
        let inner = Inner {
            services: services.collect(),
            sequence: state.sequence(),
            history: History::after(state.sequence()),
        };
        Contents { inner: RwLock::new(inner), wakers: Wakers::default() }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // Each change of it is complete before the lock is let go.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn service(&self, name: &ServiceName) -> Option<Arc<Published>> {
        self.read().services.get(name).cloned()
    }

    pub(super) fn all(&self) -> (Vec<(ServiceName, Arc<Published>)>, Sequence) {
        let inner = self.read();
        (inner.lists(None), inner.sequence)
    }

    /// Shows everyone what has changed, and tells which services have. Nobody is woken.
    pub(super) fn publish(&self, events: Vec<Event>, state: &State) -> BTreeSet<ServiceName> {
        let changed: BTreeSet<ServiceName> = events.iter().map(|event| event.key.service.clone()).collect();
        let Some(last) = events.last().map(|event| event.sequence) else { return changed };
        // Made before the lock is taken: readers wait only for the exchange.
        let lists: Vec<_> =
            changed.iter().map(|name| (name, Published::of(name, state).map(Arc::new))).collect();
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        for (name, published) in lists {
            match published {
                Some(published) => inner.services.insert(name.clone(), published),
                None => inner.services.remove(name),
            };
        }
        inner.history.add(events);
        inner.sequence = last;
        drop(inner);
        changed
    }

    /// Forgets services that nothing is remembered of.
    pub(super) fn forget(&self, state: &State) {
        let is_gone = |name: &ServiceName| state.index(name).is_none();
        if self.read().services.keys().any(is_gone) {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            inner.services.retain(|name, _| !is_gone(name));
        }
    }
}

impl Inner {
    /// These services, or all, by name.
    pub(super) fn lists(&self, of: Option<&BTreeSet<ServiceName>>) -> Vec<(ServiceName, Arc<Published>)> {
        let pair = |(name, published): (&ServiceName, &Arc<Published>)| (name.clone(), Arc::clone(published));
        match of {
            Some(names) => {
                names.iter().filter_map(|name| self.services.get_key_value(name)).map(pair).collect()
            }
            None => {
                let mut all: Vec<_> = self.services.iter().map(pair).collect();
                all.sort_by(|(one, _), (other, _)| one.cmp(other));
                all
            }
        }
    }

    /// The last change of a service; nothing when it is not known.
    pub(super) fn index(&self, service: &ServiceName) -> Option<Sequence> {
        self.services.get(service).map(|published| published.index)
    }
}
