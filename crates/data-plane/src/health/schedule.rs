//! What is to be probed when: pure, by the time since the data plane's start.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

/// Why an endpoint is probed: one entry for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Check,
    Knock,
}

/// An endpoint's serial number, and why it is probed.
pub(super) type Key = (u64, Kind);

/// Everything that is to be probed.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    /// When each is due; `None` while its probe runs.
    entries: HashMap<Key, Option<(Duration, T)>>,
    due: BinaryHeap<Reverse<(Duration, Key)>>,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Schedule { entries: HashMap::new(), due: BinaryHeap::new() }
    }
}

impl<T> Schedule<T> {
    /// Takes up what is not known yet, due at once.
    pub(super) fn add(&mut self, key: Key, now: Duration, target: impl FnOnce() -> T) {
        if let std::collections::hash_map::Entry::Vacant(entry) = self.entries.entry(key) {
            entry.insert(Some((now, target())));
            self.due.push(Reverse((now, key)));
        }
    }

    /// Drops what is wanted no more; what runs is dropped by [`forget`](Self::forget).
    pub(super) fn retain(&mut self, mut is_wanted: impl FnMut(&T) -> bool) {
        self.entries.retain(|_, target| target.as_ref().is_none_or(|(_, target)| is_wanted(target)));
    }

    /// The first that is due. It is running until it is put back or forgotten.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<T> {
        while let Some(&Reverse((due, key))) = self.due.peek() {
            if due > now {
                return None;
            }
            self.due.pop();
            // What was dropped and taken up again is due by its new entry alone.
            let entry = self.entries.get_mut(&key).and_then(|entry| entry.take_if(|(at, _)| *at == due));
            if let Some((_, target)) = entry {
                return Some(target);
            }
        }
        None
    }

    /// Its probe is over; the next one is due then.
    pub(super) fn put_back(&mut self, key: Key, due: Duration, target: T) {
        self.entries.insert(key, Some((due, target)));
        self.due.push(Reverse((due, key)));
    }

    /// Its probe is over, and there will be no other.
    pub(super) fn forget(&mut self, key: Key) {
        self.entries.remove(&key);
    }

    /// How many are overdue.
    pub(super) fn due(&self, now: Duration) -> usize {
        // Looked at only when there is more than a tick can start.
        if self.due.peek().is_none_or(|Reverse((due, _))| *due > now) {
            return 0;
        }
        self.due.iter().filter(|Reverse((due, _))| *due <= now).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_probe_is_due_at_once_and_only_once() {
        let mut schedule = Schedule::default();
        schedule.add((1, Kind::Check), at(0), || "one");
        schedule.add((1, Kind::Check), at(0), || "again");
        assert_eq!((schedule.take_due(at(0)), schedule.take_due(at(0))), (Some("one"), None));
        // While it runs it is known.
        schedule.add((1, Kind::Check), at(10), || "again");
        assert_eq!(schedule.take_due(at(10)), None);
        schedule.put_back((1, Kind::Check), at(100), "one");
        assert_eq!((schedule.take_due(at(99)), schedule.take_due(at(100))), (None, Some("one")));
    }

    #[test]
    fn what_is_gone_is_not_probed() {
        let mut schedule = Schedule::default();
        schedule.add((1, Kind::Check), at(0), || 1);
        schedule.add((2, Kind::Knock), at(0), || 2);
        schedule.retain(|target| *target == 2);
        assert_eq!((schedule.take_due(at(0)), schedule.take_due(at(0))), (Some(2), None));
        schedule.forget((2, Kind::Knock));
        schedule.add((2, Kind::Knock), at(5), || 3);
        assert_eq!(schedule.take_due(at(5)), Some(3));
    }

    #[test]
    fn what_is_dropped_and_taken_up_again_is_probed_once() {
        let mut schedule = Schedule::default();
        schedule.add((1, Kind::Check), at(0), || "old");
        assert_eq!(schedule.take_due(at(0)), Some("old"));
        schedule.put_back((1, Kind::Check), at(100), "old");
        schedule.retain(|_| false);
        schedule.add((1, Kind::Check), at(50), || "new");
        assert_eq!(schedule.take_due(at(50)), Some("new"));
        schedule.put_back((1, Kind::Check), at(150), "new");
        assert_eq!((schedule.take_due(at(149)), schedule.take_due(at(150))), (None, Some("new")));
        assert_eq!(schedule.take_due(at(1000)), None);
    }

    #[test]
    fn the_overdue_are_counted() {
        let mut schedule = Schedule::default();
        (0..10).for_each(|serial| schedule.add((serial, Kind::Check), at(serial), || serial));
        assert_eq!((schedule.due(at(4)), schedule.due(at(100))), (5, 10));
        assert_eq!(schedule.take_due(at(100)), Some(0));
    }
}
