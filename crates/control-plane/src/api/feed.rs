//! Following the registry over HTTP: server-sent events. Nothing is made before the client takes it: who reads slowly
//! finds the events where the registry remembers them, or begins anew.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fulcrum_model::ServiceName;
use hyper::Response;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::body::{Body, Feed, Next, PAGE};
use super::document::{Shown, health};
use super::problem::{Code, Problem};
use super::query::Query;
use super::server::Visit;
use super::{Api, answer, prometheus_sd, read};
use crate::registry::{Event, Reset, Watcher};
use crate::state::{Cause, Sequence};

/// Events on their way to one client.
struct Events {
    watcher: Watcher,
    /// What the ids of events begin with.
    history: String,
    step: Step,
    bookmark_at: Instant,
    retry_ms: u64,
    stop: watch::Receiver<Duration>,
    _place: OwnedSemaphorePermit,
}

/// What comes next.
enum Step {
    /// The client begins anew, and has to forget what it knows.
    Reset,
    /// Everything there is.
    Snapshot,
    /// More of it.
    Rest(Box<std::iter::Peekable<Instances>>),
    /// What happens from then on.
    Live(std::vec::IntoIter<Arc<Event>>),
}

type Instances = Box<dyn Iterator<Item = Shown> + Send>;

impl Api {
    /// Begins a feed.
    pub(super) fn watch(
        &self,
        query: Option<&str>,
        headers: &HeaderMap,
        visit: &Visit,
    ) -> Result<Response<Body>, Problem> {
        let mut query = Query::parse(query)?;
        let services = prometheus_sd::services(&mut query)?;
        query.end()?;
        let history = format!("{}.{}.", self.store_epoch(), self.settings.load().node);
        let last = last_event(headers)?;
        let place = self.watch_place()?;
        let (watcher, step) = match last.map(|last| since(last, &history)) {
            None => (self.watcher(services, None), Step::Snapshot),
            Some(since) => {
                match since.and_then(|since| self.registry.watch(services.clone(), Some(since)).ok()) {
                    Some(watcher) => (Ok(watcher), Step::Live(Vec::new().into_iter())),
                    None => (self.watcher(services, None), Step::Reset),
                }
            }
        };
        let bookmark_at = Instant::now() + BOOKMARK_EVERY;
        let stop = visit.stop.clone();
        let retry_ms = RETRY_MS + self.below(RETRY_MS + 1);
        let watcher = watcher?;
        let events = Events { watcher, history, step, bookmark_at, retry_ms, stop, _place: place };
        // What has a place among the watchers needs none among the connections, and ends with the feed.
        visit.seat.leave();
        visit.watches();
        let mut response = answer::typed(Body::feed(Box::new(events)), "text/event-stream");
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(response)
    }

    fn watcher(
        &self,
        services: Option<Vec<ServiceName>>,
        since: Option<Sequence>,
    ) -> Result<Watcher, Problem> {
        let again = |Reset| Problem::new(Code::Overload, "events come too quickly to begin now");
        self.registry.watch(services, since).map_err(again)
    }
}

impl Feed for Events {
    fn next(mut self: Box<Self>) -> Next {
        Box::pin(async move {
            let mut text = String::new();
            while text.is_empty() {
                text = self.step().await?;
            }
            Some((self as Box<dyn Feed>, Bytes::from(text)))
        })
    }
}

impl Events {
    /// Something to tell, or nothing this time; `None` when the feed ends.
    async fn step(&mut self) -> Option<String> {
        match &mut self.step {
            Step::Reset => {
                self.step = Step::Snapshot;
                Some("event: reset\ndata: {}\n\n".to_owned())
            }
            Step::Snapshot => {
                let lists = self.watcher.begin_anew().into_iter().map(|(_, list)| list);
                let instances: Instances = Box::new(lists.flat_map(|list| read::instances(Some(list))));
                self.step = Step::Rest(Box::new(instances.peekable()));
                Some(format!("retry: {}\n\n", self.retry_ms))
            }
            Step::Rest(instances) => {
                let (mut text, is_done) = chunk(instances);
                if is_done {
                    // Who loses the connection before has not everything, and begins anew.
                    let _ = writeln!(text, "id: {}{}", self.history, self.watcher.position().0);
                    self.step = Step::Live(Vec::new().into_iter());
                }
                text.push('\n');
                Some(text)
            }
            Step::Live(events) => {
                let text = page(events, &self.history);
                if text.is_empty() { self.wait().await } else { Some(text) }
            }
        }
    }

