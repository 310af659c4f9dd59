//! What one observer has seen of one target, report by report.

use std::time::Duration;

use super::{Rules, Vote};

/// Failures add up across reports that were well; only `rise` of those in a row wipe them out. "Three failures in a row"
/// would never notice a link that loses every other packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    latest: Option<Latest>,
    failures: u32,
    successes: u32,
    held: Vote,
}

#[derive(Clone, Copy, Debug)]
struct Latest {
    vote: Vote,
    sequence: u64,
    /// When it was seen.
    at: Duration,
}

impl Tally {
    /// Nothing was seen.
    pub(super) const NOTHING: Tally = Tally { latest: None, failures: 0, successes: 0, held: Vote::Unknown };

    /// Takes a report that was made at that time. Gives whether it is a new one.
    pub(super) fn take(
        &mut self,
        vote: Vote,
        sequence: u64,
        at: Duration,
        now: Duration,
        rules: &Rules,
    ) -> bool {
        if let Some(latest) = self.latest {
            if !is_fresh(latest.at, now, rules) {
                *self = Tally::NOTHING;
            } else if sequence <= latest.sequence {
                return false;
            }
        }
        self.latest = Some(Latest { vote, sequence, at });
        match vote {
            // It was too old when it came.
            _ if !is_fresh(at, now, rules) => {}
            Vote::Ok => self.count_success(rules),
            Vote::Fail => self.count_failure(rules),
            Vote::Unknown => {}
        }
        true
    }

    fn count_success(&mut self, rules: &Rules) {
        self.successes = self.successes.saturating_add(1);
        if self.successes >= rules.rise.get() {
            self.failures = 0;
            self.held = Vote::Ok;
        }
    }

    fn count_failure(&mut self, rules: &Rules) {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        if self.failures >= rules.fall.get() {
            self.held = Vote::Fail;
        }
    }

    /// What the observer holds of the target now.
    pub(super) fn vote(&self, now: Duration, rules: &Rules) -> Vote {
        match self.known(now, rules) {
            Some(_) => self.held,
            None => Vote::Unknown,
        }
    }

    /// Whether the last report failed, or it is held for failed: for an observer that doubts itself one failure is
    /// enough. `None` when it cannot tell.
    pub(super) fn looks_bad(&self, now: Duration, rules: &Rules) -> Option<bool> {
        let latest = self.known(now, rules)?;
        Some(latest.vote == Vote::Fail || self.held == Vote::Fail)
    }

    fn known(&self, now: Duration, rules: &Rules) -> Option<&Latest> {
        let is_known = |latest: &&Latest| latest.vote != Vote::Unknown && is_fresh(latest.at, now, rules);
        self.latest.as_ref().filter(is_known)
    }
}

fn is_fresh(at: Duration, now: Duration, rules: &Rules) -> bool {
    now.saturating_sub(at) <= rules.freshness()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(report: char) -> Vote {
        match report {
            '+' => Vote::Ok,
            '-' => Vote::Fail,
            _ => Vote::Unknown,
        }
    }

    fn show(vote: Vote) -> char {
        match vote {
            Vote::Ok => 'O',
            Vote::Fail => 'F',
            Vote::Unknown => '?',
        }
    }

    /// Reports come one an interval; a blank is one that does not come.
    fn after(reports: &str) -> String {
        let rules = Rules::default();
        let mut tally = Tally::NOTHING;
        let mut held = String::new();
        for (number, report) in reports.chars().enumerate() {
            let now = rules.interval * number as u32;
            if report != ' ' {
                assert!(tally.take(parse(report), number as u64, now, now, &rules));
            }
            held.push(show(tally.vote(now, &rules)));
        }
        held
    }

    #[test]
    fn votes_follow_reports() {
        let check = |reports: &str, expected: &str| assert_eq!(after(reports), expected, "{reports}");
        check("++++++", "????OO");
        check("----", "???F");
        check("+++++----", "????OOOOF");
        // Failures add up; only five in a row that are well wipe them out.
        check("+++++-+-+-+-+", "????OOOOOOOFF");
        check("+++++---+++++---", "????OOOOOOOOOOOO");
        check("----+++-+++++", "???FFFFFFFFFO");
        // Whoever abstains now has no vote, but nothing is forgotten.
        check("+++++?+", "????O?O");
        check("---?-", "????F");
        // Silence is no failure; and after it everything is seen anew.
        check("+++++    +++++", "????OOOO?????O");
        check("---    ----", "??????????F");
    }

    #[test]
    fn what_comes_late_or_twice_is_passed_over() {
        let rules = Rules::default();
        let mut tally = Tally::NOTHING;
        let at = Duration::from_secs(100);
        assert!(tally.take(Vote::Ok, 7, at, at, &rules));
        assert!(!tally.take(Vote::Fail, 7, at, at, &rules));
        assert!(!tally.take(Vote::Fail, 6, at, at, &rules));
        assert_eq!(tally.looks_bad(at, &rules), Some(false));
        // The observer started again: its numbers begin anew.
        let later = at + rules.freshness() + Duration::from_millis(1);
        assert!(tally.take(Vote::Fail, 1, later, later, &rules));
        assert_eq!(tally.looks_bad(later, &rules), Some(true));
    }

    #[test]
    fn what_was_old_when_it_came_says_nothing() {
        let rules = Rules::default();
        let mut tally = Tally::NOTHING;
        for sequence in 0..9 {
            let now = Duration::from_secs(100 + sequence);
            tally.take(Vote::Fail, sequence, now - Duration::from_secs(7), now, &rules);
            assert_eq!((tally.vote(now, &rules), tally.looks_bad(now, &rules)), (Vote::Unknown, None));
        }
    }
}
