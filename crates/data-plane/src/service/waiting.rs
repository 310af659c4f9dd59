//! Waiting for an endpoint: for the first word of any, for a place in the line, for a connection. The client may go away
//! meanwhile.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::{ServiceState, ServiceView, Watch};
use crate::endpoint::Endpoint;
use crate::http::error::Reason;
use crate::timer::{Millis, Timer};

/// A request or connection that waits. `gone` is ready when its client has gone away.
pub(crate) struct Waiter<'a, Gone> {
    pub(crate) timer: &'a Timer,
    pub(crate) gone: Gone,
}

/// Where in the line of a service somebody waits, by the serials of endpoints.
pub(crate) struct Line {
    /// The only one that will do.
    pub(crate) only: Option<u64>,
    /// Those that will not do.
    pub(crate) tried: Vec<u64>,
}

impl<Gone: FnMut(&mut Context<'_>) -> Poll<()>> Waiter<'_, Gone> {
    /// Waits for the first word of any endpoint, as long as the service does, but not beyond the deadline.
    pub(crate) async fn hold(mut self, state: &ServiceState, deadline: Millis) -> Result<(), Reason> {
        poll_fn(|context| {
            if !state.is_holding() || self.timer.now() >= deadline {
                return Poll::Ready(Ok(()));
            }
            self.timer.set(self.timer.now() + 1);
            self.poll_gone(context)
        })
        .await
    }

    /// Waits in the service's line for a place at an endpoint, the caller's from then on. `free` takes one that is free:
    /// it may have been freed just before we joined.
    pub(crate) async fn queue(
        mut self,
        service: &ServiceView,
        line: Line,
        free: impl FnOnce() -> Option<Arc<Endpoint>>,
    ) -> Result<Arc<Endpoint>, Reason> {
        let limits = service.service.queue;
        let joined = service.service.state.queue.join(limits.max, line.only, line.tried);
        let mut place = joined.ok_or(Reason::QueueFull)?;
        let began = Instant::now();
        if let Some(endpoint) = free() {
            return Ok(endpoint);
        }
        let deadline = self.timer.now().saturating_add(limits.timeout);
        let granted = poll_fn(|context| {
            if let Poll::Ready(endpoint) = place.poll(context) {
                return Poll::Ready(Ok(endpoint));
            }
            if let Poll::Ready(gone) = self.poll_gone(context) {
                return Poll::Ready(gone);
            }
            if self.timer.now() >= deadline {
                return Poll::Ready(Err(Reason::QueueTimeout));
            }
            self.timer.set(deadline);
            Poll::Pending
        })
        .await;
        service.cells.queued.observe(began.elapsed());
        granted
    }

    /// Waits for a connection, unless its endpoint is lost meanwhile.
    pub(crate) async fn connect<T>(
        mut self,
        mut connecting: Pin<&mut impl Future<Output = Result<T, Reason>>>,
        watch: Option<&Watch>,
    ) -> Result<T, Reason> {
        poll_fn(|context| {
            let polled = connecting.as_mut().poll(context);
            if polled.is_ready() {
                return polled;
            }
            if watch.is_some_and(Watch::is_lost) {
                return Poll::Ready(Err(Reason::EndpointDown));
            }
            if watch.is_some() {
                self.timer.set(self.timer.now() + LOOK);
            }
            self.poll_gone(context)
        })
        .await
    }

    fn poll_gone<T>(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Reason>> {
        (self.gone)(context).map(|()| Err(Reason::ClientClosed))
    }
}

/// How often a request that waits for its endpoint looks whether it is lost, in milliseconds.
pub(crate) const LOOK: Millis = 250;

/// Nobody waits longer for the first word of an endpoint, in milliseconds: the service says so before, as long as it is
/// configured.
pub(crate) const HOLD: Millis = 6000;
