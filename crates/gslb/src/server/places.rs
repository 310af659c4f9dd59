//! Places of connections: there are so many. Whoever comes gets one, if need be that of the connection that was answered longest
//! ago: a thousand that say nothing keep nobody out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<Vec<Arc<Holder>>>,
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
    /// The turn of its last answer; before the first one, that in which it came.
    last: AtomicU64,
    leave: Notify,
}

impl Places {
    /// So many; at least one.
    pub(super) fn new(most: usize) -> Self {
        Places { most: most.max(1), taken: Mutex::default(), turn: AtomicU64::new(0) }
    }

    /// A place, and whether another connection had to leave for it.
    pub(super) fn take(places: &Arc<Self>) -> (Place, bool) {
        let holder = Arc::new(Holder { last: AtomicU64::new(places.next()), leave: Notify::new() });
        let mut taken = places.lock();
        let has_displaced = taken.len() >= places.most;
        if has_displaced {
            let oldest =
                taken.iter().enumerate().min_by_key(|(_, holder)| holder.last.load(Ordering::Relaxed));
            if let Some((place, _)) = oldest {
                taken.swap_remove(place).leave.notify_one();
            }
        }
        taken.push(Arc::clone(&holder));
        (Place { places: Arc::clone(places), holder }, has_displaced)
    }

    fn next(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Holder>>> {
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
        self.places.lock().retain(|holder| !Arc::ptr_eq(holder, &self.holder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_answered_longest_ago_leaves() {
        let places = Arc::new(Places::new(2));
        let take = || Places::take(&places);
        let has_to_leave = |place: &Place| {
            let mut task = std::pin::pin!(place.displaced());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            std::future::Future::poll(task.as_mut(), &mut context).is_ready()
        };
        let ((one, first), (two, second)) = (take(), take());
        assert_eq!((first, second), (false, false));
        one.touch();
        let (three, has_displaced) = take();
        assert!(has_displaced);
        assert_eq!([&one, &two, &three].map(has_to_leave), [false, true, false]);
        // What had to leave frees no place, what leaves by itself does.
        drop(two);
        assert!(take().1);
        drop(one);
        drop(three);
        assert!(!take().1);
    }
}
