//! Requests that wait for a place at an endpoint: one line per service for all workers, served in order of arrival.
//!
//! Who frees a place hands it to the oldest that can use it, so that nobody who comes later takes it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::panic::Panic;
use crate::endpoint::{Endpoint, Gate};

/// The line of a service.
#[derive(Debug)]
pub(crate) struct Queue {
    /// How many wait: what everyone who frees a place asks.
    waiting: AtomicU32,
    /// How far the service ignores health.
    panic: AtomicU8,
    retired: AtomicBool,
    line: Mutex<VecDeque<Arc<Ticket>>>,
}

/// A place in the line.
#[derive(Debug)]
struct Ticket {
    /// The only endpoint that will do.
    only: Option<u64>,
    /// Endpoints that will not do.
    tried: Vec<u64>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waker: Option<Waker>,
    /// A place there was handed over.
    granted: Option<Arc<Endpoint>>,
}

impl Ticket {
    fn takes(&self, endpoint: &Endpoint) -> bool {
        let gate = endpoint.gate();
        let may = match self.only {
            // Who belongs to an endpoint is served there while it drains.
            Some(only) => only == endpoint.serial && !gate.has(Gate::MAINTENANCE),
            None => !gate.is_withdrawn(),
        };
        may && !self.tried.contains(&endpoint.serial)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            waiting: AtomicU32::new(0),
            panic: AtomicU8::new(0),
            retired: AtomicBool::new(false),
            line: Mutex::default(),
        }
    }
}

impl Queue {
    /// How far health is ignored.
    pub(super) fn panic(&self) -> Panic {
        match self.panic.load(Ordering::Relaxed) {
            0 => Panic::No,
            1 => Panic::Reachable,
            _ => Panic::All,
        }
    }

    /// Ignores health so far from now on; returns how far it did.
    pub(super) fn set_panic(&self, panic: Panic) -> Panic {
        let before = self.panic();
        self.panic.store(panic as u8, Ordering::Relaxed);
        before
    }

    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    fn line(&self) -> MutexGuard<'_, VecDeque<Arc<Ticket>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the line; `None` when `most` wait already. Who has joined looks once more for a free place: one may have
    /// been freed just before.
    pub(crate) fn join(&self, most: u32, only: Option<u64>, tried: Vec<u64>) -> Option<Waiting<'_>> {
        let ticket = Arc::new(Ticket { only, tried, inner: Mutex::default() });
        let mut line = self.line();
        if line.len() >= most as usize {
            return None;
        }
        line.push_back(Arc::clone(&ticket));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Some(Waiting { queue: self, ticket })
    }

    /// The service is configured no more: who waits is still served by the endpoints it had.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Hands a place at the endpoint, which the caller has, to the oldest who can use it; else frees it.
    /// Whether somebody has it now.
    pub(crate) fn pass_on(&self, endpoint: &Arc<Endpoint>) -> bool {
        let gate = endpoint.gate();
        let is_usable = (gate.is_healthy() || self.panic().admits(gate))
            && (!endpoint.is_removed() || self.retired.load(Ordering::Relaxed));
        if !is_usable {
            endpoint.finished();
            return false;
        }
        if self.waiting() == 0 || endpoint.is_over_full() {
            endpoint.finished();
            // Who has joined in between has looked before the place was free.
            if self.waiting() == 0 || !endpoint.try_start() {
                return false;
            }
        }
        self.hand_over(endpoint)
    }

    /// Under the lock of the line, so that who joins either is found or finds the place free.
    fn hand_over(&self, endpoint: &Arc<Endpoint>) -> bool {
        let mut line = self.line();
        let Some(at) = line.iter().position(|ticket| ticket.takes(endpoint)) else {
            endpoint.finished();
            return false;
        };
        let ticket = line.remove(at).expect("it was found there");
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let mut inner = ticket.inner();
        inner.granted = Some(Arc::clone(endpoint));
        let waker = inner.waker.take();
        drop(inner);
        drop(line);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

/// A request in the line, until dropped.
pub(crate) struct Waiting<'a> {
    queue: &'a Queue,
    ticket: Arc<Ticket>,
}

