//! The attempt loop: choose an endpoint, send the request, pass the response on; another endpoint when a connection
//! fails before anything was delivered.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::connection::{Connection, Flushed, Next};
use crate::http::error::Reason;
use crate::http::exchange::{Exchange, Failure, LOOK, Repeat, Rules};
use crate::http::headers::{self, RequestParts, ResponseParts};
use crate::http::message::{Framing, RequestHead, ResponseHead, Version};
use crate::http::sticky::Pinned;
use crate::http::transaction::Transaction;
use crate::http::upgrade::{Half, Tunnel};
use crate::http::{Client, Facts};
use crate::http1::head::response_has_body;
use crate::metrics::Limit;
use crate::service::{
    EndpointView, Failing, InFlight, MembersView, NoPick, ServiceView, Staying, Tried, Watch,
};
use crate::snapshot::Changes;
use crate::timer::{Millis, Timer};
use crate::transport::{self, Upstream};

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
        if self.service.service.state.is_holding() {
            Box::pin(self.hold()).await?;
        }
        let key = self.service.key(self.client, self.head, &Facts { head: self.head, client: self.client });
        let mut members = self.service.members(&worker);
        let pinned = Pinned::of(self.service, &members, self.head);
        let mut tries = Tries { pinned: pinned.place, ..Tries::default() };
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
            let failure = match self.connect(&endpoint, is_again, began).await {
                Ok(mut upstream) => {
                    let cookie = pinned.renewal(&self.service.service, &members, place);
                    let may_leave = self.may_leave(&tries, place);
                    let attempt =
                        Attempt { endpoint: &endpoint, began, cookie: cookie.as_deref(), may_leave };
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
            if !self.service.may_retry(&worker) {
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

    /// Whether the request goes elsewhere when the check of its endpoint fails before an answer has come. What must not
    /// be done twice stays: the answer may still come.
    fn may_leave(&self, tries: &Tries, place: usize) -> bool {
        let retry = &self.service.service.retry;
        let delivered = tries.delivered + u8::from(tries.delivered_to != Some(place));
        retry.on.reset && delivered <= retry.retries && self.head.method.is_idempotent()
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
            if members.at(place).try_start(members.places()) {
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
        let service = &self.service.service;
        let serial = only.map(|place| members.at(place).serial);
        let joined = service.state.queue.join(service.queue.max, serial, tries.list.serials(members));
        let mut waiting = joined.ok_or(Reason::QueueFull)?;
        let began = Instant::now();
        // A place may have been freed just before we joined.
        let free = match only {
            Some(place) => members.at(place).try_start(members.places()).then_some(place),
            None => members.pick(service, &tries.list, None, &worker).ok(),
        };
        if let Some(place) = free {
            return Ok(place);
        }
        let deadline = self.timer.now().saturating_add(service.queue.timeout);
        let (server, timer) = (&mut self.connection.server, self.timer);
        let granted = poll_fn(|context| {
            if let Poll::Ready(endpoint) = waiting.poll(context) {
                return Poll::Ready(Ok(endpoint));
            }
            if server.request_is_complete() && server.poll_broken(context).is_ready() {
                return Poll::Ready(Err(Reason::ClientClosed));
            }
            if timer.now() >= deadline {
                return Poll::Ready(Err(Reason::QueueTimeout));
            }
            timer.set(deadline);
            Poll::Pending
        })
        .await;
        self.service.cells.queued.observe(began.elapsed());
        let endpoint = granted?;
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

    /// Waits for the first word of any endpoint, as long as the service does.
    async fn hold(&mut self) -> Result<(), Reason> {
        let state = Arc::clone(&self.service.service.state);
        let (server, timer) = (&mut self.connection.server, self.timer);
        let deadline = timer.now() + HOLD;
        poll_fn(|context| {
            if !state.is_holding() || timer.now() >= deadline {
                return Poll::Ready(Ok(()));
            }
            if server.request_is_complete() && server.poll_broken(context).is_ready() {
                return Poll::Ready(Err(Reason::ClientClosed));
            }
            timer.set(timer.now() + 1);
            Poll::Pending
        })
        .await
    }

    /// A connection to the endpoint, unless the client goes away meanwhile.
    async fn connect(
        &mut self,
        endpoint: &Rc<EndpointView>,
        is_again: bool,
        began: Instant,
    ) -> Result<Box<Upstream>, Reason> {
        let worker = Rc::clone(&self.connection.worker);
        let server = &mut self.connection.server;
        if self.head.method.is_idempotent() {
            server.start_recording();
        }
        if !is_again && let Some(upstream) = transport::checkout(&worker, self.service, endpoint) {
            return Ok(upstream);
        }
        let mut connecting = pin!(transport::connect(&worker, self.service, endpoint));
        let retry = &self.service.service.retry;
        let watch = (retry.retries > 0 && retry.on.connect).then(|| Watch::new(endpoint));
        let timer = self.timer;
        let upstream = poll_fn(|context| match connecting.as_mut().poll(context) {
            Poll::Pending if server.request_is_complete() && server.poll_broken(context).is_ready() => {
                Poll::Ready(Err(Reason::ClientClosed))
            }
            Poll::Pending if watch.as_ref().is_some_and(Watch::is_lost) => {
                Poll::Ready(Err(Reason::EndpointDown))
            }
            Poll::Pending => {
                timer.set(timer.now() + LOOK);
                Poll::Pending
            }
            polled => polled,
        })
        .await?;
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

    /// One request on one connection.
    async fn attempt(&mut self, attempt: &Attempt<'_>, upstream: &mut Upstream) -> Result<Outcome, Failure> {
        let parts = RequestParts {
            sticky: self.service.service.sticky.as_ref(),
            head: self.head,
            client: self.client,
            request_id: self.transaction.request_id.as_bytes(),
            changes: self.changes.as_deref(),
        };
        headers::request(upstream.connection.wire.output(), &parts);
        upstream.connection.start_request(self.head.framing);
        let worker = Rc::clone(&self.connection.worker);
        let mut response = worker.take_response();
        let outcome = self.exchange(attempt, upstream, &mut response).await;
        worker.give_response(response);
        outcome
    }

    async fn exchange(
        &mut self,
        attempt: &Attempt<'_>,
        upstream: &mut Upstream,
        response: &mut ResponseHead,
    ) -> Result<Outcome, Failure> {
        let Attempt { endpoint, began, cookie, may_leave } = *attempt;
        debug_assert!(endpoint.endpoint.in_flight() > 0, "the attempt is counted");
        let rules = self.rules();
        let worker = Rc::clone(&self.connection.worker);
        let is_last = self.connection.is_orphan();
        let server = &mut self.connection.server;
        let changes = self.changes.as_deref();
        let mut exchange = Exchange::new(server, &mut upstream.connection, self.timer, rules, changes);
        exchange.watch = may_leave.then(|| Watch::new(endpoint));
        poll_fn(|context| exchange.poll_head(context, response)).await?;
        let answered = Instant::now();
        let waited = answered.saturating_duration_since(began);
        self.service.cells.first_byte.observe(waited);
        self.transaction.time_first_byte = Some(waited);
        self.transaction.answered = Some(answered);
        if response.status == 101 {
            if !self.is_wanted_upgrade(response) {
                return Err(Reason::UnexpectedUpgrade.into());
            }
            return Ok(self.tunnel(endpoint, upstream, response, cookie).await);
        }
        self.transaction.attempt_answered(response.status);
        let verdict = judge(endpoint, response, worker.shared.now());
        let framing = downstream_framing(response, self.head);
        let keep_alive = self.head.keep_alive
            && exchange.is_uploaded()
            && framing != Framing::UntilClose
            && !is_last
            && !worker.is_draining();
        let parts = ResponseParts {
            head: response,
            framing,
            keep_alive,
            version: self.head.version,
            date: &worker.date,
            changes: self.changes.as_deref(),
            sticky: self.service.service.sticky.as_ref(),
            cookie,
        };
        let mark = exchange.server.wire.mark();
        headers::response(exchange.server.wire.output(), parts);
        let has_body = response_has_body(response.status, self.head.method);
        let timeouts = &self.service.service.timeouts;
        let idle = if response.is_stream { timeouts.stream_idle } else { timeouts.response_idle };
        exchange.start_body(if has_body { framing } else { Framing::None }, idle);
        // What does not come at once may come for long.
        let mut at_once = true;
        let transaction = &mut *self.transaction;
        let done = poll_fn(|context| {
            let polled = exchange.poll_body(context);
            if polled.is_pending() && std::mem::take(&mut at_once) {
                transaction.let_go(&worker);
            }
            polled
        })
        .await;
        let is_uploaded = exchange.is_uploaded();
        if let Err(reason) = done {
            if reason.is_upstream_fault() && self.connection.server.unsend_response(mark) {
                // The client has seen nothing of it: it can still learn what happened.
                return Err(reason.into());
            }
            if reason.is_upstream_fault() && verdict == Verdict::Open {
                self.blame(endpoint, reason);
            }
            self.transaction.attempt_failed(reason);
            self.transaction.reason = reason;
            let is_open_ended = self.connection.server.ends_with_connection();
            let next = if is_open_ended { Next::Reset } else { Next::Close };
            return Ok(Outcome { next, keep_upstream: false });
        }
        if verdict == Verdict::Open {
            endpoint.endpoint.answered();
        }
        let next = match (keep_alive, self.connection.server.request_is_complete()) {
            (true, _) => Next::KeepAlive,
            (false, true) if framing != Framing::UntilClose && self.head.keep_alive => Next::Linger,
            (false, true) => Next::Close,
            (false, false) => Next::Linger,
        };
        let keep_upstream = response.keep_alive && is_uploaded && response.framing != Framing::UntilClose;
        Ok(Outcome { next, keep_upstream })
    }

    fn rules(&self) -> Rules {
        let listener = &self.connection.listener.listener;
        let timeouts = &self.service.service.timeouts;
        Rules {
            method: self.head.method,
            version: self.head.version,
            accepts_trailers: self.head.accepts_trailers,
            expects_continue: self.head.expects_continue,
            is_stream: self.head.is_stream,
            max_body: listener.max_body.unwrap_or(u64::MAX),
            body_idle: if self.head.is_stream { timeouts.stream_idle } else { listener.body_idle },
            response_header: timeouts.response_header,
            response_idle: timeouts.response_idle,
        }
    }

    /// A 101 must answer an `Upgrade`, with one of the protocols asked for.
    fn is_wanted_upgrade(&self, response: &ResponseHead) -> bool {
        let (Some(asked), Some(given)) = (self.head.upgrade, response.upgrade) else { return false };
        let given = response.fields.slice(given);
        super::field::list_elements(self.head.fields.slice(asked)).any(|one| one.eq_ignore_ascii_case(given))
    }

    async fn tunnel(
        &mut self,
        endpoint: &Rc<EndpointView>,
        upstream: &mut Upstream,
        response: &ResponseHead,
        cookie: Option<&[u8]>,
    ) -> Outcome {
        self.transaction.attempt_answered(101);
        let worker = Rc::clone(&self.connection.worker);
        let server = &mut self.connection.server;
        let parts = ResponseParts {
            head: response,
            framing: Framing::None,
            keep_alive: true,
            version: Version::Http11,
            date: &worker.date,
            changes: self.changes.as_deref(),
            sticky: self.service.service.sticky.as_ref(),
            cookie,
        };
        headers::response(server.wire.output(), parts);
        let mut tunnel = Tunnel {
            downstream: &mut server.wire,
            upstream: &mut upstream.connection.wire,
            timer: self.timer,
            idle: self.service.service.timeouts.stream_idle,
            up: Half::default(),
            down: Half::default(),
            progress_at: self.timer.now(),
        };
        self.transaction.let_go(&worker);
        // As long as the endpoint is not taken away from it for good.
        worker.remember(endpoint);
        let _staying = Staying::new(endpoint);
        let mut over = pin!(endpoint.streams.over());
        let reason = poll_fn(|context| match tunnel.poll(context) {
            Poll::Pending if over.as_mut().poll(context).is_ready() => Poll::Ready(Reason::DrainTimeout),
            polled => polled,
        })
        .await;
        let (up, down) = (tunnel.up.bytes, tunnel.down.bytes);
        server.received += up;
        server.sent += down;
        self.transaction.reason = reason;
        Outcome { next: if reason == Reason::Ok { Next::Close } else { Next::Reset }, keep_upstream: false }
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

/// A request waits no longer for the first word of an endpoint, in milliseconds: its service says so before, as long as it is
/// configured.
const HOLD: Millis = 6000;

/// What became of a request so far.
#[derive(Default)]
struct Tries {
    /// Where its client belongs.
    pinned: Option<usize>,
    list: Tried,
    attempts: u32,
    /// Endpoints that may have seen the request.
    delivered: u8,
    /// The last of them.
    delivered_to: Option<usize>,
    /// A pooled connection turned out to be closed: the same endpoint, by a new connection.
    again: Option<(usize, InFlight)>,
    failed: Option<Reason>,
}

impl Tries {
    /// Names the same endpoints by their places in another membership.
    fn follow(&mut self, before: &MembersView, current: &MembersView) {
        let place = |place: usize| current.place_of(before.at(place));
        self.pinned = self.pinned.and_then(place);
        self.delivered_to = self.delivered_to.and_then(place);
        let serials = self.list.serials(before);
        self.list = Tried::default();
        current.places_of(&serials).for_each(|place| self.list.add(place));
    }

    /// Counts the endpoint at this place once: an endpoint that dies can break a pooled connection and then the new one.
    fn count_delivery(&mut self, place: usize, repeat: Repeat) {
        if repeat != Repeat::Any && self.delivered_to != Some(place) {
            self.delivered_to = Some(place);
            self.delivered += 1;
        }
    }
}

/// How an attempt that was answered ends.
struct Outcome {
    next: Next,
    /// The upstream connection can serve another request.
    keep_upstream: bool,
}

/// One request at one endpoint.
struct Attempt<'a> {
    endpoint: &'a Rc<EndpointView>,
    began: Instant,
    /// What pins the client there.
    cookie: Option<&'a [u8]>,
    /// See [`Forward::may_leave`].
    may_leave: bool,
}

/// What a response's head says of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is counted: a failure, or the beginning of a stream, which may have no end.
    Given,
    /// Good, if its body comes to its end: an endpoint that breaks off all its responses is of no use.
    Open,
}

/// An error of the endpoint or its gateway is a failure of the endpoint; every other answer is a good one.
fn judge(endpoint: &EndpointView, response: &ResponseHead, now: Duration) -> Verdict {
    match response.status {
        status @ (500 | 502..=504) => {
            endpoint.state.attempt_failed(&endpoint.endpoint, Failing::Status(status), now);
            Verdict::Given
        }
        _ if response.is_stream => {
            endpoint.endpoint.answered();
            Verdict::Given
        }
        _ => Verdict::Open,
    }
}

/// The framing that the client sees: our own, by what its version knows (RFC 9112 §6).
fn downstream_framing(response: &ResponseHead, head: &RequestHead) -> Framing {
    match response.framing {
        Framing::Chunked | Framing::UntilClose if head.version == Version::Http10 => Framing::UntilClose,
        Framing::Chunked | Framing::UntilClose => Framing::Chunked,
        framing => framing,
    }
}
