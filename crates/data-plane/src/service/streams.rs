//! Connections that stay at an endpoint for long, and their end when it is taken away from them.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::EndpointView;
use crate::timer::Millis;

/// The long connections of one worker at one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Cell<usize>,
    /// Since when the endpoint is withdrawn or removed, as far as this worker has seen.
    leaving_since: Cell<Option<Millis>>,
    /// What was there at this time already has had as long as its service allows.
    over_since: Cell<Option<Millis>>,
    over: Notify,
}

impl Streams {
    pub(crate) fn is_empty(&self) -> bool {
        self.open.get() == 0
    }

    /// Looks at the endpoint, now and then: after `timeout` of leaving every stay is told to look whether it is over.
    pub(crate) fn watch(&self, is_leaving: bool, timeout: Millis, now: Millis) {
        if !is_leaving {
            self.over_since.set(None);
            return self.leaving_since.set(None);
        }
        let since = self.leaving_since.get().unwrap_or(now);
        self.leaving_since.set(Some(since));
        let is_over = now.saturating_sub(since) >= timeout;
        self.over_since.set(is_over.then(|| now.saturating_sub(timeout)));
        if is_over {
            self.over.notify_waiters();
        }
    }
}

/// A connection that is at an endpoint, or on its way there, until dropped.
pub(crate) struct Staying(Rc<EndpointView>);

impl Staying {
    pub(crate) fn new(endpoint: &Rc<EndpointView>) -> Self {
        let open = &endpoint.streams.open;
        open.set(open.get() + 1);
        Staying(Rc::clone(endpoint))
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let open = &self.0.streams.open;
        open.set(open.get() - 1);
    }
}

/// Something that stays at an endpoint for long: a connection, or a response that takes its time. A draining endpoint
/// still serves the clients that belong there, so that only what has been there for as long as the service allows is
/// over with the endpoint's time.
pub(crate) struct LongStay<'a> {
    over: Over<'a>,
    _staying: Staying,
}

impl<'a> LongStay<'a> {
    /// Of something that has been there since then.
    pub(crate) fn new(endpoint: &'a Rc<EndpointView>, since: Millis) -> Self {
        LongStay { over: Over::new(&endpoint.streams, since), _staying: Staying::new(endpoint) }
    }

    /// Ready when it has to end.
    pub(crate) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.over.poll(context)
    }
}

/// The end of a stay that began at some time.
struct Over<'a> {
    streams: &'a Streams,
    since: Millis,
    told: Pin<Box<Notified<'a>>>,
}

impl<'a> Over<'a> {
    fn new(streams: &'a Streams, since: Millis) -> Self {
        Over { streams, since, told: Box::pin(streams.over.notified()) }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.told.as_mut().poll(context));
            if self.streams.over_since.get().is_some_and(|over| self.since <= over) {
                return Poll::Ready(());
            }
            self.told.set(self.streams.over.notified());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::timer::NEVER;

    #[test]
    fn connections_end_when_the_endpoint_has_been_leaving_for_long() {
        /// Looks as (time, leaving), and whether the connection is over after the last.
        fn check(timeout: Millis, looks: &[(Millis, bool)], expected: bool) {
            let streams = Streams::default();
            let mut over = Over::new(&streams, 0);
            let mut context = Context::from_waker(Waker::noop());
            let mut is_over = false;
            for &(now, is_leaving) in looks {
                assert!(!is_over, "before the last look: {looks:?}");
                streams.watch(is_leaving, timeout, now);
                is_over = over.poll(&mut context).is_ready();
            }
            assert_eq!(is_over, expected, "{timeout} {looks:?}");
        }
        check(1000, &[(0, false), (5000, false)], false);
        check(1000, &[(5000, true)], false);
        check(1000, &[(5000, true), (5900, true)], false);
        check(1000, &[(5000, true), (5900, true), (6000, true)], true);
        check(1000, &[(5000, true), (5500, false), (6000, true), (6900, true)], false);
        check(0, &[(5000, true)], true);
        check(NEVER, &[(0, true), (u64::MAX - 1, true)], false);
    }

    #[test]
    fn who_has_come_late_has_as_long_as_the_others() {
        let streams = Streams::default();
        let mut context = Context::from_waker(Waker::noop());
        let (mut early, mut late) = (Over::new(&streams, 5000), Over::new(&streams, 6500));
        let mut look = |is_leaving, now| {
            streams.watch(is_leaving, 1000, now);
            [&mut early, &mut late].map(|over| over.poll(&mut context).is_ready())
        };
        assert_eq!(look(true, 5000), [false, false], "it has only begun to leave");
        assert_eq!(look(true, 5900), [false, false]);
        assert_eq!(look(true, 6000), [true, false]);
        early = Over::new(&streams, 7400);
        let mut look = |is_leaving, now| {
            streams.watch(is_leaving, 1000, now);
            [&mut early, &mut late].map(|over| over.poll(&mut context).is_ready())
        };
        assert_eq!(look(true, 7400), [false, false]);
        assert_eq!(look(false, 7450), [false, false], "it has come back");
        assert_eq!(look(true, 7500), [false, false], "and leaves anew");
        assert_eq!(look(true, 8500), [true, true]);
    }
}
