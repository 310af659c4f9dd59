//! The upstream side of HTTP/1: requests out, responses in.

use std::io;
use std::task::{Context, Poll, ready};

use crate::http::message::{Fields, Framing, Method, ResponseHead};

use super::decoder::{Event, ResponseDecoder};
use super::error::ParseError;
use super::scan::HeadLimits;
use super::sender::BodyEncoder;
use super::wire::Wire;

/// An upstream connection.
pub(crate) struct ClientConnection {
    pub(crate) wire: Wire,
    decoder: ResponseDecoder,
    encoder: BodyEncoder,
    /// Some byte of the current response has arrived.
    pub(crate) answered: bool,
}

/// What ends the reading of a response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The bytes are not a response.
    #[error("not a response: {0}")]
    Parse(ParseError),
    /// The connection ended where it must not.
    #[error("the connection ended")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
}

impl From<ParseError> for ReadError {
    fn from(error: ParseError) -> Self {
        ReadError::Parse(error)
    }
}

impl ClientConnection {
    pub(crate) fn new(wire: Wire) -> Self {
        ClientConnection {
            wire,
            decoder: ResponseDecoder::new(RESPONSE_LIMITS),
            encoder: BodyEncoder::Done,
            answered: false,
        }
    }

    /// A request head has been encoded into the wire's output; its body follows.
    pub(crate) fn start_request(&mut self, framing: Framing) {
        self.encoder = BodyEncoder::new(framing);
        self.answered = false;
        self.wire.has_sent = false;
    }

    /// Sends some of a request's payload, which is not empty.
    pub(crate) fn poll_payload(
        &mut self,
        context: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.encoder.poll_payload(&mut self.wire, context, payload)
    }

    /// The request is complete but for what [`poll_flush`](Self::poll_flush) sends.
    pub(crate) fn finish_request(&mut self, trailers: &Fields) {
        self.encoder.finish(&mut self.wire, trailers);
    }

    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_flush(context)
    }

    /// Reads a whole head, interim or final, of a response to a request with `method`.
    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        method: Method,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), ReadError>> {
        loop {
            let step = self.decoder.head(self.wire.input(), method, head)?;
            self.wire.consume(step.skip);
            if step.event == Event::Head {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill(context))?;
        }
    }

    /// What the received bytes hold of the body: drops framing, leaves payload.
    pub(crate) fn body(&mut self) -> Result<Event, ParseError> {
        let step = self.decoder.body(self.wire.input())?;
        self.wire.consume(step.skip);
        Ok(step.event)
    }

    /// The payload that [`body`](Self::body) has found.
    pub(crate) fn payload(&self, count: usize) -> &[u8] {
        &self.wire.input()[..count]
    }

    /// Payload has been taken.
    pub(crate) fn consume(&mut self, count: usize) {
        self.decoder.consume(count);
        self.wire.consume(count);
    }

    /// Receives more of a body; an end is an error unless it is the body's framing.
    pub(crate) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ReadError>> {
        match ready!(self.poll_fill(context)) {
            Err(ReadError::Closed) if self.decoder.end_of_input() => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ReadError>> {
        let limit = RESPONSE_LIMITS.total + RESPONSE_LIMITS.first_line + 8;
        match ready!(self.wire.poll_fill(context, limit)) {
            Ok(0) => Poll::Ready(Err(ReadError::Closed)),
            Ok(_) => {
                self.answered = true;
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(ReadError::Broken(error))),
        }
    }

    /// Body bytes still to come, where known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.decoder.remaining()
    }

    pub(crate) fn trailers(&self) -> Result<Fields, ParseError> {
        if self.decoder.has_trailers() { self.decoder.trailers() } else { Ok(Fields::default()) }
    }

    /// Nothing is under way: no bytes behind the last response, none of the last request unsent.
    pub(crate) fn is_clean(&self) -> bool {
        self.wire.input().is_empty()
            && self.wire.unsent() == 0
            && !self.wire.ended
            && self.encoder == BodyEncoder::Done
            && self.decoder.is_done()
    }
}

/// Bounds of a response head: those of a request by default.
const RESPONSE_LIMITS: HeadLimits =
    HeadLimits { first_line: 8192, field: 16 * 1024, total: 64 * 1024, count: 100 };
