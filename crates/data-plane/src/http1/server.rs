//! The downstream side of HTTP/1: requests in, responses out. Heads leave as messages of no version; bodies, and when the
//! connection may be used again, are those of HTTP/1, also for forwarding.

use std::io;
use std::task::{Context, Poll, ready};

use crate::http::message::{Fields, Framing, RequestHead};

use super::decoder::{Event, RequestDecoder};
use super::error::ParseError;
use super::head::RequestRules;
use super::scan::HeadLimits;
use super::sender::BodyEncoder;
use super::wire::{Mark, Wire};

/// A downstream connection.
pub(crate) struct ServerConnection {
    pub(crate) wire: Wire,
    decoder: RequestDecoder,
    encoder: BodyEncoder,
    /// Most bytes of a head, which is buffered as a whole.
    head_limit: usize,
    /// Payload bytes of the current request.
    pub(crate) received: u64,
    /// Payload bytes of the current response.
    pub(crate) sent: u64,
    replay: Replay,
}

/// Payload that was taken and may be needed again, when the request is sent a second time.
#[derive(Debug, Default)]
struct Replay {
    bytes: Vec<u8>,
    /// Bytes of it that were taken again.
    taken: usize,
    is_recording: bool,
    /// Some payload was taken without being kept.
    is_incomplete: bool,
}

impl Replay {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// An idle connection holds no buffer.
    fn free_taken(&mut self) {
        if !self.is_recording && self.rest().is_empty() {
            *self = Replay { is_incomplete: true, ..Replay::default() };
        }
    }

    /// Keeps payload as far as that makes sense.
    fn record(&mut self, payload: &[u8]) {
        if self.is_recording && self.bytes.len() + payload.len() <= MAX_REPLAY {
            self.bytes.extend_from_slice(payload);
            self.taken = self.bytes.len();
        } else {
            *self = Replay { is_incomplete: true, ..Replay::default() };
        }
    }
}

/// What ends the reading of a request.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The bytes are not a request.
    Parse(ParseError),
    /// The connection ended or broke.
    Closed,
}

impl From<ParseError> for ReadError {
    fn from(error: ParseError) -> Self {
        ReadError::Parse(error)
    }
}

impl ServerConnection {
    pub(crate) fn new(wire: Wire, decoder: RequestDecoder, head_limit: usize) -> Self {
        ServerConnection {
            wire,
            decoder,
            encoder: BodyEncoder::Done,
            head_limit,
            received: 0,
            sent: 0,
            replay: Replay::default(),
        }
    }

    /// Reads the next request by other limits and rules.
    pub(crate) fn follow(&mut self, limits: HeadLimits, rules: RequestRules, head_limit: usize) {
        self.decoder.follow(limits, rules);
        self.head_limit = head_limit;
    }

