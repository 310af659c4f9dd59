//! What the process does before it has more to do than it can: how many connections it takes, and what it saves when
//! memory runs out.
//!
//! ```text
//!   calm ──85 %──► shrink ───95 %──► refuse ───98 %──► pause
//!                  pools and          new requests      no new
//!                  buffers are freed  get 503           connections
//! ```

use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use fulcrum_config as config;

use crate::timer::{Millis, millis};

mod memory;

use memory::Memory;

/// How little memory is left. Each level does what the ones below it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Calm,
    /// Pools and buffers are kept empty.
    Shrink,
    /// New requests are answered with 503.
    Refuse,
    /// No connection is accepted.
    Pause,
}

impl Level {
    const ALL: [Level; 4] = [Level::Calm, Level::Shrink, Level::Refuse, Level::Pause];

    /// At `begin` percent it begins to save; it refuses at two thirds of the way from there to 100, and pauses at
    /// 13 / 15: 85, 95 and 98 percent.
    fn of(memory: Memory, begin: u8) -> Level {
        let (used, total, begin) = (u128::from(memory.used), u128::from(memory.total), u128::from(begin));
        if used * 1500 >= total * (2 * begin + 1300) {
            Level::Pause
        } else if used * 300 >= total * (begin + 200) {
            Level::Refuse
        } else if used * 100 >= total * begin {
            Level::Shrink
        } else {
            Level::Calm
        }
    }

    fn name(self) -> &'static str {
        match self {
            Level::Calm => "calm",
            Level::Shrink => "shrink",
            Level::Refuse => "refuse",
            Level::Pause => "pause",
        }
    }
}

/// The limits of the process and how near it is to them, for all workers.
#[derive(Debug)]
pub(crate) struct Overload {
    /// Connections that the file descriptors allow.
    allowed: u64,
    max_connections: AtomicU64,
    /// Percent of the memory at which it begins to save; [`NEVER`] for not at all.
    begin: AtomicU8,
    /// What every request asks.
    level: AtomicU8,
    /// No look at the memory before this.
    next_look: AtomicU64,
    /// No warning of a limit before this.
    next_warning: AtomicU64,
}

impl Overload {
    /// With as many connections as the file descriptors allow.
    pub(crate) fn new(allowed: u64) -> Self {
        Overload {
            allowed,
            max_connections: AtomicU64::new(allowed),
            begin: AtomicU8::new(NEVER),
            level: AtomicU8::new(Level::Calm as u8),
            next_look: AtomicU64::new(0),
            next_warning: AtomicU64::new(0),
        }
    }

    /// From now on by this configuration.
    pub(crate) fn follow(&self, overload: &config::Overload) {
        let most = overload.connections.map_or(self.allowed, |most| most.get().min(self.allowed));
        self.max_connections.store(most, Ordering::Relaxed);
        self.begin.store(overload.memory.unwrap_or(NEVER), Ordering::Relaxed);
        // The next look judges by it.
        self.next_look.store(0, Ordering::Relaxed);
    }

    /// Most downstream connections of the process.
    pub(crate) fn max_connections(&self) -> u64 {
        self.max_connections.load(Ordering::Relaxed)
    }

    pub(crate) fn level(&self) -> Level {
        Level::ALL[usize::from(self.level.load(Ordering::Relaxed))]
    }

    /// Whether a limit that is met now may be told: one in ten seconds is.
    pub(crate) fn may_warn(&self, now: Millis) -> bool {
        let next = self.next_warning.load(Ordering::Relaxed);
        let order = Ordering::Relaxed;
        now >= next && self.next_warning.compare_exchange(next, now + WARN_EVERY, order, order).is_ok()
    }

    /// Looks at the memory, once a second however often it is called.
    pub(crate) fn look(&self, now: Duration) {
        let now = millis(Some(now));
        if now >= self.next_look.load(Ordering::Relaxed) {
            self.next_look.store(now + LOOK_EVERY, Ordering::Relaxed);
            self.look_below(Path::new("/"));
        }
    }

