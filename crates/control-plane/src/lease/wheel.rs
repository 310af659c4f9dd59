//! Whose lease has run out.

use std::sync::Arc;
use std::time::Duration;

use super::{Lease, TICK, millis};

/// Which leases to look at when. Entries are looked at when their lease would run out had nobody renewed it; where it
/// was renewed they go on to the new deadline.
#[derive(Debug)]
pub struct Wheel<K> {
    /// One per [`TICK`], by the time at which they are looked at: whoever's time is a whole turn away or more is there as
    /// well, and is put back.
    buckets: Box<[Vec<Entry<K>>]>,
    /// All ticks up to this one have been looked at.
    looked_at: u64,
}

/// A lease in the wheel, and what its owner knows it by.
#[derive(Debug)]
struct Entry<K> {
    key: K,
    lease: Arc<Lease>,
}

impl<K> Wheel<K> {
    /// An empty wheel that has seen everything up to now.
    pub fn new(now: Duration) -> Self {
        Wheel { buckets: (0..BUCKETS).map(|_| Vec::new()).collect(), looked_at: tick_of(now) }
    }

    /// Looks after a lease.
    pub fn insert(&mut self, key: K, lease: Arc<Lease>) {
        // Not before its deadline, and never in a tick that was looked at.
        let tick = (tick_of(lease.deadline()) + 1).max(self.looked_at + 1);
        let bucket = &mut self.buckets[(tick % BUCKETS as u64) as usize];
        if bucket.len() == bucket.capacity() {
            // Not as much again: of a million leases that would be much that nobody needs.
            bucket.reserve_exact(bucket.len() / 8 + 4);
        }
        bucket.push(Entry { key, lease });
    }

    /// Those whose leases have run out by now; they are not looked after any more. Leases that nobody else holds
    /// (their registrations are gone) are forgotten.
    pub fn lapsed(&mut self, now: Duration) -> Vec<(K, Arc<Lease>)> {
        let mut lapsed = Vec::new();
        let last = tick_of(now);
        // After a long time without a look each bucket is looked at once.
        let first = (self.looked_at + 1).max(last.saturating_sub(BUCKETS as u64 - 1));
        for tick in first..=last {
            let bucket = std::mem::take(&mut self.buckets[(tick % BUCKETS as u64) as usize]);
            self.looked_at = tick;
            for entry in bucket {
                if Arc::strong_count(&entry.lease) == 1 {
                    continue;
                }
                if entry.lease.is_lapsed(now) {
                    lapsed.push((entry.key, entry.lease));
                } else {
                    self.insert(entry.key, entry.lease);
                }
            }
        }
        self.looked_at = self.looked_at.max(last);
        lapsed
    }

    /// Leases that are looked after, those of registrations that are gone included until their turn comes.
    pub fn len(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }

    /// Whether no lease is looked after.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn tick_of(time: Duration) -> u64 {
    millis(time) / millis(TICK)
}

/// A turn of the wheel, in ticks; leases that last longer are seen again every turn.
const BUCKETS: usize = 256;
