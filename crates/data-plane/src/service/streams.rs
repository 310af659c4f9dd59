//! Connections that stay at an endpoint for long, and their end when it is taken away from them.

use std::cell::Cell;
use std::rc::Rc;

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
    over: Notify,
}

impl Streams {
    pub(crate) fn is_empty(&self) -> bool {
        self.open.get() == 0
    }

    /// Ready when the endpoint has been leaving for longer than its service allows.
    pub(crate) fn over(&self) -> Notified<'_> {
        self.over.notified()
    }

    /// Looks at the endpoint, now and then: after `timeout` of leaving every connection is told, those that have come
    /// late included.
    pub(crate) fn watch(&self, is_leaving: bool, timeout: Millis, now: Millis) {
        if !is_leaving {
            return self.leaving_since.set(None);
        }
        let since = self.leaving_since.get().unwrap_or(now);
        self.leaving_since.set(Some(since));
        if now.saturating_sub(since) >= timeout {
            self.over.notify_waiters();
        }
    }
}

/// A connection that stays at an endpoint, until dropped.
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

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::timer::NEVER;

    #[test]
    fn connections_end_when_the_endpoint_has_been_leaving_for_long() {
        /// Looks as (time, leaving), and whether the connection is over after the last.
        fn check(timeout: Millis, looks: &[(Millis, bool)], expected: bool) {
            let streams = Streams::default();
            let mut over = pin!(streams.over());
            let mut context = Context::from_waker(Waker::noop());
            let mut is_over = false;
            for &(now, is_leaving) in looks {
                assert!(!is_over, "before the last look: {looks:?}");
                streams.watch(is_leaving, timeout, now);
                is_over = over.as_mut().poll(&mut context).is_ready();
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
}
