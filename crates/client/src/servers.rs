//! Which of several registries is asked: the one that answered last, and the next one when it does not answer.

use std::num::NonZeroUsize;

/// The choice. It knows places only, so that addresses and what they answer stay with who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Servers {
    count: NonZeroUsize,
    current: usize,
    /// Failures since the last answer.
    failures: usize,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failover {
    /// There is one that was not asked since the last answer: it is the current one now.
    Next,
    /// All were asked in vain: time to wait.
    Exhausted,
}

impl Servers {
    /// `start` says with which to begin: instances begin in different places, so that no registry has all of them.
    pub(crate) fn new(count: NonZeroUsize, start: u64) -> Self {
        let current = (start % count.get() as u64) as usize;
        Servers { count, current, failures: 0 }
    }

    /// The place of the one to ask.
    pub(crate) fn current(self) -> usize {
        self.current
    }

    /// It answered: it stays.
    pub(crate) fn answered(&mut self) {
        self.failures = 0;
    }

    /// It did not answer, or cannot help at the moment.
    pub(crate) fn failed(&mut self) -> Failover {
        self.current = (self.current + 1) % self.count;
        self.failures += 1;
        if self.failures < self.count.get() {
            return Failover::Next;
        }
        self.failures = 0;
        Failover::Exhausted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: usize, start: u64) -> Servers {
        Servers::new(NonZeroUsize::new(count).expect("some"), start)
    }

    #[test]
    fn one_that_answers_stays() {
        let mut servers = servers(3, 7);
        for _ in 0..5 {
            assert_eq!(servers.current(), 1);
            servers.answered();
        }
    }

    #[test]
    fn each_is_asked_once_before_a_wait() {
        let mut servers = servers(3, 2);
        let mut round = || (servers.failed(), servers.current());
        assert_eq!(round(), (Failover::Next, 0));
        assert_eq!(round(), (Failover::Next, 1));
        assert_eq!(round(), (Failover::Exhausted, 2));
        assert_eq!(round(), (Failover::Next, 0));
        servers.answered();
        assert_eq!((servers.failed(), servers.current()), (Failover::Next, 1));
        assert_eq!((servers.failed(), servers.current()), (Failover::Next, 2));
        assert_eq!((servers.failed(), servers.current()), (Failover::Exhausted, 0));
    }

    #[test]
    fn a_single_one_is_always_exhausted() {
        let mut servers = servers(1, 9);
        assert_eq!((servers.failed(), servers.current()), (Failover::Exhausted, 0));
    }
}
