//! Upgraded connections (RFC 9110 §7.8): bytes both ways, until both sides have ended or nothing has moved for long.

use std::task::{Context, Poll};

use crate::buffer::Size;
use crate::http::error::Reason;
use crate::http1::wire::Wire;
use crate::timer::{Millis, NEVER, Timer};

/// A tunnel between two connections. Half of it may end before the other.
pub(crate) struct Tunnel<'a> {
    pub(crate) downstream: &'a mut Wire,
    pub(crate) upstream: &'a mut Wire,
    pub(crate) timer: &'a Timer,
    pub(crate) idle: Millis,
    pub(crate) up: Half,
    pub(crate) down: Half,
    pub(crate) progress_at: Millis,
    /// When it was last asked whether a side that nothing is read from has been reset.
    pub(crate) asked_at: Millis,
}

/// One direction of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Half {
    pub(crate) bytes: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The source has ended; the target is to be told.
    Ending,
    Ended,
}

impl Tunnel<'_> {
    /// Moves bytes until both directions have ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Reason> {
        let before = (self.up, self.down);
        let up = match self.up.copy((self.downstream, self.upstream), self.down.state, context) {
            Ok(flow) => flow,
            Err(broken) => return Poll::Ready(broken.reason(Reason::ClientClosed, Reason::UpstreamReset)),
        };
        let down = match self.down.copy((self.upstream, self.downstream), self.up.state, context) {
            Ok(flow) => flow,
            Err(broken) => return Poll::Ready(broken.reason(Reason::UpstreamReset, Reason::ClientClosed)),
        };
        if self.up.state == State::Ended && self.down.state == State::Ended {
            return Poll::Ready(Reason::Ok);
        }
        if before != (self.up, self.down) {
            self.progress_at = self.timer.now();
        }
        let deadline = if self.idle == NEVER { NEVER } else { self.progress_at.saturating_add(self.idle) };
        if self.timer.now() >= deadline {
            return Poll::Ready(Reason::StreamIdleTimeout);
        }
        if up == Flow::Free && down == Flow::Free {
            self.timer.set(deadline);
            return Poll::Pending;
        }
        if let Some(reason) = self.reset_unread(up, down) {
            return Poll::Ready(reason);
        }
        self.timer.set(deadline.min(self.asked_at + ASK_EVERY));
        Poll::Pending
    }

    /// Asks now and then whether a side has been reset that is not read from, because the other one takes nothing: the
    /// reactor tells only who reads.
    fn reset_unread(&mut self, up: Flow, down: Flow) -> Option<Reason> {
        let now = self.timer.now();
        if now < self.asked_at + ASK_EVERY {
            return None;
        }
        self.asked_at = now;
        if up == Flow::Held && self.downstream.stream().is_reset() {
            return Some(Reason::ClientClosed);
        }
        (down == Flow::Held && self.upstream.stream().is_reset()).then_some(Reason::UpstreamReset)
    }
}

/// Whether a direction waits for its source, or for its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Whatever the source says passes, or there is nothing more to pass.
    Free,
    /// The target takes nothing, so that nothing is read from the source.
    Held,
}

/// How often a side that is not read from is asked, in milliseconds.
const ASK_EVERY: Millis = 1000;

/// The side of a direction that broke.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Source,
    Target,
}

impl Broken {
    fn reason(self, source: Reason, target: Reason) -> Reason {
        match self {
            Broken::Source => source,
            Broken::Target => target,
        }
    }
}

impl Half {
    /// Moves bytes one way until one side lets nothing through. `other` is how far the other way has got.
    fn copy(
        &mut self,
        (from, to): (&mut Wire, &mut Wire),
        other: State,
        context: &mut Context<'_>,
    ) -> Result<Flow, Broken> {
        let target = |_| Broken::Target;
        loop {
            match self.state {
                State::Ended => return Ok(Flow::Free),
                State::Ending => {
                    // After both directions the connection is closed, which tells the target as well: no system call for that.
                    let polled = match other {
                        State::Ended => to.poll_flush(context),
                        State::Open | State::Ending => to.poll_shutdown(context),
                    };
                    if polled.map_err(target)?.is_ready() {
                        self.state = State::Ended;
                    }
                    return Ok(Flow::Free);
                }
                State::Open => {}
            }
            if !from.input().is_empty() {
                match to.poll_send(context, from.input()).map_err(target)? {
                    Poll::Ready(sent) => {
                        from.consume(sent);
                        self.bytes += sent as u64;
                    }
                    Poll::Pending => return Ok(Flow::Held),
                }
                continue;
            }
            if to.unsent() > 0 && to.poll_flush(context).map_err(target)?.is_pending() {
                return Ok(Flow::Held);
            }
            match from.poll_fill(context, Wire::BULK).map_err(|_| Broken::Source)? {
                Poll::Ready(0) => self.state = State::Ending,
                // More than a buffer at a time: fewer system calls per byte from now on.
                Poll::Ready(count) if count >= Size::Small.bytes() => from.expect_bulk(),
                Poll::Ready(_) => {}
                Poll::Pending => return Ok(Flow::Free),
            }
        }
    }
}
