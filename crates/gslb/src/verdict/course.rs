//! One region's way through the states. Time counts only while a quorum can tell; who cannot see decides nothing.

use std::time::Duration;

use super::{Failback, Outcome, Reason, Rules};

/// Where a region is on its way, whatever operators have ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    Up,
    Suspect,
    Down,
    Recovering,
}

/// What happens to a region that fails or is well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    pub(super) stage: Stage,
    /// The step of the ramp that it is on; `None` before the first one. Only while recovering.
    pub(super) step: Option<usize>,
    /// An operator has confirmed that it is down.
    pub(super) acknowledged: bool,
    /// An operator has confirmed that it may come back.
    pub(super) released: bool,
    /// A quorum has been able to tell since the start.
    pub(super) is_verified: bool,
    /// It went down against its own word.
    is_overruled: bool,
    /// How long a quorum has seen it fail.
    against: Duration,
    /// How long everyone outside who could tell has seen it fail.
    unanimous: Duration,
    /// How long it has been well: in all, or on this step of the ramp.
    well: Duration,
    last: Outcome,
}

/// What is seen of a region now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) outcome: Outcome,
    /// Its heartbeat does not speak against its failing.
    pub(super) is_corroborated: bool,
    /// Everyone outside who can tell sees it fail.
    pub(super) is_unanimous: bool,
    /// No region is eligible: there is nothing to be careful for.
    pub(super) nothing_else: bool,
}

/// What moves clients, and therefore has to pass the brake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Stay,
    GoDown,
    ComeBack,
}

impl Course {
    /// On a stage, with nothing seen yet.
    pub(super) fn at(stage: Stage) -> Self {
        Course {
            stage,
            step: None,
            acknowledged: false,
            released: false,
            is_verified: stage != Stage::Up,
            is_overruled: false,
            against: Duration::ZERO,
            unanimous: Duration::ZERO,
            well: Duration::ZERO,
            last: Outcome::TooFew,
        }
    }

    /// The machine stood still: what it was counting begins again.
    pub(super) fn restart_clocks(&mut self) {
        (self.against, self.unanimous, self.well) = Default::default();
    }

    /// Goes on for the time that has passed. What moves clients is only wished for.
    pub(super) fn advance(&mut self, seen: &Seen, passed: Duration, rules: &Rules) -> Wish {
        self.last = seen.outcome;
        self.is_verified |= !matches!(seen.outcome, Outcome::TooFew | Outcome::Split);
        match seen.outcome {
            Outcome::Ok => self.go_on_well(seen, passed, rules),
            Outcome::Fail | Outcome::FailAlone => self.go_on_failing(seen, passed, rules),
            // What is wished for already does not go away by not being looked at, but nothing new is wished for.
            Outcome::Split | Outcome::TooFew => Wish::Stay,
        }
    }

    fn go_on_well(&mut self, seen: &Seen, passed: Duration, rules: &Rules) -> Wish {
        (self.against, self.unanimous) = Default::default();
        match self.stage {
            Stage::Up => {}
            Stage::Suspect => self.stage = Stage::Up,
            Stage::Down => {
                (self.stage, self.step, self.well) = (Stage::Recovering, None, Duration::ZERO);
                self.released = false;
            }
            Stage::Recovering => return self.recover(seen, passed, rules),
        }
        Wish::Stay
    }

    fn recover(&mut self, seen: &Seen, passed: Duration, rules: &Rules) -> Wish {
        self.well += passed;
        match self.step {
            None if self.well < rules.failback_hold && !seen.nothing_else => {}
            None if self.is_withheld(rules) => {}
            None => return Wish::ComeBack,
            Some(step) if self.well >= rules.ramp_step => {
                (self.step, self.well) = (Some(step + 1), Duration::ZERO);
                if rules.ramp.share(step + 1) == 100 {
                    self.rise();
                }
            }
            Some(_) => {}
        }
        Wish::Stay
    }

    fn go_on_failing(&mut self, seen: &Seen, passed: Duration, rules: &Rules) -> Wish {
        match (self.stage, self.step) {
            (Stage::Up, _) => {
                self.stage = Stage::Suspect;
                return Wish::Stay;
            }
            (Stage::Down, _) => return Wish::Stay,
            // It did not serve yet: no harm is done, and nothing moves.
            (Stage::Recovering, None) => {
                self.stage = Stage::Down;
                return Wish::Stay;
            }
            (Stage::Suspect, _) | (Stage::Recovering, Some(_)) => {}
        }
        self.against += passed;
        self.unanimous = if seen.is_unanimous { self.unanimous + passed } else { Duration::ZERO };
        self.is_overruled = !seen.is_corroborated;
        if self.time_to_down(seen.is_corroborated, rules).is_zero() { Wish::GoDown } else { Wish::Stay }
    }

