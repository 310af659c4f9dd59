//! One attempt: a request goes up while its response comes down, each as fast as the other side takes it. Clocks run
//! only for the peer that we wait for.

mod deadline;
mod slow_body;

use std::task::{Context, Poll};

use slow_body::SlowBody;

use crate::http::error::Reason;
use crate::http::headers;
use crate::http::message::{Fields, Framing, Method, ResponseHead, Version};
use crate::http1::client::{self, ClientConnection};
use crate::http1::decoder::Event;
use crate::http1::server::{self, ServerConnection};
use crate::service::{LOOK, Watch};
use crate::snapshot::Changes;
use crate::timer::{Millis, NEVER, Timer};

/// Both connections of an attempt.
pub(crate) struct Exchange<'a> {
    pub(crate) server: &'a mut ServerConnection,
    pub(crate) client: &'a mut ClientConnection,
    pub(crate) timer: &'a Timer,
    pub(crate) rules: Rules,
    upload: Upload,
    /// When the request was out as a whole.
    uploaded_at: Millis,
    interim_responses: u32,
    slow: SlowBody,
    /// What the route changes.
    changes: Option<&'a Changes>,
    /// The endpoint, where the request may leave it before it has answered.
    pub(crate) watch: Option<Watch>,
}

/// What the request and its surroundings ask of the exchange.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// The downstream takes trailers.
    pub(crate) accepts_trailers: bool,
    /// The client sends its body only when told to.
    pub(crate) expects_continue: bool,
    /// The request is a stream of messages (gRPC).
    pub(crate) is_stream: bool,
    pub(crate) max_body: u64,
    pub(crate) body_idle: Millis,
    pub(crate) response_header: Millis,
    /// Without progress in the response body; longer for streams.
    pub(crate) response_idle: Millis,
}

/// How far the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    /// Its body is under way.
    Body,
    /// It is complete and encoded.
    Flush,
    Done,
    /// The upstream takes no more of it, but may still answer.
    Broken,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) repeat: Repeat,
}

/// Which requests may be sent again after a failure (RFC 9110 §9.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// None: something was answered, or some of the request is gone.
    Never,
    /// Those that may be executed twice: the endpoint may have seen it.
    Idempotent,
    /// Any: no byte of it went out.
    Any,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Failure { reason, repeat: Repeat::Never }
    }
}

impl<'a> Exchange<'a> {
    /// Begins an attempt whose request head has been encoded into the client's output.
    pub(crate) fn new(
        server: &'a mut ServerConnection,
        client: &'a mut ClientConnection,
        timer: &'a Timer,
        rules: Rules,
        changes: Option<&'a Changes>,
    ) -> Self {
        if server.remaining().is_some_and(|remaining| remaining > BULK) {
            server.wire.expect_bulk();
        }
        Exchange {
            server,
            client,
            timer,
            rules,
            upload: Upload::Body,
            uploaded_at: NEVER,
            interim_responses: 0,
            slow: SlowBody::default(),
            changes,
            watch: None,
        }
    }

