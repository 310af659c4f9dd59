//! The bytes of one connection: what has been received and not consumed, what has been encoded and not sent, and since
//! when we wait for the peer.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::buffer::{Buffer, BufferPool, Size};
use crate::stream::Stream;
use crate::timer::{Millis, Wheel};

/// Both directions of a connection.
pub(crate) struct Wire {
    stream: Stream,
    /// Held only while bytes are in it or about to be.
    input: Option<Buffer>,
    /// Encoded and not sent yet, from `sent` on.
    output: Vec<u8>,
    sent: usize,
    pool: Rc<BufferPool>,
    wheel: Rc<Wheel>,
    /// The peer has ended its direction.
    pub(crate) ended: bool,
    /// Since when we wait for bytes, if we do.
    pub(crate) read_wait: Option<Millis>,
    /// Since when the peer takes none of the bytes that we have for it.
    pub(crate) write_wait: Option<Millis>,
    /// Some byte went out since this was last reset.
    pub(crate) has_sent: bool,
    /// Input bytes wanted at a time.
    size: Size,
}

impl Wire {
    /// Bytes that may pile up where bulk is passed on.
    pub(crate) const BULK: usize = Size::Large.bytes();

    pub(crate) fn new(stream: Stream, pool: Rc<BufferPool>, wheel: Rc<Wheel>) -> Self {
        Wire {
            stream,
            input: None,
            output: Vec::new(),
            sent: 0,
            pool,
            wheel,
            ended: false,
            read_wait: None,
            write_wait: None,
            has_sent: false,
            size: Size::Small,
        }
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Received bytes that nobody has consumed.
    pub(crate) fn input(&self) -> &[u8] {
        self.input.as_ref().map_or(&[], Buffer::filled)
    }

    pub(crate) fn consume(&mut self, count: usize) {
        if let Some(input) = &mut self.input {
            input.consume(count);
        }
    }

    /// The bytes to be sent, to append to.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        if self.output.capacity() == 0 {
            self.output = self.pool.take_output();
        }
        &mut self.output
    }

    /// Where the output ends now, for [`unsend`](Self::unsend).
    pub(crate) fn mark(&mut self) -> Mark {
        self.has_sent = false;
        Mark(self.output.len())
    }

    /// Takes back what was encoded since the mark, unless some of the output has gone out since.
    pub(crate) fn unsend(&mut self, mark: Mark) -> bool {
        if !self.has_sent {
            self.output.truncate(mark.0);
        }
        !self.has_sent
    }

    pub(crate) fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Bulk is coming: use larger buffers from now on, to the end of the message.
    pub(crate) fn expect_bulk(&mut self) {
        self.size = Size::Large;
    }

    /// Receives at least a byte; 0 is the end of the stream. `limit` bounds what may pile up unconsumed.
    pub(crate) fn poll_fill(&mut self, context: &mut Context<'_>, limit: usize) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        if self.input.is_none() {
            // Nothing is held while nothing is there.
            match self.stream.poll_read_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.read_wait.get_or_insert(self.wheel.now());
                    return Poll::Pending;
                }
            }
        }
        let mut input = match self.input.take() {
            Some(input) if input.is_full() => self.pool.grow(input, limit),
            Some(input) if self.size == Size::Large && input.capacity() < Size::Large.bytes() => {
                self.pool.grow(input, Size::Large.bytes())
            }
            Some(input) => input,
            None => self.pool.take(self.size),
        };
        let polled = self.stream.poll_read(context, input.space());
        if let Poll::Ready(Ok(count)) = &polled {
            input.fill(*count);
        }
        self.input = Some(input);
        match polled {
            Poll::Ready(result) => {
                self.read_wait = None;
                self.ended = matches!(result, Ok(0));
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.read_wait.get_or_insert(self.wheel.now());
                self.release_empty_input();
                Poll::Pending
            }
        }
    }

    /// Sends what has been encoded.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.output.len() {
            let polled = self.stream.poll_write(context, &self.output[self.sent..]);
            self.sent += ready!(self.written(polled))?;
        }
        self.output.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Sends what has been encoded and `payload` behind it, in one system call where the socket takes it all.
    /// Returns how many bytes of `payload` are taken care of.
    pub(crate) fn poll_send(&mut self, context: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        if self.sent < self.output.len() && self.unsent() + payload.len() <= COPIED {
            // To copy so little is cheaper than to have the kernel gather it.
            self.output.extend_from_slice(payload);
            return match self.poll_flush(context) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Ready(Ok(payload.len())),
            };
        }
        loop {
            let pending = &self.output[self.sent..];
            if pending.is_empty() {
                let polled = self.stream.poll_write(context, payload);
                return self.written(polled);
            }
            let slices = [IoSlice::new(pending), IoSlice::new(payload)];
            let pending = pending.len();
            let polled = self.stream.poll_write_vectored(context, &slices);
            let count = ready!(self.written(polled))?;
            if count >= pending {
                self.output.clear();
                self.sent = 0;
                if count > pending {
                    return Poll::Ready(Ok(count - pending));
                }
            } else {
                self.sent += count;
            }
        }
    }

    /// Books a write: progress ends the wait, `Pending` begins it.
    fn written(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(result) => {
                self.write_wait = None;
                self.has_sent |= result.is_ok();
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.write_wait.get_or_insert(self.wheel.now());
                Poll::Pending
            }
        }
    }

    /// Ends our direction.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(context))?;
        self.stream.poll_shutdown(context)
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn rest(&mut self) {
        self.size = Size::Small;
        self.read_wait = None;
        self.write_wait = None;
        self.release_empty_input();
        if self.output.len() == self.sent {
            self.sent = 0;
            self.pool.give_output(std::mem::take(&mut self.output));
        }
    }

    fn release_empty_input(&mut self) {
        if let Some(input) = self.input.take_if(|input| input.is_empty()) {
            self.pool.give(input);
        }
    }
}

/// A place in the output of a [`Wire`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

/// Payload up to this size, head included, is sent with its head from one buffer.
const COPIED: usize = 4096;

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            self.pool.give(input);
        }
        self.pool.give_output(std::mem::take(&mut self.output));
    }
}
