//! What readers see: for each service one immutable list, and the last events.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use fulcrum_model::{InstanceId, ServiceName};

use super::history::History;
use super::places::Places;
use super::watch::{Event, Wakers};
use crate::state::{Entry, Key, Roster, Sequence, State};

/// The instances of a service at one moment.
#[derive(Debug)]
pub struct Published {
    /// The last change.
    pub index: Sequence,
    /// By id.
    pub entries: Roster,
}

impl Published {
    /// As the writer has it: what has not changed is in memory once.
    fn of(service: &ServiceName, state: &State) -> Option<Arc<Self>> {
        let (index, entries) = (state.index(service)?, state.roster(service)?.clone());
        Some(Arc::new(Published { index, entries }))
    }

    /// One of them.
    pub fn find(&self, id: &InstanceId) -> Option<&Entry> {
        self.entries.find(id)
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
    services: HashMap<ServiceName, Service>,
    /// The last event.
    pub(super) sequence: Sequence,
    pub(super) history: History,
}

/// A service twice: as a list, which readers keep for as long as they like, and for heartbeats, which look one up.
#[derive(Debug)]
struct Service {
    published: Arc<Published>,
    places: Places,
}

/// What is new of a service.
struct News<'a> {
    service: &'a ServiceName,
    /// `None` when nothing is remembered of it.
    published: Option<Arc<Published>>,
    /// Those who have changed; `None` who has gone.
    entries: Vec<(&'a InstanceId, Option<Entry>)>,
}

impl Contents {
    /// Of a registry that has just begun.
    pub(super) fn new(state: &State) -> Self {
        let services = state.services().filter_map(|(name, _)| {
            let published = Published::of(name, state)?;
            let mut places = Places::default();
            published.entries.iter().for_each(|entry| places.insert(entry.clone()));
            Some((name.clone(), Service { published, places }))
        });
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
        Some(Arc::clone(&self.read().services.get(name)?.published))
    }

    /// An instance as it is published now.
    pub(super) fn find(&self, service: &ServiceName, id: &InstanceId) -> Option<Entry> {
        self.read().services.get(service)?.places.find(id).cloned()
    }

    pub(super) fn all(&self) -> (Vec<(ServiceName, Arc<Published>)>, Sequence) {
        let inner = self.read();
        (inner.lists(None), inner.sequence)
    }

    /// Shows everyone what has changed, and tells which services have. Nobody is woken.
    pub(super) fn publish(&self, events: Vec<Event>, state: &State) -> BTreeSet<ServiceName> {
        let changed: BTreeSet<ServiceName> = events.iter().map(|event| event.key().service.clone()).collect();
        let Some(last) = events.last().map(|event| event.sequence) else { return changed };
        // Gathered before the lock is taken: readers wait only for the exchange, and where a service has grown by a quarter for
        // its places to be made anew (tens of milliseconds of a million).
        let news = news(&events, state);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let before: Vec<_> = news.into_iter().map(|news| inner.exchange(news)).collect();
        inner.history.add(events);
        inner.sequence = last;
        drop(inner);
        drop(before);
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

/// What these events have changed, by service.
fn news<'a>(events: &'a [Event], state: &State) -> Vec<News<'a>> {
    let keys: BTreeSet<&Key> = events.iter().map(Event::key).collect();
    let mut news: Vec<News<'a>> = Vec::new();
    for Key { service, id } in keys {
        if news.last().is_none_or(|last| last.service != service) {
            news.push(News { service, published: Published::of(service, state), entries: Vec::new() });
        }
        let last = news.last_mut().expect("one of this service is there");
        let entry = state.roster(service).and_then(|roster| roster.find(id));
        last.entries.push((id, entry.cloned()));
    }
    news
}

impl Inner {
    /// Takes news in. What was there before is handed out: to let go of it may take its time.
    fn exchange(&mut self, news: News<'_>) -> Option<Arc<Published>> {
        let News { service, published, entries } = news;
        let Some(published) = published else {
            return self.services.remove(service).map(|service| service.published);
        };
        let Some(known) = self.services.get_mut(service) else {
            let mut places = Places::default();
            entries.into_iter().filter_map(|(_, entry)| entry).for_each(|entry| places.insert(entry));
            self.services.insert(service.clone(), Service { published, places });
            return None;
        };
        for (id, entry) in entries {
            match entry {
                Some(entry) => known.places.insert(entry),
                None => known.places.remove(id),
            }
        }
        Some(std::mem::replace(&mut known.published, published))
    }

    /// These services, or all, by name.
    pub(super) fn lists(&self, of: Option<&BTreeSet<ServiceName>>) -> Vec<(ServiceName, Arc<Published>)> {
        let pair = |(name, service): (&ServiceName, &Service)| (name.clone(), Arc::clone(&service.published));
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
        self.services.get(service).map(|service| service.published.index)
    }
}
