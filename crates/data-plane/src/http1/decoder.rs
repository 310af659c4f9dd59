//! The sans-IO core of the engine: bytes in, events out. The caller keeps the bytes, offers what it has, drops what an
//! event says is done with, and offers more when nothing was found. Any split of the input into reads gives the same
//! events.

use crate::http::message::{Fields, Framing, Method, RequestHead, ResponseHead};

use super::body::{BodyDecoder, Found};
use super::error::ParseError;
use super::head::{self, RequestRules};
use super::scan::{HeadLimits, HeadScanner};

/// What stands at the start of the input, behind `skip` bytes that are done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// More input is needed.
    NeedMore,
    /// A head, now parsed; its bytes are in `skip`.
    Head,
    /// So many bytes of payload. They stay until [`consume`](RequestDecoder::consume).
    Payload(usize),
    /// The message is complete.
    End,
}

/// An event and the bytes it is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) skip: usize,
    pub(crate) event: Event,
}

/// Reads one request after the other.
#[derive(Debug)]
pub(crate) struct RequestDecoder {
    limits: HeadLimits,
    rules: RequestRules,
    scanner: HeadScanner,
    body: BodyDecoder,
}

impl RequestDecoder {
    pub(crate) fn new(limits: HeadLimits, rules: RequestRules) -> Self {
        RequestDecoder { limits, rules, scanner: HeadScanner::default(), body: BodyDecoder::default() }
    }

    /// Reads the next head by other limits and rules.
    pub(crate) fn follow(&mut self, limits: HeadLimits, rules: RequestRules) {
        (self.limits, self.rules) = (limits, rules);
    }

    /// Looks for a head. [`Event::Head`] or [`Event::NeedMore`].
    pub(crate) fn head(&mut self, input: &[u8], head: &mut RequestHead) -> Result<Step, ParseError> {
        let Some(range) = self.scanner.scan(input, &self.limits)? else {
            return Ok(Step { skip: 0, event: Event::NeedMore });
        };
        self.scanner = HeadScanner::default();
        head.clear();
        head::parse_request(&input[range.start..range.end], self.rules, head)?;
        self.body.start(head.framing);
        Ok(Step { skip: range.end, event: Event::Head })
    }

    /// Looks for the body of the request whose head came last.
    pub(crate) fn body(&mut self, input: &[u8]) -> Result<Step, ParseError> {
        step_of(self.body.find(input)?, &self.body)
    }

    /// `count` bytes of payload have been taken.
    pub(crate) fn consume(&mut self, count: usize) {
        self.body.consume(count);
    }

    pub(crate) fn is_done(&self) -> bool {
        self.body.is_done()
    }

    /// Body bytes still to come, where known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }

    /// The trailers that may be passed on; empty for most requests. Fields of the head and of the trailers follow the same
    /// rules: some recipients merge them.
    pub(crate) fn trailers(&self) -> Result<Fields, ParseError> {
        let mut trailers = self.body.trailers()?;
        head::apply_underscores(&mut trailers, self.rules.underscores)?;
        Ok(trailers)
    }

    pub(crate) fn has_trailers(&self) -> bool {
        self.body.has_trailers()
    }
}

/// Reads one response after the other, interim ones included.
#[derive(Debug)]
pub(crate) struct ResponseDecoder {
    limits: HeadLimits,
    scanner: HeadScanner,
    body: BodyDecoder,
}

impl ResponseDecoder {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        ResponseDecoder { limits, scanner: HeadScanner::default(), body: BodyDecoder::default() }
    }

    /// Looks for the head of a response to a request with `method`.
    pub(crate) fn head(
        &mut self,
        input: &[u8],
        method: Method,
        head: &mut ResponseHead,
    ) -> Result<Step, ParseError> {
        let Some(range) = self.scanner.scan(input, &self.limits)? else {
            return Ok(Step { skip: 0, event: Event::NeedMore });
        };
        self.scanner = HeadScanner::default();
        if range.start > 0 {
            // Only requests may come behind an empty line (RFC 9112 §2.2).
            return Err(ParseError::MalformedFirstLine);
        }
        head.clear();
        head::parse_response(&input[range.start..range.end], method, head)?;
        let has_body = head::response_has_body(head.status, method);
        self.body.start(if has_body { head.framing } else { Framing::None });
        Ok(Step { skip: range.end, event: Event::Head })
    }

    pub(crate) fn body(&mut self, input: &[u8]) -> Result<Step, ParseError> {
        step_of(self.body.find(input)?, &self.body)
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.body.consume(count);
    }

    pub(crate) fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.body.is_done()
    }

    /// The connection has ended; false when that cuts the message short.
    pub(crate) fn end_of_input(&mut self) -> bool {
        self.body.end_of_input()
    }

    pub(crate) fn trailers(&self) -> Result<Fields, ParseError> {
        self.body.trailers()
    }

    pub(crate) fn has_trailers(&self) -> bool {
        self.body.has_trailers()
    }
}

fn step_of(found: Found, body: &BodyDecoder) -> Result<Step, ParseError> {
    let event = match found.payload {
        0 if body.is_done() => Event::End,
        0 => Event::NeedMore,
        payload => Event::Payload(payload),
    };
    Ok(Step { skip: found.skip, event })
}

#[cfg(test)]
mod tests;
