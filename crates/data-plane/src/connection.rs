//! One downstream connection: request after request until one side has had enough.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::accept::{Arrival, Permit};
use crate::http;
use crate::http1::decoder::{Event, RequestDecoder};
use crate::http1::server::ServerConnection;
use crate::http1::wire::Wire;
use crate::idle::Idle;
use crate::listener::BindId;
use crate::metrics::Limit;
use crate::stream::Stream;
use crate::timer::{Millis, NEVER, Timer};
use crate::worker::{ListenerView, Worker};

/// A downstream connection and where it belongs.
pub(crate) struct Connection {
    pub(crate) worker: Rc<Worker>,
    /// As of the current request.
    pub(crate) listener: Rc<ListenerView>,
    /// Whom it is counted for.
    opened_at: Rc<ListenerView>,
    pub(crate) server: ServerConnection,
    /// `None` on unix sockets.
    pub(crate) peer: Option<SocketAddr>,
    bind: BindId,
    /// The generation that `listener` is of.
    generation: u64,
    /// The listener is configured no more, or not for HTTP: the next response is the last.
    is_orphan: bool,
    _permit: Permit,
}

/// What becomes of a connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another request may come.
    KeepAlive,
    /// Nothing more is said.
    Close,
    /// Everything is said, but the client may still be sending: a plain close would reset the connection under the
    /// response.
    Linger,
    /// The client must not take what it has for a whole response.
    Reset,
}

/// How waiting for a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Its first byte is there.
    Begun,
    /// There will be none.
    Ended,
    /// There was none in time.
    Silent,
    /// The worker needs the room.
    Shed,
}

/// What came before waiting for a request.
#[derive(Clone, Copy)]
enum Waiting<'a> {
    /// Nothing: the connection is new.
    New,
    /// A request, a moment ago.
    Soon,
    /// A request, a while ago: who needs room may have that of this connection.
    Idle(&'a Idle),
}

impl Connection {
    pub(crate) fn new(
        worker: &Rc<Worker>,
        listener: &Rc<ListenerView>,
        stream: Stream,
        arrival: Arrival,
    ) -> Self {
        let Arrival { peer, bind, permit } = arrival;
        let wire = Wire::new(stream, Rc::clone(&worker.buffers), Rc::clone(&worker.wheel));
        let decoder = RequestDecoder::new(listener.listener.limits, listener.listener.rules);
        let server = ServerConnection::new(wire, decoder, listener.listener.head_limit());
        listener.cells.connections.add(1);
        listener.cells.connections_now.add(1);
        Connection {
            opened_at: Rc::clone(listener),
            worker: Rc::clone(worker),
            listener: Rc::clone(listener),
            server,
            peer,
            bind,
            generation: ANY_GENERATION,
            is_orphan: false,
            _permit: permit,
        }
    }

    /// Follows the configuration: its next request is served by the listener as it is now.
    fn refresh(&mut self) {
        let view = self.worker.view();
        if view.snapshot.generation == self.generation {
            return;
        }
        self.generation = view.snapshot.generation;
        match view.listener(self.bind) {
            Some(listener) if listener.listener.stream_service().is_none() => {
                self.listener = Rc::clone(listener);
                let settings = &listener.listener;
                self.server.follow(settings.limits, settings.rules, settings.head_limit());
            }
            _ => self.is_orphan = true,
        }
    }

    /// Whether the listener is configured no more, or not for HTTP.
    pub(crate) fn is_orphan(&self) -> bool {
        self.is_orphan
    }

