//! How long a client may take: to send the head of a request that it has begun, and to read what it asked for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A connection that ends when its client takes too long.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    reading: Patience,
    writing: Patience,
}

/// What a connection does now.
#[derive(Debug, Default)]
pub(super) struct Pace {
    state: AtomicU8,
    /// Which of all answers of this process was its last; zero before the first.
    asked: AtomicU64,
    /// A request has come, and its answer is not all sent.
    owes: AtomicBool,
    /// How much of the body of the request is still to come.
    body: AtomicU64,
    ambiguous: AtomicBool,
}

/// A request that is being answered. When it is dropped the client may send another one.
#[derive(Debug)]
pub(super) struct Turn(Arc<Pace>);

/// A wait that has an end.
#[derive(Debug, Default)]
struct Patience(Option<Pin<Box<Sleep>>>);

impl Pace {
    /// The head of a request is there, and so much of its body is to come.
    pub(super) fn begin(self: &Arc<Self>, body: u64) -> Turn {
        self.state.store(BUSY, Ordering::Relaxed);
        self.owes.store(true, Ordering::Relaxed);
        self.set_body(body);
        Turn(Arc::clone(self))
    }

    pub(super) fn owes(&self) -> bool {
        self.owes.load(Ordering::Relaxed)
    }

    /// What was written has been sent: whether the answer was, too.
    pub(super) fn is_sent(&self) -> bool {
        !self.is_busy() && self.owes.swap(false, Ordering::Relaxed)
    }

    pub(super) fn body(&self) -> u64 {
        self.body.load(Ordering::Relaxed)
    }

    pub(super) fn set_body(&self, left: u64) {
        self.body.store(left, Ordering::Relaxed);
    }

    /// Whether the head says in two ways how long its body is.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.ambiguous.load(Ordering::Relaxed)
    }

    pub(super) fn set_ambiguous(&self, is_ambiguous: bool) {
        self.ambiguous.store(is_ambiguous, Ordering::Relaxed);
    }

    /// Whether the connection was ended because its client did not read.
    pub(super) fn was_too_slow(&self) -> bool {
        self.state.load(Ordering::Relaxed) == TOO_SLOW
    }

    /// Whether no request is being answered, and no answer is being sent.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_busy() && !self.owes()
    }

    fn is_busy(&self) -> bool {
        self.state.load(Ordering::Relaxed) == BUSY
    }

    /// The greater, the later its last request was answered; zero when it never asked.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.asked.store(ANSWERED.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let _ = self.0.state.compare_exchange(BUSY, IDLE, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>) -> Self {
        Paced { stream, pace, reading: Patience::default(), writing: Patience::default() }
    }

    /// The next head has begun, if it is its turn: nobody reads it before the answer has been sent.
    pub(super) fn begin_head(&mut self) {
        let state = &self.pace.state;
        if !self.pace.owes()
            && state.compare_exchange(IDLE, HEAD, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.reading.begin(HEAD_WITHIN);
        }
    }
}

impl Patience {
    /// Waits on, for so long from the first wait: an error when that is over.
    fn poll(&mut self, context: &mut Context<'_>, most: Duration) -> Poll<io::Error> {
        let wait = self.0.get_or_insert_with(|| Box::pin(sleep(most)));
        wait.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into())
    }

    fn begin(&mut self, most: Duration) {
        match &mut self.0 {
            Some(wait) => wait.as_mut().reset(Instant::now() + most),
            None => self.0 = Some(Box::pin(sleep(most))),
        }
    }

    fn end(&mut self) {
        self.0 = None;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.begin_head();
        }
        if self.pace.state.load(Ordering::Relaxed) != HEAD {
            self.reading.end();
        } else if polled.is_pending()
            && let Poll::Ready(error) = self.reading.poll(context, HEAD_WITHIN)
        {
            return Poll::Ready(Err(error));
        }
        polled
    }
}

impl<S> Paced<S> {
    /// Waits on while nothing can be written, but not for ever.
    fn progress<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.writing.end();
            return polled;
        }
        let error = std::task::ready!(self.writing.poll(context, READ_WITHIN));
        self.pace.state.store(TOO_SLOW, Ordering::Relaxed);
        Poll::Ready(Err(error))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.progress(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Who connects wants something: the time of its first head begins at once.
const HEAD: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;
const TOO_SLOW: u8 = 3;

/// Of a body: it comes in chunks, and ends with the last one.
pub(super) const CHUNKED: u64 = u64::MAX;

/// How many answers have ended.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

/// From the first byte of a head to its last; of the first head, from the connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// A client that takes nothing for so long is gone, or holds memory on purpose.
const READ_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_has_to_come() {
        let (mut client, server) = duplex(64);
        let pace = Arc::new(Pace::default());
        let mut server = Paced::new(server, Arc::clone(&pace));
        let began = Instant::now();
        let mut buffer = [0; 8];
        drop(pace.begin(0));
        assert!(pace.is_sent());
        let silent = tokio::time::timeout(HEAD_WITHIN * 3, server.read(&mut buffer)).await;
        assert!(silent.is_err(), "who has begun nothing is waited for, after an answer");
        client.write_all(b"G").await.expect("there is room");
        assert_eq!(server.read(&mut buffer).await.expect("it is there"), 1);
        let error = server.read(&mut buffer).await.expect_err("the rest does not come");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), HEAD_WITHIN * 4);
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_has_to_ask() {
        let (_client, server) = duplex(64);
        let mut server = Paced::new(server, Arc::default());
        let began = Instant::now();
        let error = server.read(&mut [0; 8]).await.expect_err("nothing comes");
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, HEAD_WITHIN));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_head_is_not_that_of_its_answer() {
        let (mut client, server) = duplex(64);
        let pace = Arc::new(Pace::default());
        let mut server = Paced::new(server, Arc::clone(&pace));
        let mut buffer = [0; 8];
        client.write_all(b"G").await.expect("there is room");
        assert_eq!(server.read(&mut buffer).await.expect("it is there"), 1);
        let turn = pace.begin(0);
        let long = tokio::time::timeout(HEAD_WITHIN * 3, server.read(&mut buffer)).await;
        assert!(long.is_err(), "the answer takes its time");
        drop(turn);
        client.write_all(b"G").await.expect("there is room");
        assert_eq!(server.read(&mut buffer).await.expect("it is there"), 1);
        let long = tokio::time::timeout(HEAD_WITHIN * 3, server.read(&mut buffer)).await;
        assert!(long.is_err(), "so does its reader");
        assert!(!pace.is_idle() && pace.is_sent() && pace.is_idle());
        server.begin_head();
        let began = Instant::now();
        assert!(server.read(&mut buffer).await.is_err(), "the next head has begun");
        assert_eq!(began.elapsed(), HEAD_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_not_written_to_for_ever() {
        let (mut client, server) = duplex(64);
        let pace = Arc::new(Pace::default());
        let mut server = Paced::new(server, Arc::clone(&pace));
        server.write_all(&[0; 64]).await.expect("there is room");
        let began = Instant::now();
        let late = async {
            tokio::time::sleep(READ_WITHIN - Duration::from_secs(1)).await;
            client.read_exact(&mut [0; 1]).await.expect("it was written");
        };
        let (written, ()) = tokio::join!(server.write_all(&[0; 2]), late);
        assert!(written.is_err());
        assert_eq!(began.elapsed(), READ_WITHIN * 2 - Duration::from_secs(1), "a byte is progress");
        assert!(pace.was_too_slow());
    }
}