    /// Waits for the first byte of a request without holding a buffer. False: the connection has ended.
    pub(crate) fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            // An empty line behind a request is not yet another one (RFC 9112 §2.2).
            if !matches!(self.wire.input(), b"" | b"\r" | b"\r\n") {
                return Poll::Ready(true);
            }
            if !matches!(ready!(self.wire.poll_fill(context, self.head_limit)), Ok(1..)) {
                return Poll::Ready(false);
            }
        }
    }

    /// Reads a whole head.
    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        head: &mut RequestHead,
    ) -> Poll<Result<(), ReadError>> {
        loop {
            let step = self.decoder.head(self.wire.input(), head)?;
            self.wire.consume(step.skip);
            if step.event == Event::Head {
                (self.received, self.sent) = (0, 0);
                self.replay = Replay::default();
                return Poll::Ready(Ok(()));
            }
            match ready!(self.wire.poll_fill(context, self.head_limit)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(Err(ReadError::Closed)),
            }
        }
    }

    /// What the received bytes hold of the body: drops framing, leaves payload.
    pub(crate) fn body(&mut self) -> Result<Event, ParseError> {
        if !self.replay.rest().is_empty() {
            return Ok(Event::Payload(self.replay.rest().len()));
        }
        let step = self.decoder.body(self.wire.input())?;
        self.wire.consume(step.skip);
        Ok(step.event)
    }

    /// The payload that [`body`](Self::body) has found.
    pub(crate) fn payload(&self, count: usize) -> &[u8] {
        let replayed = self.replay.rest();
        if replayed.is_empty() { &self.wire.input()[..count] } else { &replayed[..count] }
    }

    /// Payload has been taken.
    pub(crate) fn consume(&mut self, count: usize) {
        if !self.replay.rest().is_empty() {
            self.replay.taken += count;
            self.replay.free_taken();
            return;
        }
        self.replay.record(&self.wire.input()[..count]);
        self.decoder.consume(count);
        self.wire.consume(count);
        self.received += count as u64;
    }

    /// Payload received once `count` more of what [`body`](Self::body) has found is taken.
    pub(crate) fn received_with(&self, count: usize) -> u64 {
        if self.replay.rest().is_empty() { self.received + count as u64 } else { self.received }
    }

    /// Keeps the payload that is taken from now on, for a second delivery.
    pub(crate) fn start_recording(&mut self) {
        self.replay.is_recording = true;
    }

    /// There will be no second delivery: nothing is kept for it.
    pub(crate) fn stop_recording(&mut self) {
        self.replay.is_recording = false;
        self.replay.free_taken();
    }

    /// Whether all payload taken so far is still there.
    pub(crate) fn can_replay(&self) -> bool {
        !self.replay.is_incomplete
    }

    /// Begins the payload anew.
    pub(crate) fn rewind(&mut self) {
        debug_assert!(self.can_replay());
        self.replay.taken = 0;
    }

    /// Receives more of the body, which is not complete: an end now cuts it short.
    pub(crate) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ReadError>> {
        match ready!(self.wire.poll_fill(context, self.head_limit)) {
            Ok(1..) => Poll::Ready(Ok(())),
            Ok(0) | Err(_) => Poll::Ready(Err(ReadError::Closed)),
        }
    }

    /// Notices a client that breaks the connection while it waits for a response. A client that only ends its
    /// direction still gets one; requests that it sends ahead wait.
    pub(crate) fn poll_broken(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.wire.ended && self.wire.input().len() < MAX_PIPELINED {
            if ready!(self.wire.poll_fill(context, self.head_limit)).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    pub(crate) fn request_is_complete(&self) -> bool {
        self.decoder.is_done()
    }

    /// Body bytes still to come, where known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.decoder.remaining()
    }

    pub(crate) fn trailers(&self) -> Result<Fields, ParseError> {
        if self.decoder.has_trailers() { self.decoder.trailers() } else { Ok(Fields::default()) }
    }

    /// A response head has been encoded into the wire's output; its body follows.
    pub(crate) fn start_response(&mut self, framing: Framing) {
        self.encoder = BodyEncoder::new(framing);
    }

    /// Takes back the response that began at the mark; false when some of it has gone out.
    pub(crate) fn unsend_response(&mut self, mark: Mark) -> bool {
        let is_back = self.wire.unsend(mark);
        if is_back {
            self.encoder = BodyEncoder::Done;
            self.sent = 0;
        }
        is_back
    }

    /// Sends some of a response's payload, which is not empty.
    pub(crate) fn poll_payload(
        &mut self,
        context: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(self.encoder.poll_payload(&mut self.wire, context, payload))?;
        self.sent += taken as u64;
        Poll::Ready(Ok(taken))
    }

    /// The response is complete but for what [`poll_flush`](Self::poll_flush) sends.
    pub(crate) fn finish_response(&mut self, trailers: &Fields) {
        self.encoder.finish(&mut self.wire, trailers);
    }

    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_flush(context)
    }

    /// Whether the client could take a broken-off response for a whole one.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.encoder == BodyEncoder::UntilClose
    }
}

/// Payload that is kept for a second delivery: the usual form or API call.
const MAX_REPLAY: usize = 16 * 1024;
/// Bytes of further requests that are read ahead while one is being answered.
const MAX_PIPELINED: usize = 16 * 1024;
