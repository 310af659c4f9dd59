//! What a watcher knows: every event of a watch changes it, and nothing else does. A registry that is away, or that begins
//! to tell everything anew, takes nothing away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_model::{InstanceId, ServiceName, Weight};
use serde::Deserialize;

use crate::events::Event;
use crate::wire::{Gone, Health, Put, Snapshot};

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
}

impl Endpoints {
    /// The endpoints of a service, in the order of their ids: those that drain are among them.
    pub fn of(&self, service: &str) -> Arc<[Arc<Endpoint>]> {
        let service = service.parse::<ServiceName>().ok();
        service.and_then(|service| self.services.get(&service).cloned()).unwrap_or_default()
    }

    /// Whether a registry has told everything at least once.
    pub fn is_complete(&self) -> bool {
        self.is_complete
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
    /// What is shown.
    shown: Endpoints,
}

impl View {
    /// Where to go on from, if anywhere.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// All that is known.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.shown
    }

    /// A new connection: what an old one did not finish to tell does not count.
    pub(crate) fn reconnected(&mut self) {
        self.told = None;
    }

    /// Takes an event. Whether anything is to be shown anew.
    pub(crate) fn take(&mut self, event: &Event) -> Result<bool, ViewError> {
        let has_changed = match &*event.kind {
            "snapshot" => self.snapshot(serde_json::from_str(&event.data)?)?,
            // What is known stays until everything was told anew.
            "reset" => {
                self.told = Some(Vec::new());
                false
            }
            _ if self.told.is_some() => return Err(ViewError::Order),
            "put" => self.put(serde_json::from_str::<Put>(&event.data)?.instance.into())?,
            "delete" => self.delete(&serde_json::from_str(&event.data)?),
            "health" => self.health(&serde_json::from_str(&event.data)?),
            // Bookmarks, and events of a later release.
            _ => false,
        };
        if let Some(id) = event.id.as_ref().filter(|_| self.told.is_none()) {
            self.last_id = Some(id.clone());
        }
        Ok(has_changed)
    }

    fn snapshot(&mut self, chunk: Snapshot) -> Result<bool, ViewError> {
        let told = self.told.get_or_insert_default();
        if told.len() + chunk.instances.len() > MOST_ENDPOINTS {
            return Err(ViewError::TooMany);
        }
        told.extend(chunk.instances.into_iter().map(Endpoint::from));
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
        self.count = self.services.values().map(BTreeMap::len).sum();
        let shown = std::mem::take(&mut self.shown.services);
        for (name, service) in &self.services {
            let list: Arc<[Arc<Endpoint>]> = service.values().cloned().collect();
            let same = shown.get(name).filter(|shown| shown[..] == list[..]).cloned();
            self.shown.services.insert(name.clone(), same.unwrap_or(list));
        }
        self.shown.is_complete = true;
        Ok(true)
    }

    fn put(&mut self, endpoint: Endpoint) -> Result<bool, ViewError> {
        let name = endpoint.service.clone();
        let service = self.services.entry(name.clone()).or_default();
        if service.insert(endpoint.id.clone(), Arc::new(endpoint)).is_none() {
            self.count += 1;
        }
        if self.count > MOST_ENDPOINTS {
            return Err(ViewError::TooMany);
        }
        self.show(&name);
        Ok(true)
    }

    fn delete(&mut self, gone: &Gone) -> bool {
        let service = self.services.get_mut(&*gone.service);
        let Some(removed) = service.and_then(|service| service.remove(&*gone.id)) else { return false };
        self.count -= 1;
        self.show(&removed.service);
        true
    }

    fn health(&mut self, health: &Health) -> bool {
        let service = self.services.get_mut(&*health.service);
        let Some(endpoint) = service.and_then(|service| service.get_mut(&*health.id)) else { return false };
        Arc::make_mut(endpoint).is_suspect = health.health == "suspect";
        let name = endpoint.service.clone();
        self.show(&name);
        true
    }

    /// Shows a service as it is now.
    fn show(&mut self, name: &ServiceName) {
        let Some(service) = self.services.get(name) else { return };
        if service.is_empty() {
            self.services.remove(name);
            self.shown.services.remove(name);
        } else {
            self.shown.services.insert(name.clone(), service.values().cloned().collect());
        }
    }
}

