//! One attempt: the request on one connection, its response to the client, or a tunnel.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use super::Forward;
use crate::connection::Next;
use crate::http::error::Reason;
use crate::http::exchange::{Exchange, Failure, Repeat, Rules};
use crate::http::field;
use crate::http::headers::{self, RequestParts, ResponseParts};
use crate::http::message::{Framing, Persistence, RequestHead, ResponseHead, Version};
use crate::http::upgrade::{Half, Tunnel};
use crate::http1::head::response_has_body;
use crate::service::{EndpointView, Failing, LongStay, Spare, Watch};
use crate::timer::Millis;
use crate::transport::Upstream;

/// How an attempt that was answered ends.
pub(super) struct Outcome {
    pub(super) next: Next,
    /// The upstream connection can serve another request.
    pub(super) keep_upstream: bool,
}

/// One request at one endpoint.
pub(super) struct Attempt<'a> {
    pub(super) endpoint: &'a Rc<EndpointView>,
    pub(super) began: Instant,
    /// What pins the client there.
    pub(super) cookie: Option<&'a [u8]>,
    /// It goes elsewhere when the check of the endpoint fails before an answer has come, or when that is 503, as configured.
    pub(super) spare: Option<Spare<'a>>,
}

impl Forward<'_> {
    /// One request on one connection.
    pub(super) async fn attempt(
        &mut self,
        attempt: &Attempt<'_>,
        upstream: &mut Upstream,
    ) -> Result<Outcome, Failure> {
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
        let Attempt { endpoint, began, cookie, spare } = *attempt;
        let on = self.service.service.retry.on;
        debug_assert!(endpoint.endpoint.in_flight() > 0, "the attempt is counted");
        let rules = self.rules();
        let worker = Rc::clone(&self.connection.worker);
        let is_last = self.connection.is_orphan();
        let server = &mut self.connection.server;
        let changes = self.changes.as_deref();
        let mut exchange = Exchange::new(server, &mut upstream.connection, self.timer, rules, changes);
        exchange.watch = spare.filter(|_| on.reset).map(|spare| Watch::new(endpoint, spare));
        poll_fn(|context| exchange.poll_head(context, response)).await?;
        let may_decline = on.unavailable && response.status == 503 && exchange.server.can_replay();
        if may_decline && spare.is_some_and(|spare| spare.take()) {
            self.transaction.attempt_answered(response.status);
            return Err(Failure { reason: Reason::UpstreamUnavailable, repeat: Repeat::Idempotent });
        }
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
        let verdict = judge(endpoint, response);
        let framing = downstream_framing(response, self.head);
        let may_stay = self.head.keep_alive
            && exchange.is_uploaded()
            && framing != Framing::UntilClose
            && !is_last
            && !worker.is_draining();
        let persistence = if may_stay { Persistence::KeepAlive } else { Persistence::Close };
        let parts = ResponseParts {
            head: response,
            framing,
            persistence,
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
        let (transaction, timer) = (&mut *self.transaction, self.timer);
        let since = timer.now();
        let mut long = None;
        let done = poll_fn(|context| {
            let polled = exchange.poll_body(context);
            if polled.is_ready() {
                return polled;
            }
            if std::mem::take(&mut at_once) {
                transaction.let_go(&worker);
            }
            if response.is_stream || timer.now() >= since + LONG {
                let long = long.get_or_insert_with(|| {
                    worker.remember(endpoint);
                    LongStay::new(endpoint, since)
                });
                return long.poll_over(context).map(|()| Err(Reason::DrainTimeout));
            }
            timer.also_at(since + LONG);
            Poll::Pending
        })
        .await;
        drop(long);
        let is_uploaded = exchange.is_uploaded();
        if let Err(reason) = done {
            if reason.is_upstream_fault() && self.connection.server.unsend_response(mark) {
                // The client has seen nothing of it: it can still learn what happened.
                return Err(reason.into());
            }
            match verdict {
                _ if reason.is_upstream_fault() => self.blame(endpoint, reason),
                Verdict::Failing(status) => self.failed_with(endpoint, status),
                Verdict::Begun | Verdict::Good => {}
            }
            self.transaction.attempt_failed(reason);
            self.transaction.reason = reason;
            let is_open_ended = self.connection.server.ends_with_connection();
            let next = if is_open_ended { Next::Reset } else { Next::Close };
            return Ok(Outcome { next, keep_upstream: false });
        }
        match verdict {
            Verdict::Failing(status) => self.failed_with(endpoint, status),
            Verdict::Good => endpoint.endpoint.answered(),
            Verdict::Begun => {}
        }
        let next = match (persistence, self.connection.server.request_is_complete()) {
            (Persistence::KeepAlive, _) => Next::KeepAlive,
            (Persistence::Close, true) if framing != Framing::UntilClose && self.head.keep_alive => {
                Next::Linger
            }
            (Persistence::Close, true) => Next::Close,
            (Persistence::Close, false) => Next::Linger,
        };
        let keep_upstream = response.keep_alive && is_uploaded && response.framing != Framing::UntilClose;
        Ok(Outcome { next, keep_upstream })
    }

    fn failed_with(&self, endpoint: &EndpointView, status: u16) {
        let now = self.connection.worker.shared.now();
        endpoint.state.attempt_failed(&endpoint.endpoint, Failing::Status(status), now);
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
        field::list_elements(self.head.fields.slice(asked)).any(|one| one.eq_ignore_ascii_case(given))
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
            persistence: Persistence::KeepAlive,
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
            asked_at: self.timer.now(),
        };
        self.transaction.let_go(&worker);
        // As long as the endpoint is not taken away from it for good.
        worker.remember(endpoint);
        let mut stay = LongStay::new(endpoint, self.timer.now());
        let reason = poll_fn(|context| match tunnel.poll(context) {
            Poll::Pending if stay.poll_over(context).is_ready() => Poll::Ready(Reason::DrainTimeout),
            polled => polled,
        })
        .await;
        let (up, down) = (tunnel.up.bytes, tunnel.down.bytes);
        server.received += up;
        server.sent += down;
        self.transaction.reason = reason;
        Outcome { next: if reason == Reason::Ok { Next::Close } else { Next::Reset }, keep_upstream: false }
    }
}

/// What a response's head says of its endpoint, which counts when the body has come to its end: an endpoint that breaks
/// off all its responses is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Failing(u16),
    Good,
    /// Good, and counted: a stream may have no end.
    Begun,
}

/// An error of the endpoint or its gateway is a failure of the endpoint; every other answer is a good one.
fn judge(endpoint: &EndpointView, response: &ResponseHead) -> Verdict {
    match response.status {
        status @ (500 | 502..=504) => Verdict::Failing(status),
        _ if response.is_stream => {
            endpoint.endpoint.answered();
            Verdict::Begun
        }
        _ => Verdict::Good,
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

/// What has been coming for so long, in milliseconds, is not over in a moment.
const LONG: Millis = 1000;
