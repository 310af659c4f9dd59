//! What is registered: lists, single instances, and the wait for a list to change.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_model::ServiceName;
use hyper::header::{HeaderMap, IF_NONE_MATCH};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::Body;
use super::document::{Shown, SingleDocument};
use super::filter::Filter;
use super::problem::{Code, Problem};
use super::query::{Query, wrong};
use super::server::Visit;
use super::{Api, answer};
use crate::registry::Published;
use crate::state::{Key, Sequence, Stage};

#[derive(Debug, Serialize)]
struct ServiceDocument {
    name: String,
    index: u64,
    instances: usize,
    up: usize,
    draining: usize,
    maintenance: usize,
    suspect: usize,
}

impl Api {
    /// All services.
    pub(super) fn services(&self, query: Option<&str>) -> Result<Response<Body>, Problem> {
        Query::parse(query)?.end()?;
        let (services, index) = self.registry.services();
        let open =
            format!("{{\"index\":{},\"store_epoch\":\"{}\",\"services\":[", index.0, self.store_epoch());
        let items = services.into_iter().map(|(name, published)| ServiceDocument::new(&name, &published));
        Ok(answer::typed(Body::list(open, items, "]}\n"), "application/json"))
    }

    /// One instance.
    pub(super) fn instance(&self, key: &Key, query: Option<&str>) -> Result<Response<Body>, Problem> {
        Query::parse(query)?.end()?;
        let published = self.registry.service(&key.service);
        let entry = published.as_ref().and_then(|published| published.find(&key.id));
        let unknown = || Problem::new(Code::Unknown, "no such instance is registered");
        let entry = entry.ok_or_else(unknown)?;
        let response = answer::json(&SingleDocument::new(entry, self.registry.remaining(entry)));
        Ok(answer::tagged(response, &format!("\"{}\"", entry.instance.sequence.0)))
    }

    /// The instances of a service, perhaps after a wait.
    pub(super) async fn instances(
        &self,
        service: &ServiceName,
        query: Option<&str>,
        headers: &HeaderMap,
        visit: &Visit,
    ) -> Result<Response<Body>, Problem> {
        let mut query = Query::parse(query)?;
        let filter = Filter::take(&mut query)?;
        let wait = query.duration("wait", LONGEST_WAIT)?;
        let since = query.number("since")?;
        query.end()?;
        match (wait, since) {
            (Some(wait), Some(since)) => self.wait(service, Sequence(since), wait, visit).await?,
            (Some(_), None) => return Err(wrong("wait", "says nothing without `since`")),
            (None, _) => {}
        }
        let published = self.registry.service(service);
        let index = published.as_ref().map_or(0, |published| published.index.0);
        let tag = format!("\"{}-{index}\"", self.store_epoch());
        if is_known(headers, &tag) {
            return Ok(answer::kept(answer::empty(StatusCode::NOT_MODIFIED), &tag));
        }
        let open = format!("{{\"service\":\"{service}\",\"index\":{index},\"instances\":[");
        let items = instances(published).filter(move |shown| filter.wants(&shown.0));
        let response = answer::typed(Body::list(open, items, "]}\n"), "application/json");
        Ok(answer::kept(response, &tag))
    }

    /// Waits until the list of a service is not that of this index any more, or for so long.
    async fn wait(
        &self,
        service: &ServiceName,
        since: Sequence,
        wait: Duration,
        visit: &Visit,
    ) -> Result<(), Problem> {
        let place = self.watch_place()?;
        let watcher = self.registry.watch(Some(vec![service.clone()]), None);
        let Ok(mut watcher) = watcher else { return Ok(()) };
        let index = self.registry.service(service).map_or(0, |published| published.index.0);
        // Another index, also a lower one, is of another list: the history may have begun anew.
        if index != since.0 {
            return Ok(());
        }
        visit.seat.leave();
        // So that those who began together do not come back together.
        let wait = wait + Duration::from_millis(self.below(super::millis(wait) / 16 + 1));
        let mut stop = visit.stop.clone();
        tokio::select! {
            _ = watcher.next() => {}
            () = tokio::time::sleep(wait) => {}
            _ = stop.changed() => {}
        }
        drop(place);
        visit.seat.take(&self.counters);
        Ok(())
    }
}

impl ServiceDocument {
    fn new(name: &ServiceName, published: &Published) -> Self {
        let instances = || published.entries.iter().map(|entry| &entry.instance);
        let count = |stage| instances().filter(|instance| instance.stage() == stage).count();
        ServiceDocument {
            name: name.to_string(),
            index: published.index.0,
            instances: published.entries.len(),
            up: count(Stage::Up),
            draining: count(Stage::Draining),
            maintenance: count(Stage::Maintenance),
            suspect: instances().filter(|instance| instance.suspect.is_some()).count(),
        }
    }
}

/// The instances of a list, one after the other.
pub(super) fn instances(published: Option<Arc<Published>>) -> impl Iterator<Item = Shown> + Send + 'static {
    let mut place = 0;
    std::iter::from_fn(move || {
        let entry = published.as_ref()?.entries.get(place)?;
        place += 1;
        Some(Shown(Arc::clone(&entry.instance)))
    })
}

/// Whether the client says that it has this state already (RFC 9110 §13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

const LONGEST_WAIT: Duration = Duration::from_secs(600);
