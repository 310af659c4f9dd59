//! Where the bytes of a body are in the bytes of a connection (RFC 9112 §7). Framing bytes are consumed here, payload
//! only when somebody has taken it, so that nothing is read faster than it goes out on the other side.

use crate::http::message::{Fields, Framing};

use super::error::ParseError;
use super::head;

/// Finds the payload of one body.
#[derive(Debug, Default)]
pub(crate) struct BodyDecoder {
    state: State,
    /// Chunk extensions seen in this body, which are dropped.
    extension_bytes: usize,
    /// The trailer section so far.
    trailer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Done,
    Length(u64),
    UntilClose,
    /// In the digits of a chunk size.
    Size {
        value: u64,
        digits: u8,
    },
    /// Behind the `;` of a chunk extension.
    Extension {
        value: u64,
    },
    /// Behind the CR of a chunk-size line.
    SizeEnd {
        value: u64,
    },
    Chunk(u64),
    /// Behind a chunk's data.
    DataCarriageReturn,
    DataLineFeed,
    /// In the trailer section; `line` bytes of the current line are there.
    Trailer {
        line: usize,
    },
}

/// What the input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Framing bytes at the start of the input, to be dropped.
    pub(crate) skip: usize,
    /// Payload bytes right behind them.
    pub(crate) payload: usize,
}

impl BodyDecoder {
    /// Starts on a new body.
    pub(crate) fn start(&mut self, framing: Framing) {
        self.state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { value: 0, digits: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        self.extension_bytes = 0;
        self.trailer.clear();
    }

    /// The whole body has been consumed.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes still to come, where the framing tells.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Length(length) => Some(length),
            _ => None,
        }
    }

    /// Looks for payload at the start of `input`, past framing, of which `skip` bytes are now done with.
    /// Neither skip nor payload: the body is done, or more input is needed.
    pub(crate) fn find(&mut self, input: &[u8]) -> Result<Found, ParseError> {
        let mut skip = 0;
        loop {
            let rest = &input[skip..];
            let available = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX).min(rest.len());
            match self.state {
                State::Done => return Ok(Found { skip, payload: 0 }),
                State::Length(length) | State::Chunk(length) => {
                    return Ok(Found { skip, payload: available(length) });
                }
                State::UntilClose => return Ok(Found { skip, payload: rest.len() }),
                _ => {}
            }
            let Some(&byte) = rest.first() else { return Ok(Found { skip, payload: 0 }) };
            self.state = self.step(byte)?;
            skip += 1;
        }
    }

    /// One framing byte.
    fn step(&mut self, byte: u8) -> Result<State, ParseError> {
        Ok(match (self.state, byte) {
            (State::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => {
                let digit = char::from(byte).to_digit(16).expect("a hexadecimal digit");
                State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { value, digits: 1.. }, b';') => State::Extension { value },
            (State::Size { value, digits: 1.. }, b'\r') => State::SizeEnd { value },
            (State::Extension { value }, b'\r') => State::SizeEnd { value },
            (State::Extension { value }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension_bytes += 1;
                if self.extension_bytes > MAX_EXTENSION_BYTES {
                    return Err(ParseError::InvalidChunk);
                }
                State::Extension { value }
            }
            (State::SizeEnd { value: 0 }, b'\n') => State::Trailer { line: 0 },
            // A size this large is an overflow in somebody's parser.
            (State::SizeEnd { value }, b'\n') if value <= i64::MAX as u64 => State::Chunk(value),
            (State::DataCarriageReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::Size { value: 0, digits: 0 },
            (State::Trailer { line }, _) => return self.trailer_byte(line, byte),
            (State::Extension { .. } | State::DataCarriageReturn, b'\n') => {
                return Err(ParseError::BareLineEnding);
            }
            _ => return Err(ParseError::InvalidChunk),
        })
    }

    fn trailer_byte(&mut self, line: usize, byte: u8) -> Result<State, ParseError> {
        if self.trailer.len() == MAX_TRAILER_BYTES {
            return Err(ParseError::HeadersTooLarge);
        }
        let after_return = self.trailer.last() == Some(&b'\r');
        if (byte == b'\n') != after_return {
            return Err(ParseError::BareLineEnding);
        }
        if line == 0 && matches!(byte, b' ' | b'\t') {
            return Err(ParseError::ObsoleteFold);
        }
        self.trailer.push(byte);
        Ok(match (byte, line) {
            // The line is a CR alone: the section ends.
            (b'\n', 1) => {
                self.check_trailers()?;
                State::Done
            }
            (b'\n', _) => State::Trailer { line: 0 },
            _ => State::Trailer { line: line + 1 },
        })
    }

    /// Whether a section is well-formed does not depend on whether somebody wants it.
    fn check_trailers(&self) -> Result<(), ParseError> {
        if self.trailer.len() > 2 {
            head::parse_trailers(&self.trailer, &mut Fields::default())
        } else {
            Ok(())
        }
    }

    /// `count` payload bytes have been taken.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count as u64;
        self.state = match self.state {
            State::Length(length) if length == count => State::Done,
            State::Length(length) => State::Length(length - count),
            State::Chunk(length) if length == count => State::DataCarriageReturn,
            State::Chunk(length) => State::Chunk(length - count),
            state => state,
        };
    }

    /// The connection has ended: a clean end only where that is the framing.
    pub(crate) fn end_of_input(&mut self) -> bool {
        if self.state == State::UntilClose {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// The trailers that may be passed on, once the body is done.
    pub(crate) fn trailers(&self) -> Result<Fields, ParseError> {
        let mut fields = Fields::default();
        if self.trailer.len() > 2 {
            head::parse_trailers(&self.trailer, &mut fields)?;
        }
        Ok(fields)
    }

    /// Whether there is a trailer section to look at.
    pub(crate) fn has_trailers(&self) -> bool {
        self.is_done() && self.trailer.len() > 2
    }
}

/// Chunk extensions have no use here; this many bytes of them in one body are a waste, not a feature.
const MAX_EXTENSION_BYTES: usize = 4096;

/// Longest trailer section.
const MAX_TRAILER_BYTES: usize = 8192;

#[cfg(test)]
mod tests;