    /// Sends the request and reads the head of the final response.
    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), Failure>> {
        loop {
            if let Err(reason) = self.upload(context) {
                return Poll::Ready(Err(reason.into()));
            }
            match self.client.poll_head(context, self.rules.method, head) {
                Poll::Ready(Ok(())) if matches!(head.status, 100 | 102..200) => {
                    if let Err(reason) = self.interim(context, head) {
                        return Poll::Ready(Err(reason.into()));
                    }
                }
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.no_head(&error))),
                Poll::Pending => break,
            }
        }
        if self.server.poll_flush(context).ready_and(|flushed| flushed.is_err()) {
            return Poll::Ready(Err(Reason::ClientClosed.into()));
        }
        if self.is_uploaded() && self.server.poll_broken(context).is_ready() {
            return Poll::Ready(Err(Reason::ClientClosed.into()));
        }
        self.wait_for_head()
    }

    /// Waits for a head, unless it comes too late, or is not to be expected any more.
    fn wait_for_head(&self) -> Poll<Result<(), Failure>> {
        let (deadline, reason) = self.head_deadline();
        let can_repeat = !self.client.answered && self.server.can_replay();
        if self.timer.now() >= deadline {
            let is_late = can_repeat && reason == Reason::ResponseHeaderTimeout;
            let repeat = if is_late { Repeat::Idempotent } else { Repeat::Never };
            return Poll::Ready(Err(Failure { reason, repeat }));
        }
        let watch = self.watch.as_ref().filter(|_| can_repeat);
        if watch.is_some_and(Watch::is_lost) {
            return Poll::Ready(Err(Failure { reason: Reason::EndpointDown, repeat: Repeat::Idempotent }));
        }
        self.timer.set(if watch.is_some() { deadline.min(self.timer.now() + LOOK) } else { deadline });
        Poll::Pending
    }

    /// Passes the body of the response down, whose head has been encoded into the server's output.
    pub(crate) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        loop {
            self.upload(context)?;
            match self.client.body() {
                Ok(Event::Payload(count)) => {
                    match self.server.poll_payload(context, self.client.payload(count)) {
                        Poll::Ready(Ok(taken)) => self.client.consume(taken),
                        Poll::Ready(Err(_)) => return Poll::Ready(Err(Reason::ClientClosed)),
                        Poll::Pending => return self.wait(self.body_deadline()),
                    }
                }
                Ok(Event::NeedMore | Event::Head) => {
                    // What is there goes out before we wait for more.
                    if self.server.poll_flush(context).ready_and(|flushed| flushed.is_err()) {
                        return Poll::Ready(Err(Reason::ClientClosed));
                    }
                    match self.client.poll_more(context) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(broken_body(&error))),
                        Poll::Pending => {
                            if self.is_uploaded() && self.server.poll_broken(context).is_ready() {
                                return Poll::Ready(Err(Reason::ClientClosed));
                            }
                            return self.wait(self.body_deadline());
                        }
                    }
                }
                Ok(Event::End) => return self.finish(),
                Err(error) => return Poll::Ready(Err(broken_body(&error.into()))),
            }
        }
    }

    /// The response is complete; what is left to be sent of it is in the server's output.
    fn finish(&mut self) -> Poll<Result<(), Reason>> {
        let mut trailers = match self.client.trailers() {
            Ok(trailers) if self.rules.accepts_trailers => trailers,
            Ok(_) => Fields::default(),
            Err(error) => return Poll::Ready(Err(broken_body(&error.into()))),
        };
        headers::retain_trailers(&mut trailers, self.changes.map(|changes| &changes.response));
        self.server.finish_response(&trailers);
        Poll::Ready(Ok(()))
    }

    /// A response head has come: its body follows.
    pub(crate) fn start_body(&mut self, framing: Framing, response_idle: Millis) {
        self.rules.response_idle = response_idle;
        self.server.stop_recording();
        self.server.start_response(framing);
        if self.client.remaining().is_none_or(|remaining| remaining > BULK) {
            self.client.wire.expect_bulk();
        }
    }

    /// Whether the whole request went to the upstream.
    pub(crate) fn is_uploaded(&self) -> bool {
        self.upload == Upload::Done
    }

    /// Moves the request body on as far as both sides let it.
    fn upload(&mut self, context: &mut Context<'_>) -> Result<(), Reason> {
        loop {
            match self.upload {
                Upload::Done | Upload::Broken => return Ok(()),
                Upload::Flush => {
                    match self.client.poll_flush(context) {
                        Poll::Ready(Ok(())) => {
                            self.upload = Upload::Done;
                            self.uploaded_at = self.timer.now();
                        }
                        // An answer may have been sent before the connection was given up (RFC 9112 §9.5).
                        Poll::Ready(Err(_)) => self.upload = Upload::Broken,
                        Poll::Pending => {}
                    }
                    return Ok(());
                }
                Upload::Body => match self.server.body()? {
                    Event::Payload(count) => {
                        if self.server.received_with(count) > self.rules.max_body {
                            return Err(Reason::BodyTooLarge);
                        }
                        self.slow.received(0, self.timer.now());
                        match self.client.poll_payload(context, self.server.payload(count)) {
                            Poll::Ready(Ok(taken)) => {
                                self.slow.received(taken, self.timer.now());
                                self.server.consume(taken);
                            }
                            Poll::Ready(Err(_)) => self.upload = Upload::Broken,
                            Poll::Pending => return Ok(()),
                        }
                    }
                    Event::End => {
                        let mut trailers = if self.rules.accepts_trailers {
                            self.server.trailers()?
                        } else {
                            Fields::default()
                        };
                        let edits = self.changes.map(|changes| &changes.request);
                        headers::retain_trailers(&mut trailers, edits);
                        self.client.finish_request(&trailers);
                        self.upload = Upload::Flush;
                    }
                    Event::NeedMore | Event::Head => {
                        // What is there goes out before we wait for more.
                        if self.client.poll_flush(context).ready_and(|flushed| flushed.is_err()) {
                            self.upload = Upload::Broken;
                            return Ok(());
                        }
                        match self.server.poll_more(context) {
                            Poll::Ready(Ok(())) => {}
                            Poll::Ready(Err(server::ReadError::Closed)) => return Err(Reason::ClientClosed),
                            Poll::Ready(Err(server::ReadError::Parse(error))) => return Err(error.into()),
                            Poll::Pending => {
                                if !self.is_held_back() {
                                    self.slow.waiting(self.timer.now());
                                }
                                return Ok(());
                            }
                        }
                    }
                },
            }
        }
    }

    /// Passes an interim response on. Clients of HTTP/1.0 know none (RFC 9110 §15.2).
    fn interim(&mut self, context: &mut Context<'_>, head: &ResponseHead) -> Result<(), Reason> {
        self.interim_responses += 1;
        if self.interim_responses > MAX_INTERIM_RESPONSES {
            return Err(Reason::InvalidResponse);
        }
        let is_wanted = head.status != 100 || self.rules.expects_continue;
        if is_wanted && self.rules.version == Version::Http11 {
            headers::interim(self.server.wire.output(), head);
            if self.server.poll_flush(context).ready_and(|flushed| flushed.is_err()) {
                return Err(Reason::ClientClosed);
            }
        }
        if head.status == 100 && self.rules.expects_continue {
            self.rules.expects_continue = false;
            // Until now the client has waited for us.
            self.server.wire.read_wait = None;
        }
        Ok(())
    }

    fn no_head(&self, error: &client::ReadError) -> Failure {
        tracing::debug!(%error, "no response");
        let reason = match error {
            client::ReadError::Parse(_) => Reason::InvalidResponse,
            client::ReadError::Closed => Reason::UpstreamClosed,
            client::ReadError::Broken(_) => Reason::UpstreamReset,
        };
        let is_gone = reason == Reason::InvalidResponse || self.client.answered || !self.server.can_replay();
        let repeat = match self.client.wire.has_sent {
            _ if is_gone => Repeat::Never,
            true => Repeat::Idempotent,
            false => Repeat::Any,
        };
        Failure { reason, repeat }
    }

    /// The client waits to be told to go on.
    fn is_held_back(&self) -> bool {
        self.rules.expects_continue && self.server.received == 0
    }
}

fn broken_body(error: &client::ReadError) -> Reason {
    tracing::debug!(%error, "a response body broke off");
    match error {
        client::ReadError::Parse(_) => Reason::InvalidResponse,
        client::ReadError::Closed | client::ReadError::Broken(_) => Reason::TruncatedResponse,
    }
}

trait ReadyAnd<T> {
    /// Ready, and with this property.
    fn ready_and(self, test: impl FnOnce(T) -> bool) -> bool;
}

impl<T> ReadyAnd<T> for Poll<T> {
    fn ready_and(self, test: impl FnOnce(T) -> bool) -> bool {
        match self {
            Poll::Ready(value) => test(value),
            Poll::Pending => false,
        }
    }
}

/// Bodies beyond this use larger buffers.
const BULK: u64 = 16 * 1024;
/// An upstream that says "not yet" more often than this says nothing.
const MAX_INTERIM_RESPONSES: u32 = 32;
