//! Following services: a task reads events for as long as anybody is interested, and comes back when it loses the
//! registry. What was known last is known for ever, until a registry says otherwise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fulcrum_balance::Rng;
use fulcrum_model::{NameError, ServiceName};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::header::HeaderValue;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ask::{AskError, Question, encoded};
use crate::events::{Event, Events};
use crate::pace::{self, Backoff};
use crate::registry::{Registry, random};
use crate::servers::{Failover, Servers};
use crate::view::{Endpoints, View};

/// A view of services that follows the registry. It ends when it is dropped, and what it has shown last stays in the
/// receivers.
#[derive(Debug)]
pub struct Watch {
    endpoints: watch::Receiver<Arc<Endpoints>>,
    problem: watch::Receiver<Option<Arc<AskError>>>,
    task: JoinHandle<()>,
}

impl Registry {
    /// Follows these services, or all where none is named. It returns at once, and has to be called within a tokio runtime.
    pub fn watch<'a>(&self, services: impl IntoIterator<Item = &'a str>) -> Result<Watch, NameError> {
        let services: Vec<ServiceName> = services.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        let pairs: Vec<String> =
            services.iter().map(|service| format!("service={}", encoded(service.as_str()))).collect();
        let target = if pairs.is_empty() { WATCH.to_owned() } else { format!("{WATCH}?{}", pairs.join("&")) };
        let (endpoints, shown) = watch::channel(Arc::default());
        let (problem, problems) = watch::channel(None);
        let mut rng = random();
        let servers = self.servers(&mut rng);
        let follower = Follower {
            registry: self.clone(),
            target,
            servers,
            view: View::default(),
            endpoints,
            problem,
            rng,
            start: Instant::now(),
        };
        let task = tokio::spawn(follower.follow());
        Ok(Watch { endpoints: shown, problem: problems, task })
    }
}

impl Watch {
    /// What is known now.
    pub fn endpoints(&self) -> Arc<Endpoints> {
        Arc::clone(&self.endpoints.borrow())
    }

    /// The same with every change of it.
    pub fn changes(&self) -> watch::Receiver<Arc<Endpoints>> {
        self.endpoints.clone()
    }

    /// Waits until a registry has told everything once; while none answers, for ever.
    pub async fn ready(&self) -> Arc<Endpoints> {
        let mut endpoints = self.endpoints.clone();
        let complete = endpoints.wait_for(|endpoints| endpoints.is_complete()).await;
        complete.map(|endpoints| Arc::clone(&endpoints)).unwrap_or_default()
    }

    /// Why the registry is not being followed at the moment; nothing while it is.
    pub fn problem(&self) -> Option<Arc<AskError>> {
        self.problem.borrow().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the task works with.
struct Follower {
    registry: Registry,
    target: String,
    servers: Servers,
    view: View,
    endpoints: watch::Sender<Arc<Endpoints>>,
    problem: watch::Sender<Option<Arc<AskError>>>,
    rng: Rng,
    start: Instant,
}

impl Follower {
    async fn follow(mut self) {
        let mut backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
        loop {
            let mut events = Events::default();
            let error = self.read(&mut events).await;
            let is_of_the_server = error.is_of_the_server();
            let after = error.problem().and_then(|problem| problem.after);
            self.problem.send_replace(Some(Arc::new(error)));
            // Only a connection that has told something was one.
            let wait = match events.retry {
                Some(retry) => {
                    self.servers.answered();
                    backoff.succeeded();
                    pace::part(retry.min(LONGEST_RETRY), &mut self.rng)
                }
                None if is_of_the_server && self.servers.failed() == Failover::Next => Duration::ZERO,
                None => backoff.failed_until(after, &mut self.rng),
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Reads events until the connection ends; why it did.
    async fn read(&mut self, events: &mut Events) -> AskError {
        let registry = self.registry.url(&self.servers).clone();
        let broken = |source: Box<dyn std::error::Error + Send + Sync>| AskError::Broken {
            registry: registry.clone(),
            source,
        };
        let mut question = Question::new(Method::GET, self.target.clone());
        let last = self.view.last_id().and_then(|id| HeaderValue::from_str(id).ok());
        question.headers.extend(last.map(|last| (LAST_EVENT_ID, last)));
        let mut body = match question.begin(&registry, self.registry.token(), BEGIN_WITHIN).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        self.view.reconnected();
        loop {
            let frame = match tokio::time::timeout(SILENCE, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return broken(error.into()),
                Ok(None) => return broken("the registry has ended the watch".into()),
                Err(_) => return AskError::Late { registry, within: SILENCE },
            };
            if let Some(Err(error)) = frame.data_ref().map(|bytes| self.take(events, bytes)) {
                self.view.begin_anew();
                // Whatever came before that: it was no good connection.
                events.retry = None;
                return broken(error);
            }
        }
    }

    /// Takes what has come, and shows what is known then, once for all of it.
    fn take(
        &mut self,
        events: &mut Events,
        bytes: &[u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let whole = events.take(bytes)?;
        let now = self.start.elapsed();
        let take = |event: Event| {
            // Who goes on after an event gets no `retry`: any event says as much.
            events.retry.get_or_insert(FIRST_RETRY);
            self.view.take(&event, now)
        };
        let outcome = whole.into_iter().try_for_each(take);
        if let Some(endpoints) = self.view.show() {
            self.endpoints.send_replace(Arc::new(endpoints.clone()));
        }
        outcome?;
        if self.problem.borrow().is_some() {
            self.problem.send_replace(None);
        }
        Ok(())
    }
}

const WATCH: &str = "/v1/watch";

const LAST_EVENT_ID: hyper::header::HeaderName = hyper::header::HeaderName::from_static("last-event-id");

/// For the head of the answer.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// A bookmark comes every ten seconds: who says nothing for longer is not there any more.
const SILENCE: Duration = Duration::from_secs(30);

const FIRST_RETRY: Duration = Duration::from_secs(1);

const LONGEST_RETRY: Duration = Duration::from_secs(30);
