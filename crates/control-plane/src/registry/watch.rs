//! Following the registry: event after event, for some services or for all.
//!
//! A watcher has no queue: it reads the list of last events from where it stopped. Who stays away for longer than the
//! list reaches back begins anew.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fulcrum_model::ServiceName;
use tokio::sync::Notify;

use super::Shared;
use super::published::{Inner, Published};
use crate::state::{Cause, Change, Instance, Key, Sequence};

/// One event, as watchers see it.
#[derive(Debug)]
pub struct Event {
    /// Its number.
    pub sequence: Sequence,
    /// As it was; `None` when it is new.
    pub before: Option<Arc<Instance>>,
    /// As it is; `None` when it has gone.
    pub after: Option<Arc<Instance>>,
    /// Why.
    pub cause: Cause,
}

impl Event {
    /// Whom it is about.
    pub fn key(&self) -> &Key {
        let instance = self.after.as_ref().or(self.before.as_ref());
        &instance.expect("it is about one that was or is").key
    }
}

impl From<Change> for Event {
    fn from(change: Change) -> Self {
        let Change { sequence, before, after, cause, .. } = change;
        debug_assert!(before.is_some() || after.is_some(), "it is about one that was or is");
        Event { sequence, before, after, cause }
    }
}

/// Not every event since then is known: whoever follows has to read everything anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not every event since then is known any more")]
pub struct Reset;

/// A reader of events.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    /// `None`: all.
    services: Option<BTreeSet<ServiceName>>,
    /// The last event that was read or passed over.
    cursor: Sequence,
    wake: Arc<Notify>,
}

impl Watcher {
    pub(super) fn new(
        shared: Arc<Shared>,
        services: Option<Vec<ServiceName>>,
        since: Option<Sequence>,
    ) -> Result<Self, Reset> {
        let services: Option<BTreeSet<ServiceName>> = services.map(|services| services.into_iter().collect());
        let wake = Arc::new(Notify::new());
        shared.contents.wakers.add(services.as_ref(), &wake);
        let cursor = since.unwrap_or_else(|| shared.contents.read().sequence);
        let watcher = Watcher { shared, services, cursor, wake };
        let inner = watcher.shared.contents.read();
        if watcher.cursor > inner.sequence || watcher.has_missed(&inner) {
            drop(inner);
            watcher.shared.counters.resets.fetch_add(1, Ordering::Relaxed);
            return Err(Reset);
        }
        drop(inner);
        Ok(watcher)
    }

    /// The last event that was read or passed over.
    pub fn position(&self) -> Sequence {
        self.cursor
    }

    /// Waits for events: at least one, and [`MOST_AT_ONCE`] at most.
    ///
    /// # Errors
    /// It was too slow, and begins anew where the registry is now.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, Reset> {
        loop {
            // Made before the look, so that nothing in between is missed.
            let wake = Arc::clone(&self.wake);
            let woken = wake.notified();
            let events = self.look()?;
            if !events.is_empty() {
                return Ok(events);
            }
            woken.await;
        }
    }

    /// Everything that is published of what it follows, by service; the next events are those after it.
    pub fn begin_anew(&mut self) -> Vec<(ServiceName, Arc<Published>)> {
        let inner = self.shared.contents.read();
        let lists = inner.lists(self.services.as_ref());
        self.cursor = inner.sequence;
        lists
    }

    /// The next events, [`MOST_AT_ONCE`] at most; none is waited for.
    ///
    /// # Errors
    /// As of [`next`](Self::next).
    pub fn look(&mut self) -> Result<Vec<Arc<Event>>, Reset> {
        let inner = self.shared.contents.read();
        if self.has_missed(&inner) {
            let sequence = inner.sequence;
            drop(inner);
            self.cursor = sequence;
            self.shared.counters.resets.fetch_add(1, Ordering::Relaxed);
            return Err(Reset);
        }
        let events = inner.history.since(self.cursor, self.services.as_ref(), MOST_AT_ONCE);
        let sequence = inner.sequence;
        drop(inner);
        self.cursor = match events.last() {
            // There may be more.
            Some(last) if events.len() == MOST_AT_ONCE => last.sequence,
            _ => sequence,
        };
        Ok(events)
    }

    /// Whether an event after the cursor is forgotten that it would have read.
    fn has_missed(&self, inner: &Inner) -> bool {
        if self.cursor >= inner.history.forgotten() {
            return false;
        }
        match &self.services {
            None => true,
            // Of a service that is quite forgotten nobody knows when that was.
            Some(services) => {
                services.iter().any(|service| inner.index(service).is_none_or(|index| index > self.cursor))
            }
        }
    }
}

/// Who waits for events of which services.
#[derive(Debug, Default)]
pub(super) struct Wakers(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    of_all: Vec<Weak<Notify>>,
    by_service: HashMap<ServiceName, Vec<Weak<Notify>>>,
    /// How many were added since those that are gone were removed.
    added: usize,
}

impl Wakers {
    fn add(&self, services: Option<&BTreeSet<ServiceName>>, wake: &Arc<Notify>) {
        let mut waiting = self.lock();
        match services {
            None => waiting.of_all.push(Arc::downgrade(wake)),
            Some(services) => {
                for service in services {
                    waiting.by_service.entry(service.clone()).or_default().push(Arc::downgrade(wake));
                }
            }
        }
        waiting.added += 1;
        if waiting.added >= CLEAN_EVERY {
            waiting.clean();
        }
    }

    pub(super) fn wake(&self, services: &BTreeSet<ServiceName>) {
        let waiting = self.lock();
        let of_these = services.iter().filter_map(|service| waiting.by_service.get(service)).flatten();
        for wake in waiting.of_all.iter().chain(of_these).filter_map(Weak::upgrade) {
            wake.notify_one();
        }
    }

    /// Who waits now.
    pub(super) fn count(&self) -> usize {
        let waiting = self.lock();
        let all = waiting.of_all.iter().chain(waiting.by_service.values().flatten());
        let alive: BTreeSet<*const Notify> =
            all.filter(|wake| wake.strong_count() > 0).map(Weak::as_ptr).collect();
        alive.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn clean(&mut self) {
        let is_alive = |wake: &Weak<Notify>| wake.strong_count() > 0;
        self.of_all.retain(is_alive);
        self.by_service.values_mut().for_each(|wakes| wakes.retain(is_alive));
        self.by_service.retain(|_, wakes| !wakes.is_empty());
        self.added = 0;
    }
}

/// Events that are handed out together: who reads slowly holds no more.
pub const MOST_AT_ONCE: usize = 512;

/// Those who are gone are looked for so often.
const CLEAN_EVERY: usize = 256;
