//! A limit on how often something may be done, that is fair: as long as others may want their equal parts of it, nobody
//! takes more than the own one; what they leave anyone may take.
//!
//! Pure: the time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use crate::state::Principal;

/// What is left to be spent, of all and of each.
#[derive(Debug)]
pub(super) struct Shares {
    all: Bucket,
    /// Of those who asked lately: no more than there are tokens.
    by_caller: HashMap<Principal, Share>,
}

#[derive(Debug)]
struct Share {
    bucket: Bucket,
    asked_at: Instant,
}

impl Shares {
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        Shares { all: Bucket::new(rate, now), by_caller: HashMap::new() }
    }

    /// Takes one for this caller, where `rate` come in each second and as many are kept at most.
    ///
    /// # Errors
    /// There is none: how long until there is.
    pub(super) fn take(&mut self, caller: &Principal, rate: u32, now: Instant) -> Result<(), Duration> {
        self.by_caller.retain(|_, share| now.saturating_duration_since(share.asked_at) < LATELY);
        if !self.by_caller.contains_key(caller) {
            let share = Share { bucket: Bucket::new(rate, now), asked_at: now };
            self.by_caller.insert(caller.clone(), share);
        }
        let callers = u32::try_from(self.by_caller.len()).unwrap_or(u32::MAX);
        let part = (rate / callers).max(1);
        let mut of_others = 0.0;
        let mut is_within_part = Ok(());
        for (name, share) in &mut self.by_caller {
            if name == caller {
                share.asked_at = now;
                is_within_part = share.bucket.take(part, now);
            } else {
                of_others += share.bucket.left(part, now);
            }
        }
        if let Err(wait) = is_within_part
            && self.all.left(rate, now) < of_others + 1.0
        {
            return Err(wait);
        }
        self.all.take(rate, now)
    }
}

/// So long a part is kept for who asked: until after who was refused comes again.
const LATELY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// What each gets of so many wishes in ten seconds.
    fn spend(wishes: [u32; 2]) -> [u32; 2] {
        let (names, start) = (["greedy", "web"].map(Principal::from), Instant::now());
        let mut shares = Shares::new(100, start);
        (0..10).for_each(|_| assert!(shares.take(&names[0], 100, start).is_ok()));
        let mut taken = [0; 2];
        for step in 1..=1000 {
            let now = start + Duration::from_millis(step * 10);
            for (place, name) in names.iter().enumerate() {
                let mut wishes = (0..wishes[place] / 1000).map(|_| shares.take(name, 100, now));
                taken[place] += wishes.by_ref().filter(Result::is_ok).count() as u32;
            }
        }
        taken
    }

    #[test]
    fn nobody_takes_the_part_of_another() {
        let [greedy, web] = spend([50_000, 1000]);
        assert!(web > 450, "the half is for the other: {web}, {greedy}");
        assert!((950..=1110).contains(&(greedy + web)), "and it is all given out: {web}, {greedy}");
        let [alone, _] = spend([50_000, 0]);
        assert!(alone > 950, "nothing is kept for those who do not ask: {alone}");
    }

    #[test]
    fn what_others_leave_anyone_may_take() {
        let (greedy, web) = (Principal::from("greedy"), Principal::from("web"));
        let start = Instant::now();
        let mut shares = Shares::new(100, start);
        let mut taken = 0;
        for second in 0..20 {
            let now = start + Duration::from_secs(second);
            assert!(shares.take(&web, 100, now).is_ok(), "it wants one each second");
            for step in 0..100 {
                let now = now + Duration::from_millis(step * 10);
                taken += (0..5).filter(|_| shares.take(&greedy, 100, now).is_ok()).count();
            }
        }
        assert!(taken > 1800, "{taken}");
    }
}
