//! The body of an outgoing message: counts what its framing announced, frames what it did not.

use std::io;
use std::task::{Context, Poll, ready};

use crate::http::message::{Fields, Framing};

use super::encode;
use super::wire::Wire;

/// Where an outgoing body stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyEncoder {
    /// Nothing (more) to be sent.
    #[default]
    Done,
    /// So many bytes are announced and not sent.
    Length(u64),
    Chunked,
    /// Ends with the connection.
    UntilClose,
}

impl BodyEncoder {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => BodyEncoder::Done,
            Framing::Length(length) => BodyEncoder::Length(length),
            Framing::Chunked => BodyEncoder::Chunked,
            Framing::UntilClose => BodyEncoder::UntilClose,
        }
    }

    /// Sends some of `payload`, which is not empty; returns how much was taken.
    pub(crate) fn poll_payload(
        &mut self,
        wire: &mut Wire,
        context: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            BodyEncoder::Length(left) => {
                let taken = ready!(wire.poll_send(context, payload))?;
                *left = left.checked_sub(taken as u64).expect("the decoder gives no more than was announced");
                Poll::Ready(Ok(taken))
            }
            BodyEncoder::UntilClose => wire.poll_send(context, payload),
            BodyEncoder::Chunked => {
                if wire.unsent() >= MAX_UNSENT_CHUNKS {
                    ready!(wire.poll_flush(context))?;
                }
                let taken = payload.len().min(MAX_UNSENT_CHUNKS);
                encode::chunk(wire.output(), &payload[..taken]);
                if let Poll::Ready(Err(error)) = wire.poll_flush(context) {
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(Ok(taken))
            }
            BodyEncoder::Done => unreachable!("a body that is done has no payload"),
        }
    }

    /// The payload is complete. What is left to be sent is in the wire's output.
    pub(crate) fn finish(&mut self, wire: &mut Wire, trailers: &Fields) {
        debug_assert!(!matches!(self, BodyEncoder::Length(1..)), "the decoder gives all that was announced");
        if *self == BodyEncoder::Chunked {
            encode::last_chunk(wire.output(), trailers);
        }
        *self = BodyEncoder::Done;
    }
}

/// Chunked payload is copied between its frames; at most so much of it waits.
const MAX_UNSENT_CHUNKS: usize = 64 * 1024;
