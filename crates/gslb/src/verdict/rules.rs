//! How much it takes to change a verdict.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Failback;

/// The rules of all regions. Bounds are those that the configuration checks; any other value is followed to the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// From one report of an observer, or heartbeat of a region, to the next: 100 ms to 60 s. What is older than three
    /// of them is not known any more. Default 2 s.
    pub interval: Duration,
    /// Failed reports until an observer votes against a target, reports that were well in between included: 1 to 100.
    /// They are forgotten only after `rise`. Default 4.
    pub fall: NonZeroU32,
    /// Reports in a row that were well until an observer votes for a target: 1 to 100. Default 5.
    pub rise: NonZeroU32,
    /// How long a quorum must see a region fail before it is confirmed down: 1 s to 600 s, below 30 s for tests only.
    /// Twice as long when one of two observers is alone, three times against the region's own word. Default 90 s
    /// (gdnsd waits for about 100 s, Route 53 for 90 s).
    pub hold: Duration,
    /// The part of the votes that must agree where there are three observers or more. Default 2/3.
    pub quorum: Quorum,
    /// How a region comes back. Default [`Failback::Ramp`].
    pub failback: Failback,
    /// How long a region must be well before it comes back: 0 s to 24 h. Default 300 s.
    pub failback_hold: Duration,
    /// The parts of its clients that a region gets back, one after the other. Default 5, 25, 50, 100 %.
    pub ramp: Ramp,
    /// How long a step of the ramp lasts, at least the largest time-to-live that is served, or nobody has seen the step
    /// when the next one comes: 1 s to 1 h. Default 60 s.
    pub ramp_step: Duration,
    /// The least time from one region that changes to the next: 0 s to 1 h. The first region that is confirmed down
    /// within it is never kept waiting. Default 60 s.
    pub brake: Duration,
    /// Whether a region gets half of its clients only while it is suspected. Default `false`.
    pub soften: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            interval: Duration::from_secs(2),
            fall: NonZeroU32::new(4).expect("positive"),
            rise: NonZeroU32::new(5).expect("positive"),
            hold: Duration::from_secs(90),
            quorum: Quorum::default(),
            failback: Failback::Ramp,
            failback_hold: Duration::from_secs(300),
            ramp: Ramp::default(),
            ramp_step: Duration::from_secs(60),
            brake: Duration::from_secs(60),
            soften: false,
        }
    }
}

impl Rules {
    /// How long a report or a heartbeat says something.
    pub fn freshness(&self) -> Duration {
        self.interval.saturating_mul(3)
    }

    /// Without a call for longer than this the machine itself stood still: what was seen before says nothing any more.
    /// Not less than 2 s, for a busy machine may be late that much.
    pub fn standstill(&self) -> Duration {
        self.freshness().max(Duration::from_secs(2))
    }
}

/// The part of the votes that must agree: more than half of them, so that never both sides have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    agree: u8,
    of: u8,
}

impl Quorum {
    /// So many of so many; `None` unless it is more than a half and at most all.
    pub fn new(agree: u8, of: u8) -> Option<Self> {
        (agree <= of && u16::from(agree) * 2 > u16::from(of)).then_some(Quorum { agree, of })
    }

    /// Whether so many of the votes that were cast are enough.
    pub fn is_met(self, votes: u32, cast: u32) -> bool {
        cast > 0 && u64::from(votes) * u64::from(self.of) >= u64::from(cast) * u64::from(self.agree)
    }
}

impl Default for Quorum {
    fn default() -> Self {
        Quorum { agree: 2, of: 3 }
    }
}

/// The steps by which a region comes back, in percent: growing, the last one 100.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ramp(Vec<u8>);

impl Ramp {
    /// 1 to 16 steps from 1 to 100, each larger than the one before, the last one 100; else `None`.
    pub fn new(steps: Vec<u8>) -> Option<Self> {
        let grows = steps.windows(2).all(|pair| pair[0] < pair[1]);
        let is_sound = steps.len() <= 16 && steps.first() > Some(&0) && steps.last() == Some(&100);
        (grows && is_sound).then_some(Ramp(steps))
    }

    /// The share of a step in percent; after the last one 100.
    pub fn share(&self, step: usize) -> u8 {
        self.0.get(step).copied().unwrap_or(100)
    }
}

impl Default for Ramp {
    fn default() -> Self {
        Ramp(vec![5, 25, 50, 100])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_more_than_half() {
        let check =
            |agree, of, expected| assert_eq!(Quorum::new(agree, of).is_some(), expected, "{agree}/{of}");
        check(2, 3, true);
        check(1, 1, true);
        check(255, 255, true);
        check(1, 2, false);
        check(4, 3, false);
        check(0, 0, false);
    }

    #[test]
    fn two_thirds_of_those_who_vote() {
        let check = |votes, cast, expected| {
            assert_eq!(Quorum::default().is_met(votes, cast), expected, "{votes} of {cast}");
        };
        check(0, 0, false);
        check(1, 1, true);
        check(1, 2, false);
        check(2, 3, true);
        check(3, 5, false);
        check(4, 6, true);
        check(4, 7, false);
        check(5, 7, true);
    }

    #[test]
    fn a_ramp_grows_to_all() {
        let check = |steps: &[u8], expected| {
            assert_eq!(Ramp::new(steps.to_vec()).is_some(), expected, "{steps:?}");
        };
        check(&[5, 25, 50, 100], true);
        check(&[100], true);
        check(&[], false);
        check(&[0, 100], false);
        check(&[5, 5, 100], false);
        check(&[50, 25, 100], false);
        check(&[5, 50], false);
        check(&[5, 101], false);
        check(&(84..=100).collect::<Vec<_>>(), false);
    }
}
