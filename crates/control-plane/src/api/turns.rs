//! One request after the other, under the HTTP library: it gets the head of a request, then its body, and what is
//! behind them when the answer has been sent. So what it writes in between is its own refusal of a head, without a
//! word why, and is said as a problem document instead; and who has sent half a head with the request before has begun it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::chunks::Chunks;
use super::head::Head;
use super::pace::{CHUNKED, Pace, Paced};
use super::route::Template;
use super::{Api, refusal};

/// A connection whose requests are read one by one.
pub(super) struct Turns<S> {
    stream: Paced<S>,
    pace: Arc<Pace>,
    api: Arc<Api>,
    head: Head,
    chunks: Chunks,
    /// Read, and not yet asked for.
    ahead: Bytes,
    /// Who waits for its turn to read it.
    reader: Option<Waker>,
    /// What is left to say to who has sent no request.
    refusal: Option<Bytes>,
    leaving: Option<Leaving>,
}

/// What comes in after our last word is read for a while: the client would else be told that the connection is broken
/// before it has read that word (RFC 9112 §9.6).
struct Leaving {
    end: Pin<Box<Sleep>>,
    most: usize,
}

impl<S> Turns<S> {
    pub(super) fn new(stream: Paced<S>, pace: Arc<Pace>, api: Arc<Api>) -> Self {
        Turns {
            stream,
            pace,
            api,
            head: Head::default(),
            chunks: Chunks::default(),
            ahead: Bytes::new(),
            reader: None,
            refusal: None,
            leaving: None,
        }
    }

    /// How much of this it is the turn of.
    fn due(&mut self, bytes: &[u8]) -> usize {
        match self.pace.body() {
            0 if self.pace.owes() => 0,
            0 => self.due_of_head(bytes),
            // The rest of a body may be passed over when its answer has been sent.
            CHUNKED => self.due_of_chunks(bytes),
            left => {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.pace.set_body(left - most as u64);
                most
            }
        }
    }

    fn due_of_head(&mut self, bytes: &[u8]) -> usize {
        let Some(end) = self.head.end(bytes) else { return bytes.len() };
        self.pace.set_ambiguous(self.head.is_ambiguous());
        self.head = Head::default();
        end
    }

    /// What is broken is due as it comes: the library refuses it, and reads no request behind it.
    fn due_of_chunks(&mut self, bytes: &[u8]) -> usize {
        let Some(end) = self.chunks.end(bytes) else { return bytes.len() };
        self.pace.set_body(0);
        end
    }

    /// The answer has been sent.
    fn sent(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Says something else instead.
    fn refuse(&mut self, said: &[u8]) {
        if self.refusal.is_some() {
            return;
        }
        let code = refusal::reason(said, self.head.is_in_request_line());
        self.api.counters.refused(code);
        self.api.counters.answered(Template::Other, code.status());
        self.refusal = Some(refusal::answer(code, said).into());
    }

    /// Whether the client may have sent what nobody has read.
    fn may_be_heard(&self) -> bool {
        self.refusal.is_some() || !self.ahead.is_empty() || self.pace.body() > 0
    }
}

impl<S: AsyncRead + Unpin> Turns<S> {
    /// As much of what was read before as it is the turn of.
    fn poll_ahead(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = self.ahead.len().min(buffer.remaining());
        let most = self.due(&self.ahead.slice(..most));
        if most == 0 {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        self.stream.begin_head();
        buffer.put_slice(&self.ahead.split_to(most));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Turns<S> {
    fn poll_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(refusal) = self.refusal.as_mut().filter(|refusal| !refusal.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, refusal))?;
            refusal.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Turns<S> {
    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(leaving) = &mut self.leaving else { return Poll::Ready(()) };
        let mut space = [0; 4096];
        while leaving.most > 0 && leaving.end.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            leaving.most = leaving.most.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Turns<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return self.poll_ahead(context, buffer);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        let due = self.due(read);
        if due < read.len() {
            self.ahead = Bytes::copy_from_slice(&read[due..]);
            buffer.set_filled(before + due);
            if due == 0 {
                self.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Turns<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.pace.owes() {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        self.refuse(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.pace.owes() {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        self.refuse(slices.first().map(|slice| &**slice).unwrap_or_default());
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        // The library flushes when it has nothing left to write.
        if self.pace.is_sent() {
            self.sent();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        if self.leaving.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            let most = if self.may_be_heard() { MOST_UNHEARD } else { 0 };
            self.leaving = Some(Leaving { end: Box::pin(sleep(UNHEARD_WITHIN)), most });
        }
        self.poll_leave(context).map(Ok)
    }
}

const MOST_UNHEARD: usize = 64 << 10;

const UNHEARD_WITHIN: Duration = Duration::from_secs(2);
