//! Leases: until when an instance stays registered without another heartbeat. To renew one is a single store; whose
//! lease has run out is found by a wheel that looks at each lease about once in its life.
//!
//! Pure: the time is an argument, counted from any fixed moment by a monotonic clock.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fulcrum_model::{LoadReports, Weight};

/// One registration's right to stay, shared by who renews it and who looks after it.
#[derive(Debug)]
pub struct Lease {
    /// The registration that it is of.
    pub epoch: u64,
    /// Milliseconds of the lease clock.
    deadline: AtomicU64,
    /// How much each renewal adds, in milliseconds.
    ttl: u32,
    /// Requests under way, as the instance counts them; [`SILENT`] when it does not.
    in_flight: AtomicU32,
    /// The share of its processors that it uses, as the bits of an `f32`; not a number when it does not say.
    cpu: AtomicU32,
    /// The weight that the instance last said; [`UNSAID`] when it has said none.
    weight: AtomicU16,
    /// The writer has been told of a weight, and has not looked since.
    is_weighed: AtomicBool,
    /// From when on its weight may be another one again, in milliseconds of the lease clock.
    weigh_after: AtomicU64,
    /// Who listens to what has been reported; made when somebody wants to.
    reports: OnceLock<Arc<LoadReports>>,
}

impl Lease {
    /// A lease that begins now.
    pub fn new(epoch: u64, ttl: Duration, now: Duration) -> Self {
        let ttl = u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX);
        Lease {
            epoch,
            deadline: AtomicU64::new(millis(now) + u64::from(ttl)),
            ttl,
            in_flight: AtomicU32::new(SILENT),
            cpu: AtomicU32::new(f32::NAN.to_bits()),
            weight: AtomicU16::new(UNSAID),
            is_weighed: AtomicBool::new(false),
            weigh_after: AtomicU64::new(0),
            reports: OnceLock::new(),
        }
    }

    /// A heartbeat: it lasts for another time-to-live from now.
    pub fn renew(&self, now: Duration) {
        self.deadline.store(millis(now) + u64::from(self.ttl), Ordering::Relaxed);
    }

    /// Until when it lasts.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline.load(Ordering::Relaxed))
    }

    /// How long it lasts without a renewal.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl.into())
    }

    /// Whether it has run out.
    pub fn is_lapsed(&self, now: Duration) -> bool {
        self.deadline() <= now
    }

    /// The instance says what it has to do. What it does not say stays as it said last.
    pub fn report(&self, load: Load) {
        if let Some(in_flight) = load.in_flight {
            self.in_flight.store(in_flight.min(SILENT - 1), Ordering::Relaxed);
        }
        if let Some(cpu) = load.cpu {
            self.cpu.store(cpu.to_bits(), Ordering::Relaxed);
        }
    }

    /// Requests under way as the instance last said; `None` before it has.
    pub fn in_flight(&self) -> Option<u32> {
        Some(self.in_flight.load(Ordering::Relaxed)).filter(|&count| count != SILENT)
    }

    /// Where to listen to what the instance reports.
    pub fn reports(&self) -> &Arc<LoadReports> {
        self.reports.get_or_init(Arc::default)
    }

    /// Where somebody listens to what the instance reports, if anybody ever wanted to.
    pub fn listened(&self) -> Option<&LoadReports> {
        self.reports.get().map(|reports| &**reports)
    }

    /// The instance says what it weighs. Whether the writer is to be told of it: not when it has said so before, and only
    /// once until the writer [looks](Self::weighed), which then sees what was said last.
    pub fn weigh(&self, weight: Weight) -> bool {
        if self.weight.load(Ordering::Relaxed) == weight.get() {
            return false;
        }
        self.weight.store(weight.get(), Ordering::Relaxed);
        // Behind the weight: who looks afterwards sees it, who has looked before is told once more.
        !self.is_weighed.swap(true, Ordering::AcqRel)
    }

    /// What the instance weighs, as it last said: for the writer, who is told of what is said from now on.
    pub fn weighed(&self) -> Option<Weight> {
        self.is_weighed.swap(false, Ordering::AcqRel);
        Weight::new(self.weight.load(Ordering::Relaxed))
    }

    /// What it said of its weight came to nothing: it may say it again.
    pub fn unweigh(&self) {
        self.weight.store(UNSAID, Ordering::Relaxed);
    }

    /// Its weight has changed by what it said, now.
    pub fn has_changed_weight(&self, now: Duration) {
        self.weigh_after.store(millis(now + WEIGHED_EVERY), Ordering::Relaxed);
    }

    /// Whether its weight may change by what it says: not when it has a moment ago.
    pub fn may_change_weight(&self, now: Duration) -> bool {
        millis(now) >= self.weigh_after.load(Ordering::Relaxed)
    }

    /// The share of its processors that it uses, as it last said; `None` before it has.
    pub fn cpu(&self) -> Option<f32> {
        Some(f32::from_bits(self.cpu.load(Ordering::Relaxed))).filter(|cpu| !cpu.is_nan())
    }
}

/// What an instance has to do, as far as it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Requests under way.
    pub in_flight: Option<u32>,
    /// The share of its processors that is used: 1 for all of them.
    pub cpu: Option<f32>,
}

/// The clock that leases run by: it stands still while nobody could have looked after them, so that a machine that was
/// paused, or a process that was starved, lets nobody's lease run out unseen.
#[derive(Debug, Default)]
pub struct LeaseClock {
    stood_still: Duration,
    last_tick: Option<Duration>,
}

