//! What the votes of all observers of a region come to.

use std::fmt;

use super::{Observer, Quorum};

/// The votes on one region, by observer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    ok: u64,
    fail: u64,
    /// They see it fail, but see so much else fail that they take it for their own link.
    doubt: u64,
    unknown: u64,
}

/// How one observer voted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Ok,
    Fail,
    Doubt,
    Unknown,
}

/// What votes come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A quorum sees it well.
    Ok,
    /// A quorum sees it fail.
    Fail,
    /// One of two observers sees it fail, and the other one cannot tell: that takes twice the hold.
    FailAlone,
    /// They disagree: what was decided before stands.
    Split,
    /// Too few can tell: what was decided before stands.
    TooFew,
}

impl Votes {
    pub(super) fn cast(&mut self, observer: Observer, cast: Cast) {
        let side = match cast {
            Cast::Ok => &mut self.ok,
            Cast::Fail => &mut self.fail,
            Cast::Doubt => &mut self.doubt,
            Cast::Unknown => &mut self.unknown,
        };
        *side |= observer.bit();
    }

    /// How many see it well.
    pub fn ok(&self) -> u32 {
        self.ok.count_ones()
    }

    /// How many see it fail.
    pub fn fail(&self) -> u32 {
        self.fail.count_ones()
    }

    /// How many abstain: no fresh report, or in doubt of their own link.
    pub fn abstaining(&self) -> u32 {
        (self.doubt | self.unknown).count_ones()
    }

    /// Whether somebody sees it fail, in doubt or not, and nobody sees it well.
    pub(super) fn is_seen_failing_only(&self) -> bool {
        self.ok == 0 && self.fail | self.doubt != 0
    }

    /// The observers that see it well, that see it fail, that doubt their own link, and that do not know.
    pub fn observers(&self) -> [(&'static str, Vec<Observer>); 4] {
        let list = |set: u64| (0..64).map(Observer).filter(|observer| set & observer.bit() != 0).collect();
        [
            ("ok", list(self.ok)),
            ("fail", list(self.fail)),
            ("doubt", list(self.doubt)),
            ("unknown", list(self.unknown)),
        ]
    }

    /// What they come to. `outside` are the observers that do not run in the region: where there are some, one of them
    /// must see it fail too, once there are three observers or more.
    pub(super) fn outcome(&self, outside: u64, quorum: Quorum) -> Outcome {
        let (ok, fail) = (self.ok(), self.fail());
        let configured = ok + fail + self.abstaining();
        match (configured, ok, fail) {
            (_, 0, 0) => Outcome::TooFew,
            (2, 0, 1) => Outcome::FailAlone,
            (1 | 2, 0, _) => Outcome::Fail,
            (1 | 2, _, 0) => Outcome::Ok,
            (2, _, _) => Outcome::Split,
            // Less than half may be the smaller part of a cut network.
            _ if ok + fail < configured / 2 + 1 => Outcome::TooFew,
            _ if quorum.is_met(ok, ok + fail) => Outcome::Ok,
            _ if !quorum.is_met(fail, ok + fail) => Outcome::Split,
            _ if outside != 0 && self.fail & outside == 0 => Outcome::Split,
            _ => Outcome::Fail,
        }
    }

    /// Whether somebody outside sees it fail, and nobody outside sees it well.
    pub(super) fn is_unanimous(&self, outside: u64) -> bool {
        self.fail & outside != 0 && self.ok & outside == 0
    }
}

impl fmt::Display for Votes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} well, {} failing, {} abstain", self.ok(), self.fail(), self.abstaining())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(text: &str) -> Votes {
        let mut votes = Votes::default();
        for (number, letter) in text.chars().enumerate() {
            let cast = match letter {
                '+' => Cast::Ok,
                '-' => Cast::Fail,
                'd' => Cast::Doubt,
                _ => Cast::Unknown,
            };
            votes.cast(Observer(number as u8), cast);
        }
        votes
    }

    #[test]
    fn the_quorum_by_the_number_of_observers() {
        let check = |text: &str, expected| {
            assert_eq!(votes(text).outcome(0, Quorum::default()), expected, "{text}");
        };
        check("+", Outcome::Ok);
        check("-", Outcome::Fail);
        check("d", Outcome::TooFew);
        check("++", Outcome::Ok);
        check("--", Outcome::Fail);
        check("+-", Outcome::Split);
        check("-?", Outcome::FailAlone);
        check("-d", Outcome::FailAlone);
        check("+?", Outcome::Ok);
        check("??", Outcome::TooFew);
        check("+++", Outcome::Ok);
        check("--+", Outcome::Fail);
        check("-++", Outcome::Ok);
        check("-+?", Outcome::Split);
        check("--?", Outcome::Fail);
        check("-??", Outcome::TooFew);
        check("-dd", Outcome::TooFew);
        check("+??", Outcome::TooFew);
        check("-----++", Outcome::Fail);
        check("----+++", Outcome::Split);
        check("---++++", Outcome::Split);
        check("--+++++", Outcome::Ok);
        check("----???", Outcome::Fail);
        check("---????", Outcome::TooFew);
        check("--??", Outcome::TooFew);
        check("---?", Outcome::Fail);
    }

    #[test]
    fn somebody_outside_must_see_it_too() {
        let check = |text: &str, outside, expected| {
            let found = votes(text);
            let found = (found.outcome(outside, Quorum::default()), found.is_unanimous(outside));
            assert_eq!(found, expected, "{text}, outside {outside:b}");
        };
        check("--+", 0b100, (Outcome::Split, false));
        check("--+", 0b010, (Outcome::Fail, true));
        check("--+", 0b110, (Outcome::Fail, false));
        check("--?", 0b100, (Outcome::Split, false));
        check("---", 0b000, (Outcome::Fail, false));
        check("--", 0b000, (Outcome::Fail, false));
        check("-", 0b1, (Outcome::Fail, true));
    }

    #[test]
    fn votes_can_be_shown() {
        let votes = votes("+--d?");
        assert_eq!(votes.to_string(), "1 well, 2 failing, 2 abstain");
        assert_eq!(votes.observers()[1], ("fail", vec![Observer(1), Observer(2)]));
    }
}
