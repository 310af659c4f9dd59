//! The attempt loop: choose an endpoint, send the request, pass the response on; another endpoint when a connection
//! fails before anything was delivered.

mod attempt;
mod tries;

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::connection::{Connection, Flushed, Next};
use crate::http::error::Reason;
use crate::http::exchange::{Failure, Repeat};
use crate::http::message::RequestHead;
use crate::http::sticky::Pinned;
use crate::http::transaction::Transaction;
use crate::http::{Client, Facts};
use crate::metrics::Limit;
use crate::service::{
    EndpointView, Failing, HOLD, InFlight, Line, MembersView, NoPick, ServiceView, Spare, Waiter, Watch,
};
use crate::snapshot::Changes;
use crate::timer::Timer;
use crate::transport::{self, Upstream};

use attempt::{Attempt, Outcome};
use tries::Tries;

/// A request on its way to a service.
pub(crate) struct Forward<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) timer: &'a Timer,
    pub(crate) head: &'a RequestHead,
    pub(crate) client: &'a Client,
    pub(crate) service: &'a ServiceView,
    pub(crate) changes: Option<Arc<Changes>>,
    pub(crate) transaction: &'a mut Transaction,
}

impl Forward<'_> {
    /// Sends the request to an endpoint and its response to the client. An error is still to be answered: nothing of a
    /// final response has gone out.
    pub(crate) async fn run(mut self) -> Result<Next, Reason> {
        let worker = Rc::clone(&self.connection.worker);
        self.service.count();
        let hold_until = self.timer.now() + HOLD;
        if self.service.service.state.is_holding() {
            let state = &self.service.service.state;
            Box::pin(self.waiter().hold(state, hold_until)).await?;
        }
        let key = self.service.key(self.client, self.head, &Facts { head: self.head, client: self.client });
        let mut members = self.service.members(&worker);
        let pinned = Pinned::of(self.service, &members, self.head);
        let mut tries = Tries { pinned: pinned.place, hold_until, ..Tries::default() };
        loop {
            let is_again = tries.again.is_some();
            let (place, held) = match tries.again.take() {
                Some((place, in_flight)) => (place, Some(in_flight)),
                None => (self.place(&mut members, &mut tries, key).await?, None),
            };
            let endpoint = members.endpoint(place, self.service, &worker);
            let in_flight = held.unwrap_or_else(|| InFlight::new(&endpoint));
            if tries.attempts > 0 {
                self.service.cells.retries.add(1);
            }
            tries.attempts += 1;
            let began = self.transaction.attempt(&endpoint);
            let spare = Spare {
                service: self.service,
                worker: &worker,
                members: &members,
                tried: &tries.list,
                place,
            };
            let failure = match self.connect(&endpoint, is_again, began, spare).await {
                Ok(mut upstream) => {
                    let cookie = pinned.renewal(&self.service.service, &members, place);
                    let spare = self.may_have_spare(&tries, place).then_some(spare);
                    let attempt = Attempt { endpoint: &endpoint, began, cookie: cookie.as_deref(), spare };
                    match self.attempt(&attempt, &mut upstream).await {
                        Ok(Outcome { next, keep_upstream }) => {
                            // The connection first: whoever gets the place needs one.
                            if keep_upstream {
                                transport::give_back(&worker, self.service, &endpoint, upstream);
                            } else {
                                drop(upstream);
                            }
                            drop(in_flight);
                            return self.flush(next).await;
                        }
                        Err(failure)
                            if upstream.reused
                                && failure.reason.is_broken_connection()
                                && self.may_repeat(&failure)
                                && (failure.repeat == Repeat::Any
                                    || self.service.service.retry.retries > 0) =>
                        {
                            // It was closed while it was pooled, which says nothing of the endpoint. Unless the request
                            // closed it: that counts.
                            tries.count_delivery(place, failure.repeat);
                            tries.again = Some((place, in_flight));
                            failure
                        }
                        Err(failure) => failure,
                    }
                }
                Err(reason) => Failure { reason, repeat: Repeat::Any },
            };
            if tries.again.is_none() {
                self.settle(&failure, &endpoint, &mut tries, place)?;
            }
            if !failure.reason.is_paid() && !self.service.may_retry(&worker) {
                worker.cells.hit(Limit::RetryBudget);
                if tries.again.is_some() {
                    self.transaction.attempt_failed(failure.reason);
                }
                return Err(failure.reason);
            }
            self.connection.server.rewind();
        }
    }

    /// What follows from an attempt that failed; an error when there is to be no other.
    fn settle(
        &self,
        failure: &Failure,
        endpoint: &EndpointView,
        tries: &mut Tries,
        place: usize,
    ) -> Result<(), Reason> {
        let worker = &self.connection.worker;
        self.transaction.attempt_failed(failure.reason);
        if failure.reason.is_upstream_fault() {
            self.blame(endpoint, failure.reason);
        }
        let retry = &self.service.service.retry;
        let is_wanted = match failure.repeat {
            Repeat::Any => retry.on.connect,
            _ if failure.reason == Reason::ResponseHeaderTimeout => retry.on.timeout,
            _ if failure.reason == Reason::UpstreamUnavailable => retry.on.unavailable,
            Repeat::Idempotent | Repeat::Never => retry.on.reset,
        };
        // A request that kills whoever gets it must not go round.
        tries.count_delivery(place, failure.repeat);
        if retry.retries == 0
            || !is_wanted
            || tries.delivered > retry.retries
            || !failure.reason.is_upstream_fault()
            || !self.may_repeat(failure)
        {
            return Err(failure.reason);
        }
        tries.list.add(place);
        tries.failed = Some(failure.reason);
        if !tries.list.has_room() {
            worker.cells.hit(Limit::Attempts);
            return Err(failure.reason);
        }
        Ok(())
    }

    /// Holds a failed attempt against the endpoint.
    fn blame(&self, endpoint: &EndpointView, reason: Reason) {
        let worker = &self.connection.worker;
        worker.penalize(endpoint);
        // That its check fails is known already.
        if reason != Reason::EndpointDown {
            let failing = Failing::Reason(reason);
            endpoint.state.attempt_failed(&endpoint.endpoint, failing, worker.shared.now());
        }
    }

    /// Whether there may be another try after the one at this place. What must not be done twice has none: the answer
    /// may still come.
    fn may_have_spare(&self, tries: &Tries, place: usize) -> bool {
        let delivered = tries.delivered + u8::from(tries.delivered_to != Some(place));
        delivered <= self.service.service.retry.retries && self.head.method.is_idempotent()
    }

    /// A place at an endpoint, the caller's from here on.
    async fn place(
        &mut self,
        members: &mut Rc<MembersView>,
        tries: &mut Tries,
        key: Option<u64>,
    ) -> Result<usize, Reason> {
        let worker = Rc::clone(&self.connection.worker);
        if let Some(place) = tries.pinned.filter(|&place| !tries.list.contains(place)) {
            if members.at(place).try_start() {
                return Ok(place);
            }
            // It is full: who belongs there waits for it, and goes elsewhere when that takes too long.
            match Box::pin(self.wait(members, tries, Some(place))).await {
                Err(Reason::QueueTimeout | Reason::QueueFull) => tries.pinned = None,
                waited => return waited,
            }
        }
        match members.pick(&self.service.service, &tries.list, key, &worker) {
            Ok(place) => Ok(place),
            Err(NoPick::Full) => Box::pin(self.wait(members, tries, None)).await,
            Err(NoPick::None) => Box::pin(self.look_again(members, tries, key)).await,
        }
    }

    /// Nobody was found, perhaps because the service is just being changed: what it is then counts.
    async fn look_again(
        &mut self,
        members: &mut Rc<MembersView>,
        tries: &mut Tries,
        key: Option<u64>,
    ) -> Result<usize, Reason> {
        let worker = Rc::clone(&self.connection.worker);
        let view = self.service;
        view.service.state.await_change();
        if view.service.state.is_holding() {
            self.waiter().hold(&view.service.state, tries.hold_until).await?;
        }
        let current = view.members(&worker);
        tries.follow(members, &current);
        *members = current;
        match members.pick(&view.service, &tries.list, key, &worker) {
            Ok(place) => Ok(place),
            Err(NoPick::Full) => self.wait(members, tries, None).await,
            Err(NoPick::None) => Err(tries.failed.unwrap_or(Reason::NoEndpoint)),
        }
    }

    /// Waits in the service's line for a place: at one endpoint, or at any that was not tried.
    async fn wait(
        &mut self,
        members: &mut Rc<MembersView>,
        tries: &mut Tries,
        only: Option<usize>,
    ) -> Result<usize, Reason> {
        let worker = Rc::clone(&self.connection.worker);
        let view = self.service;
        let service = &view.service;
        let line =
            Line { only: only.map(|place| members.at(place).serial), tried: tries.list.serials(members) };
        let free = || {
            let place = match only {
                Some(place) => members.at(place).try_start().then_some(place),
                None => members.pick(service, &tries.list, None, &worker).ok(),
            };
            place.map(|place| Arc::clone(members.at(place)))
        };
        let panic = || service.state.panic();
        let stays = || only.is_none_or(|place| members.at(place).honours_pins(panic()));
        let endpoint = self.waiter().queue(view, line, free, stays).await?;
        if let Some(place) = members.place_of(&endpoint) {
            return Ok(place);
        }
        // It has joined the service since the request came.
        let current = self.service.members(&worker);
        let Some(place) = current.place_of(&endpoint) else {
            service.state.queue.pass_on(&endpoint);
            return Err(Reason::QueueTimeout);
        };
        tries.follow(members, &current);
        *members = current;
        Ok(place)
    }

    /// Who waits: the client may only be gone once it has sent everything.
    fn waiter(&mut self) -> Waiter<'_, impl FnMut(&mut Context<'_>) -> Poll<()>> {
        let server = &mut self.connection.server;
        let gone = |context: &mut Context<'_>| match server.request_is_complete() {
            true => server.poll_broken(context),
            false => Poll::Pending,
        };
        Waiter { timer: self.timer, gone }
    }

    /// A connection to the endpoint, unless the client goes away meanwhile.
    async fn connect(
        &mut self,
        endpoint: &Rc<EndpointView>,
        is_again: bool,
        began: Instant,
        spare: Spare<'_>,
    ) -> Result<Box<Upstream>, Reason> {
        let worker = Rc::clone(&self.connection.worker);
        let service = self.service;
        if self.head.method.is_idempotent() {
            self.connection.server.start_recording();
        }
        if !is_again && let Some(upstream) = transport::checkout(&worker, service, endpoint) {
            return Ok(upstream);
        }
        let connecting = pin!(transport::connect(&worker, service, endpoint));
        let retry = &service.service.retry;
        let watch = (retry.retries > 0 && retry.on.connect).then(|| Watch::new(endpoint, spare));
        let upstream = self.waiter().connect(connecting, watch.as_ref()).await?;
        self.transaction.time_connect = Some(began.elapsed());
        Ok(upstream)
    }

    /// Whether the request is sent again after a failure without an answer (RFC 9110 §9.2.2).
    fn may_repeat(&self, failure: &Failure) -> bool {
        match failure.repeat {
            Repeat::Never => false,
            Repeat::Idempotent => self.head.method.is_idempotent(),
            Repeat::Any => true,
        }
    }

    /// Sends what is left of the response. The upstream is free by now.
    async fn flush(&mut self, next: Next) -> Result<Next, Reason> {
        if self.connection.server.wire.unsent() == 0 || self.transaction.reason != Reason::Ok {
            return Ok(next);
        }
        match self.connection.flush(self.timer).await {
            Flushed::All => Ok(next),
            Flushed::Broken => {
                self.transaction.reason = Reason::ClientClosed;
                Ok(Next::Close)
            }
            Flushed::Stalled => {
                self.transaction.reason = Reason::ClientStalled;
                Ok(Next::Close)
            }
        }
    }
}
