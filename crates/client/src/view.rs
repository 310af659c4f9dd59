//! What a watcher knows: every event of a watch changes it, and nothing else does. A registry that is away, or that begins
//! to tell everything anew, takes nothing away; nor does one that has lost its file, or that knows another history, before
//! everyone has had the time to register there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_model::{InstanceId, ServiceName, Weight};
use serde::Deserialize;
use serde_json::Value;

use crate::events::Event;
use crate::wire::{Document, Gone, Health, Put, Snapshot};

/// An instance as the registry tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The service that it belongs to.
    pub service: ServiceName,
    /// Its id within the service.
    pub id: InstanceId,
    /// Where it serves.
    pub address: SocketAddr,
    /// Further ports by their names.
    pub ports: BTreeMap<String, NonZeroU16>,
    /// Its share of traffic relative to the others, with an operator's word.
    pub weight: Weight,
    /// Where it runs.
    pub locality: Option<String>,
    /// The region it belongs to.
    pub region: Option<String>,
    /// What it can be found by.
    pub tags: BTreeSet<String>,
    /// Whatever else is worth knowing.
    pub meta: BTreeMap<String, String>,
    /// Its registration number: another one is another process.
    pub epoch: u64,
    /// What it does, all in all.
    pub state: EndpointState,
    /// Whether its lease has run out, and it is kept nevertheless.
    pub is_suspect: bool,
    /// How long it stays registered after its last heartbeat.
    pub ttl: Duration,
}

/// What an endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// It serves.
    Up,
    /// It finishes what it has, and gets nothing new.
    Draining,
    /// It was taken out.
    Maintenance,
    /// A word of a later release: it gets nothing new.
    #[serde(other)]
    Unknown,
}

/// All that is known at one time. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    services: HashMap<ServiceName, Arc<[Arc<Endpoint>]>>,
    is_complete: bool,
    skipped: u64,
}

impl Endpoints {
    /// The endpoints of a service, in the order of their ids: those that drain are among them.
    pub fn of(&self, service: &str) -> Arc<[Arc<Endpoint>]> {
        service.parse().map(|service| self.of_service(&service)).unwrap_or_default()
    }

    pub(crate) fn of_service(&self, service: &ServiceName) -> Arc<[Arc<Endpoint>]> {
        self.services.get(service).cloned().unwrap_or_default()
    }