impl Waiting<'_> {
    /// Waits for a place; the caller has it then.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Arc<Endpoint>> {
        let mut inner = self.ticket.inner();
        match inner.granted.take() {
            Some(endpoint) => Poll::Ready(endpoint),
            None => {
                inner.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut line = self.queue.line();
        if let Some(at) = line.iter().position(|ticket| Arc::ptr_eq(ticket, &self.ticket)) {
            line.remove(at);
            self.queue.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        drop(line);
        // Handed over in the last moment: somebody else may have it.
        let granted = self.ticket.inner().granted.take();
        if let Some(endpoint) = granted {
            self.queue.pass_on(&endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use fulcrum_config::EndpointState;

    use super::*;
    use crate::service::Standing;

    fn endpoint(state: EndpointState) -> Arc<Endpoint> {
        let address: fulcrum_model::Address = "127.0.0.1:80".parse().expect("an address");
        let id = "blue".parse().expect("an id");
        Arc::new(Endpoint::new(id, address, Standing::new(state, None)))
    }

    #[test]
    fn a_freed_place_goes_to_whom_the_endpoint_still_serves() {
        let check = |state, is_pinned: bool, expected: bool| {
            let (queue, endpoint) = (Queue::default(), endpoint(state));
            endpoint.set_places(1);
            let only = is_pinned.then_some(endpoint.serial);
            let waiting = queue.join(1, only, Vec::new()).expect("there is room");
            assert!(endpoint.try_start(), "it is idle");
            assert_eq!(queue.pass_on(&endpoint), expected, "{state:?} {is_pinned}");
            assert_eq!(endpoint.in_flight(), u32::from(expected), "{state:?} {is_pinned}");
            drop(waiting);
            assert_eq!((endpoint.in_flight(), queue.waiting()), (0, 0), "{state:?} {is_pinned}");
        };
        check(EndpointState::Up, false, true);
        check(EndpointState::Up, true, true);
        check(EndpointState::Drain, false, false);
        check(EndpointState::Drain, true, true);
        check(EndpointState::Maintenance, false, false);
        check(EndpointState::Maintenance, true, false);
    }

    /// What an endpoint has too many of is not replaced while somebody waits, until its new limit is kept.
    #[test]
    fn a_smaller_limit_is_reached_although_some_wait() {
        let (queue, endpoint) = (Queue::default(), endpoint(EndpointState::Up));
        endpoint.set_places(3);
        (0..3).for_each(|_| assert!(endpoint.try_start()));
        let mut waiting = queue.join(1, None, Vec::new()).expect("there is room");
        endpoint.set_places(1);
        for left in [2, 1] {
            assert!(!queue.pass_on(&endpoint));
            assert_eq!((endpoint.in_flight(), queue.waiting()), (left, 1));
        }
        assert!(queue.pass_on(&endpoint));
        assert_eq!((endpoint.in_flight(), queue.waiting()), (1, 0));
        assert!(waiting.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        endpoint.finished();
    }

    /// A place freed between a look and the joining of the line must not be lost: nobody would look again.
    #[test]
    fn nobody_waits_beside_a_free_place() {
        let (queue, endpoint) = (Queue::default(), endpoint(EndpointState::Up));
        endpoint.set_places(1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..5_000 {
                        take(&queue, &endpoint, round);
                        queue.pass_on(&endpoint);
                    }
                });
            }
        });
        assert_eq!((endpoint.in_flight(), queue.waiting()), (0, 0));
    }

    /// Takes the only place, as a request does: a look, the line, another look, patience.
    fn take(queue: &Queue, endpoint: &Arc<Endpoint>, round: u32) {
        if endpoint.try_start() {
            return;
        }
        let mut waiting = queue.join(10, None, Vec::new()).expect("there is room");
        if endpoint.try_start() {
            return;
        }
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while waiting.poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            assert!(std::time::Instant::now() < patience, "round {round}: a place was lost");
            std::thread::yield_now();
        }
    }
}