    /// Waits for events, or until a word is due all the same.
    async fn wait(&mut self) -> Option<String> {
        let events = tokio::select! {
            events = self.watcher.next() => events,
            () = tokio::time::sleep_until(self.bookmark_at) => {
                self.bookmark_at = Instant::now() + BOOKMARK_EVERY;
                self.watcher.look()
            }
            _ = self.stop.changed() => return None,
        };
        match events {
            Ok(events) if events.is_empty() => {
                let position = self.watcher.position().0;
                Some(format!(
                    "event: bookmark\nid: {}{position}\ndata: {{\"sequence\":{position}}}\n\n",
                    self.history
                ))
            }
            Ok(events) => {
                self.step = Step::Live(events.into_iter());
                Some(String::new())
            }
            Err(Reset) => {
                self.step = Step::Reset;
                Some(String::new())
            }
        }
    }
}

/// Some instances, and whether they were the last.
fn chunk(instances: &mut std::iter::Peekable<Instances>) -> (String, bool) {
    let mut text = "event: snapshot\ndata: {\"instances\":[".to_owned();
    for place in 0..MOST_INSTANCES {
        if text.len() >= PAGE {
            break;
        }
        let Some(instance) = instances.next() else { break };
        if place > 0 {
            text.push(',');
        }
        text += &serde_json::to_string(&instance).expect("its keys are texts");
    }
    let is_done = instances.peek().is_none();
    let _ = writeln!(text, "],\"done\":{is_done}}}");
    (text, is_done)
}

/// Some events.
fn page(events: &mut std::vec::IntoIter<Arc<Event>>, history: &str) -> String {
    let mut text = String::new();
    while text.len() < PAGE
        && let Some(event) = events.next()
    {
        let (name, data) = show(&event);
        let _ = write!(text, "event: {name}\nid: {history}{}\ndata: {data}\n\n", event.sequence.0);
    }
    text
}

fn show(event: &Event) -> (&'static str, String) {
    let (service, id) = (event.key().service.as_str(), event.key().id.as_str());
    let (sequence, cause) = (event.sequence.0, event.cause.to_string());
    match (&event.after, &event.cause) {
        (Some(instance), Cause::Lease) => {
            let suspect = instance.suspect.map(|hold| hold.as_str());
            let (epoch, health) = (instance.epoch.0, health(instance));
            let data = json!({"sequence": sequence, "service": service, "id": id, "epoch": epoch,
                "health": health, "suspect": suspect});
            ("health", data.to_string())
        }
        (Some(instance), _) => {
            let instance = serde_json::to_string(&Shown(Arc::clone(instance))).expect("its keys are texts");
            ("put", format!("{{\"sequence\":{sequence},\"cause\":\"{cause}\",\"instance\":{instance}}}"))
        }
        (None, _) => {
            let epoch = event.before.as_ref().map(|before| before.epoch.0);
            let data =
                json!({"sequence": sequence, "cause": cause, "service": service, "id": id, "epoch": epoch});
            ("delete", data.to_string())
        }
    }
}

fn last_event(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let text = headers.get("last-event-id").map(|value| value.to_str());
    let text =
        text.transpose().map_err(|_| Problem::new(Code::Header, "`Last-Event-ID` is no id of ours"))?;
    // Browsers send it empty when there was none.
    Ok(text.filter(|text| !text.is_empty()))
}

/// The place in our history that an id means; nothing when it is of another one.
fn since(id: &str, history: &str) -> Option<Sequence> {
    id.strip_prefix(history)?.parse().ok().map(Sequence)
}

/// In a chunk of a snapshot.
const MOST_INSTANCES: usize = 500;

/// So that clients see that the connection lives, and where to go on from.
const BOOKMARK_EVERY: Duration = Duration::from_secs(10);

/// How long clients are to wait before they come back: so long, and up to as much again.
const RETRY_MS: u64 = 1000;
