//! Places of connections: there are so many, and so many for a network. Whoever comes gets one, if need be that of another
//! connection: a thousand that say nothing keep nobody out, and one network does not take the places of all.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::tcp::TcpLimits;

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_of_source: usize,
    taken: Mutex<Vec<(u64, Arc<Holder>)>>,
    /// Counts what happens: the order is all that matters of times.
    turn: AtomicU64,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    holder: Arc<Holder>,
}

#[derive(Debug)]
struct Holder {
    /// The turn of its last answer; before the first one, that in which it came, and [`WAITING`].
    last: AtomicU64,
    leave: Notify,
}

impl Places {
    /// So many; at least one.
    pub(super) fn new(limits: TcpLimits) -> Self {
        Places {
            most: (limits.connections as usize).max(1),
            most_of_source: (limits.connections_per_source as usize).max(1),
            taken: Mutex::default(),
            turn: AtomicU64::new(0),
        }
    }

    /// A place, and whether another connection had to leave for it: of those that have had an answer the one whose answer is
    /// longest ago, or else the one that came first. Where a network has its most, one of its own.
    pub(super) fn take(places: &Arc<Self>, address: IpAddr) -> (Place, bool) {
        let source = source(address);
        let holder = Arc::new(Holder { last: AtomicU64::new(WAITING | places.next()), leave: Notify::new() });
        let mut taken = places.lock();
        let of_source = taken.iter().filter(|(of, _)| *of == source).count();
        let (is_full, is_full_of_source) = (taken.len() >= places.most, of_source >= places.most_of_source);
        let has_displaced = is_full || is_full_of_source;
        if has_displaced {
            let all = taken.iter().enumerate();
            let own = all.filter(|(_, (of, _))| !is_full_of_source || *of == source);
            let first = own.min_by_key(|(_, (_, holder))| holder.last.load(Ordering::Relaxed));
            if let Some((place, _)) = first {
                taken.swap_remove(place).1.leave.notify_one();
            }
        }
        taken.push((source, Arc::clone(&holder)));
        drop(taken);
        (Place { places: Arc::clone(places), holder }, has_displaced)
    }

    fn next(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Arc<Holder>)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// It was answered.
    pub(super) fn touch(&self) {
        self.holder.last.store(self.places.next(), Ordering::Relaxed);
    }

    /// Waits until it has to leave.
    pub(super) async fn displaced(&self) {
        self.holder.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().retain(|(_, holder)| !Arc::ptr_eq(holder, &self.holder));
    }
}

/// What counts as one: an address, and of IPv6 what a customer of a provider has.
fn source(address: IpAddr) -> u64 {
    match address {
        // No network of IPv6 begins like that.
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 72) as u64,
    }
}

/// It has had no answer yet.
const WAITING: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn places(connections: u32, connections_per_source: u32) -> Arc<Places> {
        Arc::new(Places::new(TcpLimits { idle: Duration::MAX, connections, connections_per_source }))
    }

    #[track_caller]
    fn take(places: &Arc<Places>, address: &str) -> (Place, bool) {
        Places::take(places, address.parse().expect("an address"))
    }

    fn has_to_leave(place: &Place) -> bool {
        let mut task = std::pin::pin!(place.displaced());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::future::Future::poll(task.as_mut(), &mut context).is_ready()
    }

    #[test]
    fn who_was_answered_longest_ago_leaves() {
        let places = places(3, 3);
        let take = || take(&places, "192.0.2.1");
        let ((one, first), (two, second), (three, third)) = (take(), take(), take());
        assert_eq!((first, second, third), (false, false, false));
        two.touch();
        three.touch();
        two.touch();
        let (four, has_displaced) = take();
        assert!(has_displaced);
        assert_eq!(
            [&one, &two, &three, &four].map(has_to_leave),
            [false, false, true, false],
            "who waits for its first answer stays"
        );
        let five = take().0;
        assert_eq!([&one, &two, &four, &five].map(has_to_leave), [false, true, false, false]);
        let six = take().0;
        assert_eq!([&one, &four, &five, &six].map(has_to_leave), [true, false, false, false], "all wait");
        // What had to leave frees no place, what leaves by itself does.
        drop(one);
        assert!(take().1);
        drop(five);
        drop(six);
        assert!(!take().1);
    }

    #[test]
    fn a_network_leaves_places_to_others() {
        let places = places(10, 2);
        let check = |taken: [&str; 3], expected: [bool; 3]| {
            let taken = taken.map(|address| take(&places, address).0);
            assert_eq!([0, 1, 2].map(|place| has_to_leave(&taken[place])), expected);
        };
        check(["192.0.2.1", "192.0.2.1", "192.0.2.1"], [true, false, false]);
        check(["192.0.2.1", "192.0.2.2", "192.0.2.1"], [false; 3]);
        check(["2001:db8::1", "2001:db8:0:ff::1", "2001:db8::2"], [true, false, false]);
        check(["2001:db8::1", "2001:db8:0:100::1", "2001:db8::2"], [false; 3]);
        // Those of others stay, although they came before.
        let other = take(&places, "198.51.100.1").0;
        let own = [(); 3].map(|()| take(&places, "192.0.2.1").0);
        assert_eq!((has_to_leave(&other), has_to_leave(&own[0])), (false, true));
    }
}
