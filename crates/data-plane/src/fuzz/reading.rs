//! A connection without IO: bytes arrive in pieces of any size, payload is taken in pieces of any size, and what was
//! seen is told.

use crate::http::message::{Fields, Method, RequestHead, ResponseHead};
use crate::http1::decoder::{Event, RequestDecoder, ResponseDecoder, Step};
use crate::http1::error::ParseError;

use super::plan::{Plan, Sizes};

/// What a connection's bytes hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A head, written out.
    Head(String),
    /// Payload, however many pieces it came in.
    Payload(Vec<u8>),
    /// A whole message, with its trailers.
    End(Result<String, ParseError>),
    Error(ParseError),
    /// The bytes have ended, with so many of an unfinished head left.
    Rest {
        in_body: bool,
        is_clean: bool,
        unread: usize,
    },
}

/// A decoder and the head that it read last.
pub(super) trait Reader {
    fn head(&mut self, input: &[u8]) -> Result<Step, ParseError>;
    fn describe(&self) -> String;
    fn body(&mut self, input: &[u8]) -> Result<Step, ParseError>;
    fn consume(&mut self, count: usize);
    fn end_of_input(&mut self) -> bool;
    fn remaining(&self) -> Option<u64>;
    fn trailers(&self) -> Result<Fields, ParseError>;
}

/// Reads messages until something is wrong or the bytes have ended.
pub(super) fn read(
    reader: &mut dyn Reader,
    plan: &Plan,
    bytes: &[u8],
    mut reads: Sizes,
    mut takes: Sizes,
) -> Vec<Seen> {
    let (mut start, mut end, mut in_body) = (0, 0, false);
    let mut seen = Vec::new();
    loop {
        let input = &bytes[start..end];
        let step = match if in_body { reader.body(input) } else { reader.head(input) } {
            Ok(step) => step,
            Err(error) => {
                seen.push(Seen::Error(error));
                return seen;
            }
        };
        start += step.skip;
        match step.event {
            Event::Head => {
                assert!(!in_body);
                seen.push(Seen::Head(reader.describe()));
                in_body = true;
            }
            Event::Payload(available) => {
                assert!(in_body && available <= end - start);
                assert!(reader.remaining().is_none_or(|remaining| remaining >= available as u64));
                let count = takes.next().min(available);
                match seen.last_mut() {
                    Some(Seen::Payload(payload)) => payload.extend_from_slice(&bytes[start..start + count]),
                    _ => seen.push(Seen::Payload(bytes[start..start + count].to_vec())),
                }
                reader.consume(count);
                start += count;
            }
            Event::End => {
                seen.push(Seen::End(reader.trailers().map(|trailers| described(&trailers))));
                in_body = false;
            }
            Event::NeedMore => {
                assert!(if in_body { start == end } else { step.skip == 0 }, "what is there is looked at");
                let most = plan.limits.first_line + plan.limits.total + LINE_ENDINGS;
                assert!(end - start <= most, "an unfinished head of {} bytes", end - start);
                if end == bytes.len() {
                    let is_clean = in_body && reader.end_of_input();
                    seen.push(Seen::Rest { in_body, is_clean, unread: end - start });
                    return seen;
                }
                end += reads.next().min(bytes.len() - end);
            }
        }
    }
}

/// Fields, written out.
fn described(fields: &Fields) -> String {
    assert!(fields.text.len() <= MAX_FIELDS_TEXT);
    let field = |(name, value, known): (&[u8], &[u8], _)| {
        format!("{}: {} ({known:?})\n", name.escape_ascii(), value.escape_ascii())
    };
    fields.iter().map(field).collect()
}

/// A downstream connection.
pub(super) struct Requests {
    pub(super) decoder: RequestDecoder,
    pub(super) head: RequestHead,
}

impl Requests {
    pub(super) fn new(plan: &Plan) -> Self {
        Requests { decoder: RequestDecoder::new(plan.limits, plan.rules), head: RequestHead::default() }
    }
}

impl Reader for Requests {
    fn head(&mut self, input: &[u8]) -> Result<Step, ParseError> {
        self.decoder.head(input, &mut self.head)
    }

    fn describe(&self) -> String {
        format!("{:?}\n{}", self.head, described(&self.head.fields))
    }

    fn body(&mut self, input: &[u8]) -> Result<Step, ParseError> {
        self.decoder.body(input)
    }

    fn consume(&mut self, count: usize) {
        self.decoder.consume(count);
    }

    fn end_of_input(&mut self) -> bool {
        self.decoder.is_done()
    }

    fn remaining(&self) -> Option<u64> {
        self.decoder.remaining()
    }

    fn trailers(&self) -> Result<Fields, ParseError> {
        self.decoder.trailers()
    }
}

/// An upstream connection; all its responses answer the same method.
pub(super) struct Responses {
    pub(super) decoder: ResponseDecoder,
    pub(super) head: ResponseHead,
    method: Method,
}

impl Responses {
    pub(super) fn new(plan: &Plan) -> Self {
        Responses {
            decoder: ResponseDecoder::new(plan.limits),
            head: ResponseHead::default(),
            method: plan.method,
        }
    }
}

impl Reader for Responses {
    fn head(&mut self, input: &[u8]) -> Result<Step, ParseError> {
        self.decoder.head(input, self.method, &mut self.head)
    }

    fn describe(&self) -> String {
        format!("{:?}\n{}", self.head, described(&self.head.fields))
    }

    fn body(&mut self, input: &[u8]) -> Result<Step, ParseError> {
        self.decoder.body(input)
    }

    fn consume(&mut self, count: usize) {
        self.decoder.consume(count);
    }

    fn end_of_input(&mut self) -> bool {
        self.decoder.end_of_input()
    }

    fn remaining(&self) -> Option<u64> {
        self.decoder.remaining()
    }

    fn trailers(&self) -> Result<Fields, ParseError> {
        self.decoder.trailers()
    }
}

/// The line endings around a head that no limit counts: an empty line before it, and those of first and last line.
const LINE_ENDINGS: usize = 8;
/// Heads are bounded by their limits; nothing that is made of fields may be longer.
const MAX_FIELDS_TEXT: usize = 80 * 1024;