    /// Whether the response to the current request is the last.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_orphan || self.worker.is_draining()
    }

    /// Serves requests until the connection ends. Boxed, because a future holds room for its arguments twice, and so does
    /// the task around it.
    pub(crate) async fn serve(mut self: Box<Self>) {
        let timer = poll_fn(|context| Poll::Ready(self.worker.wheel.timer(context.waker().clone()))).await;
        let mut deadline = timer.now().saturating_add(self.listener.listener.header_timeout);
        let mut idle = None;
        loop {
            let waiting = idle.as_ref().map_or(Waiting::New, Waiting::Idle);
            match self.wait_for_request(&timer, deadline, waiting).await {
                Wait::Begun => drop(idle.take()),
                Wait::Ended => return,
                // Silently: browsers connect ahead of need.
                Wait::Silent => return self.worker.cells.idle_closed.add(1),
                Wait::Shed => return self.worker.cells.hit(Limit::IdleShed),
            }
            // Boxed, so that an idle connection is a small task.
            match Box::pin(self.serve_busy(&timer)).await {
                Ok(until) => (deadline, idle) = (until, Some(self.fall_idle().await)),
                Err(Next::Reset) => return self.server.wire.stream().reset_on_close(),
                Err(Next::Linger) => return Box::pin(self.linger(&timer)).await,
                Err(Next::Close | Next::KeepAlive) => return,
            }
        }
    }

    /// Lets the worker have this connection's room until it has another request.
    async fn fall_idle(&self) -> Idle {
        let listener = self.opened_at.listener.state.serial;
        poll_fn(|context| Poll::Ready(self.worker.idle.add(listener, context.waker().clone()))).await
    }

    /// Serves requests for as long as one soon follows the other, so that the room for a request is made once for all
    /// of them. Then tells until when to wait for another, or how the connection ends.
    async fn serve_busy(&mut self, timer: &Timer) -> Result<Millis, Next> {
        loop {
            self.refresh();
            let next = http::handle(self, timer).await;
            if next != Next::KeepAlive {
                return Err(next);
            }
            self.server.wire.rest();
            let now = timer.now();
            let deadline = now.saturating_add(self.listener.listener.keep_alive);
            match self.wait_for_request(timer, deadline.min(now + SOON), Waiting::Soon).await {
                Wait::Begun => {}
                Wait::Ended | Wait::Shed => return Err(Next::Close),
                Wait::Silent => return Ok(deadline),
            }
        }
    }

    /// Waits for the first byte of a request.
    async fn wait_for_request(&mut self, timer: &Timer, deadline: Millis, waiting: Waiting<'_>) -> Wait {
        let started = timer.now();
        poll_fn(|context| {
            if let Poll::Ready(begun) = self.server.poll_begin(context) {
                return Poll::Ready(if begun { Wait::Begun } else { Wait::Ended });
            }
            // What the reactor has not seen yet may be a request.
            if matches!(waiting, Waiting::Idle(idle) if idle.is_told())
                && self.server.wire.stream().is_silent()
            {
                return Poll::Ready(Wait::Shed);
            }
            let mut deadline = deadline;
            if self.worker.is_draining() {
                if !matches!(waiting, Waiting::New) {
                    return Poll::Ready(Wait::Ended);
                }
                // Whoever has only just connected has a request to send; whoever connected long ago has not.
                deadline = deadline.min(started + GRACE);
            }
            if timer.now() >= deadline {
                return Poll::Ready(Wait::Silent);
            }
            timer.set(deadline);
            Poll::Pending
        })
        .await
    }

    /// Ends our direction and discards what the client still sends, for a while (RFC 9112 §9.6).
    async fn linger(&mut self, timer: &Timer) {
        let deadline = timer.now() + LINGER;
        let shut = within(timer, deadline, |context| self.server.wire.poll_shutdown(context)).await;
        if !matches!(shut, Some(Ok(()))) {
            return;
        }
        let mut discarded = 0;
        let read = within(timer, deadline, |context| {
            loop {
                let held = self.server.wire.input().len();
                self.server.wire.consume(held);
                discarded += held;
                if discarded > MAX_DISCARDED {
                    return Poll::Ready(true);
                }
                match self.server.wire.poll_fill(context, MAX_DISCARDED) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        if read.await != Some(false) {
            self.worker.cells.hit(Limit::Discard);
        }
    }

    /// Whether what is left of a request body is worth reading, to keep the connection.
    pub(crate) fn rest_is_small(&self) -> bool {
        self.server.remaining().is_some_and(|remaining| remaining <= MAX_DISCARDED as u64)
    }

    /// Reads and drops the rest of a request body; false when it did not come.
    pub(crate) async fn discard_body(&mut self, timer: &Timer) -> bool {
        let deadline = timer.now() + LINGER;
        let discarded = within(timer, deadline, |context| {
            loop {
                match self.server.body() {
                    Ok(Event::Payload(count)) => self.server.consume(count),
                    Ok(Event::NeedMore) => match self.server.poll_more(context) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => return Poll::Ready(false),
                        Poll::Pending => return Poll::Pending,
                    },
                    Ok(_) => return Poll::Ready(true),
                    Err(_) => return Poll::Ready(false),
                }
            }
        });
        discarded.await == Some(true)
    }

    /// Sends everything encoded; false when the client does not take it.
    pub(crate) async fn flush(&mut self, timer: &Timer) -> Flushed {
        let idle = self.listener.listener.body_idle;
        poll_fn(|context| {
            if let Poll::Ready(flushed) = self.server.poll_flush(context) {
                return Poll::Ready(if flushed.is_ok() { Flushed::All } else { Flushed::Broken });
            }
            let deadline = self.server.wire.write_wait.map_or(NEVER, |since| since.saturating_add(idle));
            if timer.now() >= deadline {
                return Poll::Ready(Flushed::Stalled);
            }
            timer.set(deadline);
            Poll::Pending
        })
        .await
    }
}

/// How sending went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    All,
    Broken,
    Stalled,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.opened_at.cells.connections_now.subtract(1);
    }
}

/// Polls until ready or past the deadline.
pub(crate) async fn within<T>(
    timer: &Timer,
    deadline: Millis,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    poll_fn(|context| {
        if let Poll::Ready(value) = poll(context) {
            return Poll::Ready(Some(value));
        }
        if timer.now() >= deadline {
            return Poll::Ready(None);
        }
        timer.set(deadline);
        Poll::Pending
    })
    .await
}

/// Before the first request.
const ANY_GENERATION: u64 = 0;
/// How long after a request the next one may come without the room for it being made anew, in milliseconds. Longer, and
/// many connections that fall idle together leave a heap full of holes.
const SOON: Millis = 100;
/// How long a connection may take to begin its first request while the process drains, in milliseconds.
const GRACE: Millis = 1000;
/// How long a client may take to notice that it has its answer, in milliseconds.
const LINGER: Millis = 2000;
/// Bytes that are read only to be dropped.
const MAX_DISCARDED: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// What an idle connection costs is its box and its task, which holds the future twice.
    #[test]
    fn an_idle_connection_is_small() {
        fn size<F: Future>(_: impl Fn(Box<Connection>) -> F) -> usize {
            size_of::<F>()
        }
        let (connection, task) = (size_of::<Connection>(), 2 * size(|connection| connection.serve()));
        assert!(connection + task <= 1200, "{connection} and {task} bytes");
    }
}