impl LeaseClock {
    /// The lease time at this moment of the monotonic clock.
    pub fn now(&self, monotonic: Duration) -> Duration {
        monotonic.saturating_sub(self.stood_still)
    }

    /// The look that is due every [`TICK`] happens now. One that comes late by more than [`PATIENCE`] makes the clock
    /// stand still for as long as it was late; returns that time.
    pub fn tick(&mut self, monotonic: Duration) -> Duration {
        let due = self.last_tick.map_or(monotonic, |last| last + TICK);
        let late = monotonic.saturating_sub(due);
        self.last_tick = Some(monotonic);
        if late <= PATIENCE {
            return Duration::ZERO;
        }
        self.stood_still += late;
        late
    }
}

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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

fn tick_of(time: Duration) -> u64 {
    millis(time) / millis(TICK)
}

/// How often leases are looked at.
pub const TICK: Duration = Duration::from_secs(1);

/// How late a look may be before the lease clock stands still for it.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How often what an instance says may change its weight: heartbeats have no limit, and everyone who watches hears of it.
pub const WEIGHED_EVERY: Duration = Duration::from_secs(1);

/// A turn of the wheel, in ticks; leases that last longer are seen again every turn.
const BUCKETS: usize = 256;

/// No weight.
const UNSAID: u16 = 0;

/// The instance does not say what it has under way.
const SILENT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fulcrum_balance::Rng;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_late_look_stops_the_clock_for_as_long_as_it_was_late() {
        let mut clock = LeaseClock::default();
        assert_eq!(clock.tick(SECOND), Duration::ZERO);
        assert_eq!(clock.tick(SECOND * 3), Duration::ZERO, "a second late is within patience");
        assert_eq!(clock.tick(SECOND * 14), SECOND * 10);
        assert_eq!(clock.now(SECOND * 14), SECOND * 4);
        assert_eq!(clock.tick(SECOND * 15), Duration::ZERO);
        assert_eq!(clock.now(SECOND * 15), SECOND * 5);
    }

    #[test]
    fn what_an_instance_has_under_way_is_unknown_until_it_says_so() {
        let lease = Lease::new(1, SECOND, SECOND);
        assert_eq!(lease.in_flight(), None);
        assert_eq!(lease.cpu(), None);
        lease.report(Load { in_flight: Some(u32::MAX), cpu: None });
        lease.report(Load { in_flight: None, cpu: Some(0.5) });
        assert_eq!((lease.in_flight(), lease.cpu()), (Some(u32::MAX - 1), Some(0.5)));
    }

    #[test]
    fn the_writer_is_told_of_a_weight_once_until_it_looks() {
        let lease = Lease::new(1, SECOND, SECOND);
        let weight = |number| Weight::new(number).expect("not zero");
        let check = |number, is_told| assert_eq!(lease.weigh(weight(number)), is_told, "{number}");
        assert_eq!(lease.weighed(), None);
        check(3, true);
        check(3, false);
        check(4, false);
        assert_eq!(lease.weighed(), Some(weight(4)), "what was said last");
        check(4, false);
        check(3, true);
        lease.unweigh();
        check(3, false);
        assert_eq!(lease.weighed(), Some(weight(3)));
        lease.unweigh();
        assert_eq!(lease.weighed(), None);
        check(3, true);
    }

    #[test]
    fn leases_of_registrations_that_are_gone_are_forgotten() {
        let mut wheel = Wheel::new(Duration::ZERO);
        wheel.insert("gone", Arc::new(Lease::new(1, SECOND, Duration::ZERO)));
        assert_eq!(wheel.len(), 1);
        assert_eq!(wheel.lapsed(SECOND * 5).len(), 0);
        assert!(wheel.is_empty());
    }

    /// Against a list that is searched: whoever has lapsed is told once, within two ticks, and nobody else is.
    #[test]
    fn tells_of_each_lapse_once_and_soon() {
        for seed in 0..64 {
            let mut rng = Rng::from_seed(seed);
            let mut now = Duration::from_millis(u64::from(rng.below(10_000)));
            let mut wheel = Wheel::new(now);
            let mut leases: BTreeMap<u32, Arc<Lease>> = BTreeMap::new();
            for key in 0..400u32 {
                match rng.below(4) {
                    0 => {
                        let ttl = Duration::from_millis(u64::from(rng.below(600_000)) + 1);
                        let lease = Arc::new(Lease::new(1, ttl, now));
                        wheel.insert(key, Arc::clone(&lease));
                        leases.insert(key, lease);
                    }
                    1 => {
                        if let Some(lease) = leases.values().nth(rng.below(leases.len() as u32) as usize) {
                            lease.renew(now);
                        }
                    }
                    2 => {
                        let gone = leases.keys().nth(rng.below(leases.len() as u32) as usize).copied();
                        leases.retain(|key, _| Some(*key) != gone);
                    }
                    _ => {
                        now += Duration::from_millis(u64::from(rng.below(if key % 50 == 0 {
                            900_000
                        } else {
                            5_000
                        })))
                    }
                }
                for (key, lease) in wheel.lapsed(now) {
                    assert!(lease.is_lapsed(now), "seed {seed}");
                    assert!(leases.remove(&key).is_some(), "seed {seed}: {key} is told twice, or was gone");
                }
                let overdue = leases.values().find(|lease| lease.deadline() + 2 * TICK < now);
                assert!(overdue.is_none(), "seed {seed}: {overdue:?} was missed at {now:?}");
            }
        }
    }
}