/// About a gigabyte: whoever watches that much watches too much.
const MOST_ENDPOINTS: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(id: &str, port: u16, state: &str) -> Value {
        json!({"service": "web", "id": id, "address": "127.0.0.1", "port": port, "weight": 1, "epoch": 1,
            "tags": [], "meta": {}, "state": state, "health": "ok", "ttl_ms": 30000, "sequence": 1, "later": {}})
    }

    fn event(kind: &str, id: &str, data: &Value) -> Event {
        let id = Some(id.to_owned()).filter(|id| !id.is_empty());
        Event { kind: kind.to_owned(), id, data: data.to_string() }
    }

    fn snapshot(ids: &[&str], done: bool, id: &str) -> Event {
        let instances: Vec<Value> = ids.iter().map(|id| document(id, 80, "up")).collect();
        event("snapshot", id, &json!({"instances": instances, "done": done}))
    }

    /// The ids that are shown, a `~` behind those that are suspect, a `-` behind those that drain.
    fn ids(view: &View) -> String {
        let mark = |endpoint: &Arc<Endpoint>| {
            let suspect = if endpoint.is_suspect { "~" } else { "" };
            let draining = if endpoint.state == EndpointState::Draining { "-" } else { "" };
            format!("{}{suspect}{draining}", endpoint.id)
        };
        view.endpoints().of("web").iter().map(mark).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(view: &mut View, event: &Event, shown: &str, last: Option<&str>) {
        view.take(event).expect("it makes sense");
        assert_eq!((&*ids(view), view.last_id()), (shown, last), "{event:?}");
    }

    #[test]
    fn events_change_what_is_shown() {
        let mut view = View::default();
        check(&mut view, &snapshot(&["a", "b"], false, ""), "", None);
        assert!(!view.endpoints().is_complete());
        check(&mut view, &snapshot(&["c"], true, "h.0.3"), "a b c", Some("h.0.3"));
        assert!(view.endpoints().is_complete());
        let put =
            |id: &str, state: &str| json!({"sequence": 4, "cause": "x", "instance": document(id, 80, state)});
        check(&mut view, &event("put", "h.0.4", &put("d", "up")), "a b c d", Some("h.0.4"));
        check(&mut view, &event("put", "h.0.5", &put("b", "draining")), "a b- c d", Some("h.0.5"));
        let of =
            |id: &str| json!({"sequence": 6, "service": "web", "id": id, "epoch": 1, "health": "suspect"});
        check(&mut view, &event("health", "h.0.6", &of("c")), "a b- c~ d", Some("h.0.6"));
        check(&mut view, &event("delete", "h.0.7", &of("a")), "b- c~ d", Some("h.0.7"));
        check(&mut view, &event("delete", "h.0.8", &of("x")), "b- c~ d", Some("h.0.8"));
        check(&mut view, &event("bookmark", "h.0.9", &json!({"sequence": 9})), "b- c~ d", Some("h.0.9"));
        check(&mut view, &event("later", "h.0.10", &json!({})), "b- c~ d", Some("h.0.10"));
    }

    #[test]
    fn nothing_goes_before_everything_was_told_anew() {
        let mut view = View::default();
        view.take(&snapshot(&["a", "b"], true, "old.0.3")).expect("a snapshot");
        let before = view.endpoints().of("web");
        check(&mut view, &event("reset", "", &json!({})), "a b", Some("old.0.3"));
        check(&mut view, &snapshot(&["a"], false, ""), "a b", Some("old.0.3"));
        // The connection breaks: the next one begins where the last whole word was.
        view.reconnected();
        check(&mut view, &event("reset", "", &json!({})), "a b", Some("old.0.3"));
        check(&mut view, &snapshot(&["a"], false, ""), "a b", Some("old.0.3"));
        check(&mut view, &snapshot(&["b"], true, "new.0.1"), "a b", Some("new.0.1"));
        assert!(Arc::ptr_eq(&before, &view.endpoints().of("web")), "nothing has changed");
        check(&mut view, &event("reset", "", &json!({})), "a b", Some("new.0.1"));
        check(&mut view, &snapshot(&[], true, "new.0.2"), "", Some("new.0.2"));
    }

    #[test]
    fn what_makes_no_sense_changes_nothing() {
        let mut view = View::default();
        view.take(&snapshot(&["a"], true, "h.0.1")).expect("a snapshot");
        let refuse = |view: &mut View, event: &Event| {
            assert!(view.take(event).is_err(), "{event:?}");
            assert_eq!((&*ids(view), view.last_id()), ("a", Some("h.0.1")), "{event:?}");
        };
        let mut broken = document("b", 80, "up");
        for (key, value) in
            [("port", json!(0)), ("id", json!("a/b")), ("address", json!("x")), ("weight", json!(0))]
        {
            let before = broken[key].take();
            broken[key] = value;
            refuse(&mut view, &event("put", "h.0.2", &json!({"instance": broken})));
            broken[key] = before;
        }
        refuse(&mut view, &event("snapshot", "h.0.2", &json!([])));
        view.take(&event("reset", "", &json!({}))).expect("a reset");
        refuse(&mut view, &event("put", "h.0.2", &json!({"instance": document("b", 80, "up")})));
    }

    #[test]
    fn a_state_of_a_later_release_gets_no_traffic() {
        let mut view = View::default();
        let instance = document("a", 80, "warming");
        view.take(&event("put", "h.0.1", &json!({"instance": instance}))).expect("it makes sense");
        assert_eq!(view.endpoints().of("web")[0].state, EndpointState::Unknown);
    }
}