    /// Judges the memory that the files below `root` tell of.
    fn look_below(&self, root: &Path) {
        let before = self.level();
        let (level, memory) = match self.begin.load(Ordering::Relaxed) {
            NEVER => (Level::Calm, None),
            // A system that says nothing gives no reason to save.
            begin => match Memory::read(root) {
                Some(memory) => (Level::of(memory, begin), Some(memory)),
                None => (Level::Calm, None),
            },
        };
        self.level.store(level as u8, Ordering::Relaxed);
        let (used, total) = memory.map_or((0, 0), |memory| (memory.used, memory.total));
        if level > before {
            tracing::warn!(level = level.name(), used, total, "memory runs out");
        } else if level < before {
            tracing::info!(level = level.name(), used, total, "there is more memory again");
        }
    }
}

/// No percentage of a configuration.
const NEVER: u8 = 0;
/// In milliseconds.
const LOOK_EVERY: Millis = 1000;
const WARN_EVERY: Millis = 10_000;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn levels_follow_the_share_that_is_used() {
        #[track_caller]
        fn check(used: u64, begin: u8, expected: Level) {
            // In tenths of a percent.
            assert_eq!(Level::of(Memory { used, total: 1000 }, begin), expected, "{used} {begin}");
        }
        check(0, 85, Level::Calm);
        check(849, 85, Level::Calm);
        check(850, 85, Level::Shrink);
        check(949, 85, Level::Shrink);
        check(950, 85, Level::Refuse);
        check(979, 85, Level::Refuse);
        check(980, 85, Level::Pause);
        check(1000, 85, Level::Pause);
        check(1001, 85, Level::Pause);
        check(99, 10, Level::Calm);
        check(100, 10, Level::Shrink);
        check(700, 10, Level::Refuse);
        check(880, 10, Level::Pause);
        check(999, 100, Level::Calm);
        check(1000, 100, Level::Pause);
    }

    proptest! {
        #[test]
        fn more_use_is_never_a_lower_level(used: u64, more: u64, total in 1u64.., begin in 1u8..=100) {
            let level = |used| Level::of(Memory { used, total }, begin);
            prop_assert!(level(used) <= level(used.saturating_add(more)));
        }

        #[test]
        fn to_begin_later_is_never_a_higher_level(used: u64, total in 1u64.., begin in 1u8..100) {
            let level = |begin| Level::of(Memory { used, total }, begin);
            prop_assert!(level(begin + 1) <= level(begin));
        }
    }

    #[test]
    fn the_configuration_can_only_lower_what_the_descriptors_allow() {
        #[track_caller]
        fn check(connections: Option<u64>, expected: u64) {
            let overload = Overload::new(700);
            let connections = connections.and_then(NonZeroU64::new);
            overload.follow(&config::Overload { memory: None, connections });
            assert_eq!(overload.max_connections(), expected);
        }
        check(None, 700);
        check(Some(10), 10);
        check(Some(700), 700);
        check(Some(100_000), 700);
    }

    #[test]
    fn the_level_follows_the_memory_and_the_configuration() {
        let root = tempfile::tempdir().expect("a folder");
        let overload = Overload::new(700);
        let look = |used: u64| {
            memory::tests::host(root.path(), 1000, 1000 - used);
            overload.look_below(root.path());
            overload.level()
        };
        assert_eq!(look(990), Level::Calm, "nothing is configured yet");
        overload.follow(&config::Overload { memory: Some(85), connections: None });
        assert_eq!(
            [look(860), look(960), look(990), look(100)],
            [Level::Shrink, Level::Refuse, Level::Pause, Level::Calm]
        );
        assert_eq!(look(990), Level::Pause);
        overload.follow(&config::Overload { memory: None, connections: None });
        assert_eq!(look(990), Level::Calm);
    }

    #[test]
    fn limits_are_told_once_in_ten_seconds() {
        let overload = Overload::new(700);
        let told = [0, 1, 9_999, 10_000, 10_001, 25_000].map(|now| overload.may_warn(now));
        assert_eq!(told, [true, false, false, true, false, true]);
    }
}
