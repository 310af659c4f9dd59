//! The attempt loop of a connection: choose an endpoint, wait for a place there, connect; another endpoint when that
//! fails.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::endpoint::Endpoint;
use crate::http::error::Reason;
use crate::http1::wire::Wire;
use crate::metrics::Limit;
use crate::service::{
    EndpointView, Failing, HOLD, InFlight, Line, MembersView, NoPick, ServiceView, Staying, Tried, Waiter,
};
use crate::timer::{Millis, Timer};
use crate::transport::{self, Upstream};
use crate::worker::Worker;

use super::{Facts, poll_broken};

/// A connection on its way to an endpoint of a service.
pub(super) struct Attempts<'a> {
    worker: &'a Rc<Worker>,
    service: &'a ServiceView,
    client: &'a mut Wire,
    timer: &'a Timer,
    facts: &'a mut Facts,
    /// Endpoints that have failed, by their serials.
    failed: &'a mut Vec<u64>,
    members: Rc<MembersView>,
    /// The same by their places.
    tried: Tried,
    /// How the last of them has failed.
    reason: Option<Reason>,
    /// Until when it may wait for the first word of an endpoint.
    hold_until: Millis,
}

/// A connection to an endpoint and the place it takes there. It is reset when dropped, unless it is whole.
pub(super) struct Link {
    pub(super) upstream: Box<Upstream>,
    pub(super) endpoint: Rc<EndpointView>,
    /// `timeouts.stream_idle`.
    pub(super) idle: Millis,
    pub(super) began: Instant,
    /// Both sides have ended.
    pub(super) is_whole: bool,
    _staying: Staying,
    _in_flight: InFlight,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        worker: &'a Rc<Worker>,
        service: &'a ServiceView,
        (client, timer): (&'a mut Wire, &'a Timer),
        (facts, failed): (&'a mut Facts, &'a mut Vec<u64>),
    ) -> Self {
        let members = service.members(worker);
        let tried = tried_among(&members, failed);
        let hold_until = timer.now() + HOLD;
        Attempts { worker, service, client, timer, facts, failed, members, tried, reason: None, hold_until }
    }

    /// Connects to an endpoint. `key` is what the connection is hashed by.
    pub(super) async fn run(mut self, key: Option<u64>) -> Result<Link, Reason> {
        if self.service.service.state.is_holding() {
            let state = &self.service.service.state;
            waiter(self.client, self.timer).hold(state, self.hold_until).await?;
            self.members = self.service.members(self.worker);
            self.tried = tried_among(&self.members, self.failed);
        }
        loop {
            let endpoint = self.place(key).await?;
            let endpoint = self.worker.endpoint(&endpoint, &self.service.service);
            let in_flight = InFlight::new(&endpoint);
            let staying = Staying::new(&endpoint);
            if self.facts.attempts > 0 {
                self.service.cells.retries.add(1);
            }
            self.facts.attempts += 1;
            self.facts.endpoint = Some(Rc::clone(&endpoint));
            let began = Instant::now();
            match self.connect(&endpoint).await {
                Ok(upstream) => {
                    self.facts.time_connect = Some(began.elapsed());
                    return Ok(Link {
                        upstream,
                        endpoint,
                        idle: self.service.service.timeouts.stream_idle,
                        began,
                        is_whole: false,
                        _staying: staying,
                        _in_flight: in_flight,
                    });
                }
                Err(reason) => self.settle(&endpoint, reason)?,
            }
        }
    }

    /// What follows from an attempt that failed; an error when there is to be no other.
    pub(super) fn settle(&mut self, endpoint: &EndpointView, reason: Reason) -> Result<(), Reason> {
        let worker = self.worker;
        if !reason.is_upstream_fault() {
            return Err(reason);
        }
        endpoint.cells.errors[reason.index()].add(1);
        worker.penalize(endpoint);
        endpoint.state.attempt_failed(&endpoint.endpoint, Failing::Reason(reason), worker.shared.now());
        let retry = &self.service.service.retry;
        if retry.retries == 0 || !retry.on.connect {
            return Err(reason);
        }
        self.reason = Some(reason);
        self.failed.push(endpoint.endpoint.serial);
        if let Some(place) = self.members.place_of(&endpoint.endpoint) {
            self.tried.add(place);
        }
        if self.failed.len() >= MOST_FAILED {
            worker.cells.hit(Limit::Attempts);
            return Err(reason);
        }
        if !self.service.may_retry(worker) {
            worker.cells.hit(Limit::RetryBudget);
            return Err(reason);
        }
        Ok(())
    }

    /// A place at an endpoint, the caller's from here on.
    async fn place(&mut self, key: Option<u64>) -> Result<Arc<Endpoint>, Reason> {
        match self.members.pick(&self.service.service, &self.tried, key, self.worker) {
            Ok(place) => Ok(Arc::clone(self.members.at(place))),
            Err(NoPick::Full) => self.wait().await,
            Err(NoPick::None) => self.look_again(key).await,
        }
    }

    /// Nobody was found, perhaps because the service is just being changed: what it is then counts.
    async fn look_again(&mut self, key: Option<u64>) -> Result<Arc<Endpoint>, Reason> {
        let state = &self.service.service.state;
        state.await_change();
        if state.is_holding() {
            waiter(self.client, self.timer).hold(state, self.hold_until).await?;
        }
        self.members = self.service.members(self.worker);
        self.tried = tried_among(&self.members, self.failed);
        match self.members.pick(&self.service.service, &self.tried, key, self.worker) {
            Ok(place) => Ok(Arc::clone(self.members.at(place))),
            Err(NoPick::Full) => self.wait().await,
            Err(NoPick::None) => Err(self.reason.unwrap_or(Reason::NoEndpoint)),
        }
    }

    /// Waits in the service's line for a place at any endpoint that has not failed.
    async fn wait(&mut self) -> Result<Arc<Endpoint>, Reason> {
        let (view, worker) = (self.service, self.worker);
        let line = Line { only: None, tried: self.failed.clone() };
        let (members, tried) = (&self.members, &self.tried);
        let free = || {
            let place = members.pick(&view.service, tried, None, worker).ok()?;
            Some(Arc::clone(members.at(place)))
        };
        waiter(self.client, self.timer).queue(view, line, free).await
    }

    /// A connection to the endpoint, unless the client goes away meanwhile.
    async fn connect(&mut self, endpoint: &EndpointView) -> Result<Box<Upstream>, Reason> {
        let connecting = pin!(transport::connect(self.worker, self.service, endpoint));
        waiter(self.client, self.timer).connect(connecting, None).await
    }
}

/// The endpoints of these serials that are members.
fn tried_among(members: &MembersView, failed: &[u64]) -> Tried {
    let mut tried = Tried::default();
    members.places_of(failed).for_each(|place| tried.add(place));
    tried
}

/// Who waits: what the client says meanwhile is kept.
fn waiter<'a>(
    client: &'a mut Wire,
    timer: &'a Timer,
) -> Waiter<'a, impl FnMut(&mut Context<'_>) -> Poll<()> + 'a> {
    Waiter { timer, gone: move |context: &mut Context<'_>| poll_broken(client, context) }
}

/// Most endpoints that one connection is tried on.
const MOST_FAILED: usize = 8;
