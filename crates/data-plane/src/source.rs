//! How many connections each source address has, where a listener limits them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::listener::ListenerState;

/// Who is counted as one. An IPv6 host has a whole /64 to choose addresses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    V4(Ipv4Addr),
    V6([u8; 8]),
}

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Source::V4(address),
            IpAddr::V6(address) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                Source::V6(network)
            }
        }
    }
}

/// The sources of a listener's connections. Locked when a connection begins or ends, and only while there is a limit.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<HashMap<Source, u32>>);

impl Sources {
    fn counts(&self) -> MutexGuard<'_, HashMap<Source, u32>> {
        // A count is changed in one step: it is whole whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, source: Source, most: NonZeroU32) -> bool {
        let mut counts = self.counts();
        let count = counts.entry(source).or_default();
        let fits = *count < most.get();
        *count += u32::from(fits);
        fits
    }

    fn release(&self, source: Source) {
        let mut counts = self.counts();
        let count = counts.get_mut(&source).expect("who is counted is in the map");
        *count -= 1;
        if *count == 0 {
            counts.remove(&source);
        }
    }
}

/// A connection's place among those of its source, until dropped.
#[derive(Debug)]
pub(crate) struct SourcePermit {
    listener: Arc<ListenerState>,
    source: Source,
}

impl SourcePermit {
    /// `None` when the source has so many connections already.
    pub(crate) fn new(listener: &Arc<ListenerState>, peer: IpAddr, most: NonZeroU32) -> Option<Self> {
        let source = Source::of(peer);
        let permit = || SourcePermit { listener: Arc::clone(listener), source };
        listener.sources.admit(source, most).then(permit)
    }
}

impl Drop for SourcePermit {
    fn drop(&mut self) {
        self.listener.sources.release(self.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart_and_their_addresses_are_not() {
        #[track_caller]
        fn check(one: &str, other: &str, expected: bool) {
            let source = |text: &str| Source::of(text.parse().expect("an address"));
            assert_eq!(source(one) == source(other), expected, "{one} {other}");
        }
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("::ffff:192.0.2.1", "192.0.2.1", true);
        check("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true);
        check("2001:db8:0:1::1", "2001:db8:0:2::1", false);
        // Both begin with 64 zero bits.
        check("::1", "0.0.0.0", false);
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let listener = Arc::new(ListenerState::new(&"web".parse().expect("a name")));
        let two = NonZeroU32::new(2).expect("not zero");
        let take = |text: &str| SourcePermit::new(&listener, text.parse().expect("an address"), two);
        let (first, second) = (take("192.0.2.1"), take("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(take("192.0.2.1").is_none());
        let other = take("192.0.2.2");
        assert!(other.is_some(), "another source has places of its own");
        drop(first);
        let third = take("192.0.2.1");
        assert!(third.is_some());
        drop((second, third, other));
        assert!(listener.sources.counts().is_empty(), "sources without connections are forgotten");
    }

    #[test]
    fn a_lower_limit_takes_nobody_s_place() {
        let listener = Arc::new(ListenerState::new(&"web".parse().expect("a name")));
        let take = |most: u32| {
            let most = NonZeroU32::new(most).expect("not zero");
            SourcePermit::new(&listener, IpAddr::from([192, 0, 2, 1]), most)
        };
        let mut held: Vec<_> = (0..3).map(|_| take(3)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(take(1).is_none());
        held.truncate(1);
        assert!(take(1).is_none());
        held.clear();
        assert!(take(1).is_some());
    }
}