    /// Whether a registry has told everything at least once.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// How often an instance was told of in a way that cannot be read: what was known of it before stays.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many there are, of all services.
    pub fn len(&self) -> usize {
        self.services.values().map(|service| service.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why events make no sense: the watch is to begin anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewError {
    #[error("an event is not as it should be: {0}")]
    Data(#[from] serde_json::Error),
    #[error("more than {MOST_ENDPOINTS} instances")]
    TooMany,
    #[error("an event came before everything was told")]
    Order,
}

type Service = BTreeMap<InstanceId, Arc<Endpoint>>;

/// The view in the making.
#[derive(Debug, Default)]
pub(crate) struct View {
    services: HashMap<ServiceName, Service>,
    count: usize,
    /// What has been told of a snapshot that is not complete yet.
    told: Option<Vec<Endpoint>>,
    /// Where to go on from.
    last_id: Option<String>,
    /// Of which history everything was told last.
    history: Option<String>,
    /// Those that this history does not know and the one before did, with the [`clock`](Self::clock) at which they go.
    unconfirmed: HashMap<(ServiceName, InstanceId), Duration>,
    /// None of them goes earlier.
    first_goes: Duration,
    clock: Clock,
    /// What is shown.
    shown: Endpoints,
    /// Whose endpoints are others than those that are shown.
    changed: HashSet<ServiceName>,
    has_changed: bool,
}

impl View {
    /// Where to go on from, if anywhere.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// All that is known, if it is something else than at the last time: once for many events, because the whole list of a
    /// service is made anew.
    pub(crate) fn show(&mut self) -> Option<&Endpoints> {
        let has_changed = std::mem::take(&mut self.has_changed);
        for name in std::mem::take(&mut self.changed) {
            self.show_service(&name);
        }
        has_changed.then_some(&self.shown)
    }

    /// A new connection: what an old one did not finish to tell does not count.
    pub(crate) fn reconnected(&mut self) {
        self.told = None;
        self.clock.heard = None;
    }

    /// What was told makes no sense: to go on from there would come upon the same again.
    pub(crate) fn begin_anew(&mut self) {
        self.last_id = None;
    }

    /// Takes an event that has come at this time.
    pub(crate) fn take(&mut self, event: &Event, now: Duration) -> Result<(), ViewError> {
        self.clock.heard_at(now);
        let has_changed = match &*event.kind {
            "snapshot" => self.snapshot(serde_json::from_str(&event.data)?, event.id.as_deref())?,
            // What is known stays until everything was told anew.
            "reset" => {
                self.told = Some(Vec::new());
                false
            }
            _ if self.told.is_some() => return Err(ViewError::Order),
            "put" => self.put(&serde_json::from_str::<Put>(&event.data)?.instance)?,
            "delete" => self.delete(&serde_json::from_str(&event.data)?),
            "health" => self.health(&serde_json::from_str(&event.data)?),
            // Bookmarks, and events of a later release.
            _ => false,
        };
        if let Some(id) = event.id.as_ref().filter(|_| self.told.is_none()) {
            self.last_id = Some(id.clone());
        }
        self.has_changed |= self.forget_unconfirmed() || has_changed;
        Ok(())
    }

    fn snapshot(&mut self, chunk: Snapshot, id: Option<&str>) -> Result<bool, ViewError> {
        let instances: Vec<Endpoint> = chunk.instances.iter().filter_map(|told| self.read(told)).collect();
        let told = self.told.get_or_insert_default();
        if told.len() + instances.len() > MOST_ENDPOINTS {
            return Err(ViewError::TooMany);
        }
        told.extend(instances);
        if !chunk.done {
            return Ok(false);
        }
        let mut before = std::mem::take(&mut self.services);
        for endpoint in self.told.take().unwrap_or_default() {
            // What is the same stays the same place in memory: nobody who holds it has to look again.
            let known = before.get_mut(&endpoint.service).and_then(|service| service.remove(&endpoint.id));
            let endpoint = known.filter(|known| **known == endpoint).unwrap_or_else(|| Arc::new(endpoint));
            let service = self.services.entry(endpoint.service.clone()).or_default();
            service.insert(endpoint.id.clone(), endpoint);
        }
        self.keep_unconfirmed(before, id.and_then(history));
        self.count = self.services.values().map(BTreeMap::len).sum();
        let shown = std::mem::take(&mut self.shown.services);
        for (name, service) in &self.services {
            let list: Arc<[Arc<Endpoint>]> = service.values().cloned().collect();
            let same = shown.get(name).filter(|shown| shown[..] == list[..]).cloned();
            self.shown.services.insert(name.clone(), same.unwrap_or(list));
        }
        self.changed.clear();
        self.shown.is_complete = true;
        Ok(true)
    }

    /// Who is not told of by the same history has gone. Another history may only not have heard of it yet: heartbeats have
    /// to fail, and registrations come spread over half a lease.
    fn keep_unconfirmed(&mut self, before: HashMap<ServiceName, Service>, history: Option<&str>) {
        let is_another = self.history.as_deref() != history;
        let known = std::mem::take(&mut self.unconfirmed);
        let mut room =
            MOST_ENDPOINTS.saturating_sub(self.services.values().map(BTreeMap::len).sum::<usize>());
        for endpoint in before.into_values().flat_map(BTreeMap::into_values) {
            let key = (endpoint.service.clone(), endpoint.id.clone());
            let new = is_another.then(|| self.clock.time.saturating_add(time_to_come_back(endpoint.ttl)));
            let Some(until) = known.get(&key).copied().or(new).filter(|_| room > 0) else { continue };
            room -= 1;
            self.services.entry(key.0.clone()).or_default().insert(key.1.clone(), endpoint);
            self.unconfirmed.insert(key, until);
        }
        self.first_goes = Duration::ZERO;
        self.history = history.map(str::to_owned);
    }

    /// Takes out who has not come back in time.
    fn forget_unconfirmed(&mut self) -> bool {
        let now = self.clock.time;
        if self.unconfirmed.is_empty() || now < self.first_goes {
            return false;
        }
        let due = self.unconfirmed.iter().filter(|(_, until)| **until <= now).map(|(key, _)| key.clone());
        let gone: Vec<_> = due.collect();
        for key in &gone {
            self.unconfirmed.remove(key);
            self.remove(&key.0, &key.1);
        }
        self.first_goes = self.unconfirmed.values().min().copied().unwrap_or_default();
        !gone.is_empty()
    }

    /// An instance as it is told of, or as it was known before where that cannot be read.
    fn read(&mut self, told: &Value) -> Option<Endpoint> {
        if let Ok(document) = Document::deserialize(told) {
            return Some(document.into());
        }
        self.shown.skipped += 1;
        let named = Gone::deserialize(told).ok()?;
        self.services.get(&*named.service)?.get(&*named.id).map(|known| (**known).clone())
    }

    fn put(&mut self, told: &Value) -> Result<bool, ViewError> {
        let Some(endpoint) = self.read(told) else { return Ok(true) };
        let name = endpoint.service.clone();
        self.unconfirmed.remove(&(name.clone(), endpoint.id.clone()));
        let service = self.services.entry(name.clone()).or_default();
        if service.insert(endpoint.id.clone(), Arc::new(endpoint)).is_none() {
            self.count += 1;
        }
        if self.count > MOST_ENDPOINTS {
            return Err(ViewError::TooMany);
        }
        self.changed.insert(name);
        Ok(true)
    }

    fn delete(&mut self, gone: &Gone) -> bool {
        self.unconfirmed.remove(&((*gone.service).clone(), (*gone.id).clone()));
        self.remove(&gone.service, &gone.id)
    }

    fn remove(&mut self, service: &ServiceName, id: &InstanceId) -> bool {
        let service = self.services.get_mut(service);
        let Some(removed) = service.and_then(|service| service.remove(id)) else { return false };
        self.count -= 1;
        self.changed.insert(removed.service.clone());
        true
    }

    fn health(&mut self, health: &Health) -> bool {
        let service = self.services.get_mut(&*health.service);
        let Some(endpoint) = service.and_then(|service| service.get_mut(&*health.id)) else { return false };
        Arc::make_mut(endpoint).is_suspect = health.health == "suspect";
        let name = endpoint.service.clone();
        self.changed.insert(name);
        true
    }

    /// Shows a service as it is now.
    fn show_service(&mut self, name: &ServiceName) {
        let Some(service) = self.services.get(name) else { return };
        if service.is_empty() {
            self.services.remove(name);
            self.shown.services.remove(name);
        } else {
            self.shown.services.insert(name.clone(), service.values().cloned().collect());
        }
    }
}

/// The time in which a registry was listened to: while none is there nobody can come back.
#[derive(Debug, Default)]
struct Clock {
    time: Duration,
    /// When something came last on this connection.
    heard: Option<Duration>,
}

impl Clock {
    fn heard_at(&mut self, now: Duration) {
        self.time += self.heard.map_or(Duration::ZERO, |heard| now.saturating_sub(heard));
        self.heard = Some(now);
    }
}

/// The history that an id is of: all but its last part, the sequence.
fn history(id: &str) -> Option<&str> {
    id.rsplit_once('.').map(|(history, _)| history)
}

/// How long a registry that does not know an instance may take to hear of it: its next heartbeat comes within a third of the
/// lease, its registration after another half at most.
fn time_to_come_back(ttl: Duration) -> Duration {
    let ttl = ttl.min(LONGEST_TTL);
    ttl + ttl / 2
}

const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);

/// About a gigabyte: whoever watches that much watches too much.
const MOST_ENDPOINTS: usize = 1_000_000;

#[cfg(test)]
mod tests;
