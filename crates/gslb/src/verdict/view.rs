//! What one observer sees of one region. How many of its targets are well and how many fail is kept with each report, so that
//! nobody has to look at all of them to tell.

use std::time::Duration;

use super::tally::Tally;
use super::{Rules, Vote};

/// All targets of a region, seen by one observer.
#[derive(Clone, Debug)]
pub(super) struct View {
    targets: Vec<Target>,
    counts: Counts,
}

#[derive(Clone, Copy, Debug)]
struct Target {
    tally: Tally,
    /// As what it is counted.
    counted: Counts,
}

/// How many targets are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Something is known of them, and so many of them look bad.
    known: u16,
    bad: u16,
    /// Those that are voted for, and against.
    well: u16,
    failed: u16,
}

/// The part that fails of a region of which all targets do.
pub(super) const WHOLE: u64 = 1 << 32;

impl View {
    /// Nothing was seen yet.
    pub(super) fn new(targets: usize) -> Self {
        let nothing = Target { tally: Tally::NOTHING, counted: Counts::default() };
        View { targets: vec![nothing; targets], counts: Counts::default() }
    }

    /// Takes a report of a target. Gives whether it is a new one; nothing where there is no such target.
    pub(super) fn take(
        &mut self,
        target: u16,
        (vote, sequence): (Vote, u64),
        (at, now): (Duration, Duration),
        rules: &Rules,
    ) -> Option<bool> {
        let target = self.targets.get_mut(usize::from(target))?;
        let is_new = target.tally.take(vote, sequence, at, now, rules);
        self.counts.exchange(target, now, rules);
        Some(is_new)
    }

    /// Counts anew: what is not told again is not known any more after a while.
    pub(super) fn recount(&mut self, now: Duration, rules: &Rules) {
        for target in &mut self.targets {
            self.counts.exchange(target, now, rules);
        }
    }

    /// From now on nothing was seen.
    pub(super) fn forget(&mut self) {
        *self = View::new(self.targets.len());
    }

    /// What the observer holds of the region: that it fails only when all of its targets do. As of the last count.
    pub(super) fn vote(&self) -> Vote {
        let Counts { well, failed, .. } = self.counts;
        match usize::from(failed) {
            _ if well > 0 => Vote::Ok,
            failed if failed > 0 && failed == self.targets.len() => Vote::Fail,
            _ => Vote::Unknown,
        }
    }

    /// Which part of the targets of which something is known looks bad, as a part of [`WHOLE`]; nothing when nothing is
    /// known. As of the last count.
    pub(super) fn bad_part(&self) -> Option<u64> {
        let Counts { known, bad, .. } = self.counts;
        // Parts that make half together must not come to less.
        (known > 0).then(|| (u64::from(bad) * WHOLE).div_ceil(u64::from(known)))
    }

    /// Whether a target is known that does not look bad.
    pub(super) fn is_any_good(&self) -> bool {
        self.counts.known > self.counts.bad
    }
}

impl Counts {
    fn of(tally: &Tally, now: Duration, rules: &Rules) -> Self {
        let (looks_bad, vote) = (tally.looks_bad(now, rules), tally.vote(now, rules));
        Counts {
            known: looks_bad.is_some().into(),
            bad: (looks_bad == Some(true)).into(),
            well: (vote == Vote::Ok).into(),
            failed: (vote == Vote::Fail).into(),
        }
    }

    /// Counts a target as what it is now, and no longer as what it was.
    fn exchange(&mut self, target: &mut Target, now: Duration, rules: &Rules) {
        let is = Counts::of(&target.tally, now, rules);
        let was = std::mem::replace(&mut target.counted, is);
        self.known = self.known + is.known - was.known;
        self.bad = self.bad + is.bad - was.bad;
        self.well = self.well + is.well - was.well;
        self.failed = self.failed + is.failed - was.failed;
    }
}

#[cfg(test)]
mod tests {
    use fulcrum_balance::Rng;

    use super::*;

    fn counted(view: &View, now: Duration, rules: &Rules) -> Counts {
        let mut counts = Counts::default();
        for target in &view.targets {
            let is = Counts::of(&target.tally, now, rules);
            counts.known += is.known;
            counts.bad += is.bad;
            counts.well += is.well;
            counts.failed += is.failed;
        }
        counts
    }

    /// Reports come, are late and cease; whenever it is counted anew it is what there is, and between those counts only
    /// what has become too old meanwhile is still in.
    #[test]
    fn what_is_counted_is_what_there_is() {
        let rules = Rules::default();
        let mut rng = Rng::from_seed(7);
        let mut view = View::new(5);
        let mut now = Duration::from_secs(100);
        for sequence in 0..20_000 {
            now += Duration::from_millis(u64::from(rng.below(400)));
            let vote = [Vote::Ok, Vote::Fail, Vote::Fail, Vote::Unknown][rng.below(4) as usize];
            let at = now - Duration::from_millis(u64::from(rng.below(9000)));
            let target = rng.below(6) as u16;
            let taken = view.take(target, (vote, sequence), (at, now), &rules);
            assert_eq!(taken.is_some(), target < 5);
            if rng.below(3) == 0 {
                view.recount(now, &rules);
                assert_eq!(view.counts, counted(&view, now, &rules), "{sequence}");
            }
        }
        view.recount(now + rules.freshness() * 2, &rules);
        assert_eq!((view.counts, view.vote(), view.bad_part()), (Counts::default(), Vote::Unknown, None));
        view.forget();
        assert_eq!(view.targets.len(), 5);
    }

    #[test]
    fn a_region_fails_when_all_of_it_does() {
        let (rules, now) = (Rules::default(), Duration::from_secs(100));
        let mut view = View::new(3);
        let mut sequence = 0;
        let mut tell = |view: &mut View, target, vote, times| {
            for _ in 0..times {
                sequence += 1;
                view.take(target, (vote, sequence), (now, now), &rules);
            }
            (view.vote(), view.bad_part().map(|part| part * 6 / WHOLE))
        };
        assert_eq!(tell(&mut view, 0, Vote::Fail, 1), (Vote::Unknown, Some(6)));
        assert_eq!(tell(&mut view, 1, Vote::Ok, 5), (Vote::Ok, Some(3)));
        assert_eq!(tell(&mut view, 2, Vote::Fail, 4), (Vote::Ok, Some(4)));
        assert_eq!(tell(&mut view, 0, Vote::Fail, 3), (Vote::Ok, Some(4)));
        assert_eq!(tell(&mut view, 1, Vote::Fail, 4), (Vote::Fail, Some(6)));
        assert_eq!(View::new(0).vote(), Vote::Unknown);
    }

    #[test]
    fn parts_that_make_half_are_half() {
        let part = |bad, known| {
            let counts = Counts { known, bad, ..Counts::default() };
            View { targets: Vec::new(), counts }.bad_part().expect("something is known")
        };
        assert_eq!((part(0, 7), part(7, 7)), (0, WHOLE));
        assert!(part(1, 3) + part(2, 3) >= WHOLE);
        assert!(part(1, 3) + part(4095, 4096) > WHOLE && part(1, 3) + part(2729, 4096) < WHOLE);
    }
}