    /// How much longer it must fail.
    fn time_to_down(&self, is_corroborated: bool, rules: &Rules) -> Duration {
        let hold = if self.last == Outcome::FailAlone { rules.hold.saturating_mul(2) } else { rules.hold };
        let remaining = hold.saturating_sub(self.against);
        if is_corroborated {
            return remaining;
        }
        remaining.max(rules.hold.saturating_mul(3).saturating_sub(self.unanimous))
    }

    /// It is down for sure.
    pub(super) fn go_down(&mut self) {
        // Names that had left it on an operator's word have not come back in full: they need no second word to stay away.
        self.acknowledged &= self.stage == Stage::Recovering;
        (self.stage, self.step) = (Stage::Down, None);
        self.restart_clocks();
    }

    /// It serves again: with all, or on the first step.
    pub(super) fn come_back(&mut self, seen: &Seen, rules: &Rules) {
        self.well = Duration::ZERO;
        if rules.failback == Failback::Auto || seen.nothing_else || rules.ramp.share(0) == 100 {
            self.rise();
        } else {
            (self.stage, self.step) = (Stage::Recovering, Some(0));
        }
    }

    fn rise(&mut self) {
        let last = self.last;
        *self = Course { last, is_verified: true, ..Course::at(Stage::Up) };
    }

    /// Whether it waits to be let back in.
    pub(super) fn awaits_operator(&self, rules: &Rules) -> bool {
        let is_waiting = self.stage == Stage::Recovering && self.step.is_none();
        is_waiting && self.is_withheld(rules) && self.well >= rules.failback_hold
    }

    fn is_withheld(&self, rules: &Rules) -> bool {
        rules.failback == Failback::Manual && !self.released
    }

    /// Nobody was sent to it by order, and the order has ended: what serves begins small.
    pub(super) fn come_in(&mut self, rules: &Rules) {
        let is_small = rules.failback != Failback::Auto && rules.ramp.share(0) < 100;
        if is_small && self.share(rules) > 0 {
            (self.stage, self.step, self.well) = (Stage::Recovering, Some(0), Duration::ZERO);
        }
    }

    /// It has been serving everyone by order, and the order has ended: it has no need to come back.
    pub(super) fn stay_in(&mut self) {
        if self.stage == Stage::Recovering {
            self.rise();
        }
    }

    /// How long it has been seen failing.
    pub(super) fn failing_for(&self) -> Duration {
        self.against
    }

    /// How long it has been well.
    pub(super) fn well_for(&self) -> Duration {
        self.well
    }

    /// Its share of its clients, in percent.
    pub(super) fn share(&self, rules: &Rules) -> u8 {
        match (self.stage, self.step) {
            (Stage::Up, _) => 100,
            (Stage::Suspect, _) if rules.soften => 50,
            (Stage::Suspect, _) => 100,
            (Stage::Recovering, Some(step)) => rules.ramp.share(step),
            (Stage::Recovering, None) | (Stage::Down, _) => 0,
        }
    }

    /// Whether it serves and is seen failing.
    pub(super) fn is_failing(&self) -> bool {
        self.stage == Stage::Suspect || self.stage == Stage::Recovering && !self.against.is_zero()
    }

    /// Why it is where it is.
    pub(super) fn reason(&self, seen: &Seen, is_braked: bool, rules: &Rules) -> Reason {
        if is_braked {
            return Reason::Braked;
        }
        match (self.last, self.stage) {
            (Outcome::TooFew, Stage::Up) if !self.is_verified => Reason::Unverified,
            (Outcome::Split, _) => Reason::Split,
            (Outcome::TooFew, _) => Reason::TooFew,
            (_, Stage::Down) if self.is_overruled => Reason::Overruled,
            (_, Stage::Down) => Reason::Confirmed,
            (_, Stage::Up) => Reason::Well,
            (Outcome::FailAlone, _) if seen.is_corroborated => Reason::HeldAlone,
            (Outcome::Fail, _) if seen.is_corroborated => Reason::Held,
            (Outcome::Fail | Outcome::FailAlone, _) => Reason::Uncorroborated,
            (Outcome::Ok, _) if self.awaits_operator(rules) => Reason::AwaitsOperator,
            (Outcome::Ok, _) if self.step.is_none() => Reason::Returning,
            (Outcome::Ok, _) => Reason::Ramping,
        }
    }

    /// The time to its next possible change, were what is seen to last.
    pub(super) fn next_change(&self, seen: &Seen, rules: &Rules) -> Option<Duration> {
        match (self.stage, self.step) {
            (Stage::Up | Stage::Down, _) => None,
            _ if self.is_failing() => Some(self.time_to_down(seen.is_corroborated, rules)),
            (Stage::Recovering, None) if self.awaits_operator(rules) => None,
            (Stage::Recovering, None) => Some(rules.failback_hold.saturating_sub(self.well)),
            (_, _) => Some(rules.ramp_step.saturating_sub(self.well)),
        }
    }
}
