//! The time of leases.

use std::time::Duration;

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

/// How often leases are looked at.
pub const TICK: Duration = Duration::from_secs(1);

/// How late a look may be before the lease clock stands still for it.
pub const PATIENCE: Duration = Duration::from_secs(1);
