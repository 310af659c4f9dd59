//! What is held of a region, and why, in words.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Failover, Votes};

/// What is held of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It serves.
    Up,
    /// It is seen failing, and serves until that is sure.
    Suspect,
    /// It is down for sure: nobody is sent to it.
    DownConfirmed,
    /// It is well again and comes back.
    Recovering,
    /// An operator sends nobody new to it; it goes on serving whom it has.
    Drained,
    /// An operator says that it serves, whatever is seen.
    ForcedUp,
    /// An operator says that it is down, whatever is seen.
    ForcedDown,
}

impl State {
    /// As in metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Suspect => "suspect",
            State::DownConfirmed => "down",
            State::Recovering => "recovering",
            State::Drained => "drained",
            State::ForcedUp => "forced_up",
            State::ForcedDown => "forced_down",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a region stands as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Since the start nobody has been able to tell; held for up.
    Unverified,
    /// A quorum sees it well.
    Well,
    /// A quorum sees it fail; it serves until the hold is over.
    Held,
    /// As [`Reason::Held`], seen by one of two observers only.
    HeldAlone,
    /// It is seen failing, but its own heartbeat says that it serves.
    Uncorroborated,
    /// It would be confirmed down, or come back, if another region had not just changed.
    Braked,
    /// Observers disagree: what was decided before stands.
    Split,
    /// Too few observers can tell: what was decided before stands.
    TooFew,
    /// It was seen failing throughout the hold.
    Confirmed,
    /// It was seen failing from outside for three times the hold, whatever its heartbeat says.
    Overruled,
    /// It is well again, and must stay so for a while before it comes back.
    Returning,
    /// It is well again, and waits for an operator.
    AwaitsOperator,
    /// It comes back step by step.
    Ramping,
    /// It says that it has not got its data.
    DataNotReady,
    /// An operator's order, with the operator's words.
    Ordered(Arc<str>),
}

impl Reason {
    /// Whether somebody should look at it: the machine cannot see, or waits to be told.
    pub fn is_alarming(&self) -> bool {
        matches!(self, Reason::TooFew | Reason::Split | Reason::Uncorroborated | Reason::AwaitsOperator)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Unverified => "nobody has been able to tell since the start: held for up",
            Reason::Well => "observers see it well",
            Reason::Held => "observers see it failing; it serves until the hold is over",
            Reason::HeldAlone => {
                "one of two observers sees it failing; it serves until twice the hold is over"
            }
            Reason::Uncorroborated => "observers see it failing, but its own heartbeat says that it serves",
            Reason::Braked => "it waits, for another region has just changed",
            Reason::Split => "observers disagree: what was decided before stands",
            Reason::TooFew => "too few observers can tell: what was decided before stands",
            Reason::Confirmed => "observers saw it failing throughout the hold",
            Reason::Overruled => {
                "seen failing from outside for three times the hold, whatever its heartbeat says"
            }
            Reason::Returning => "well again; it must stay so before it comes back",
            Reason::AwaitsOperator => "well again; it waits for an operator to confirm that it may come back",
            Reason::Ramping => "well again; it gets its clients back step by step",
            Reason::DataNotReady => "it says that it has not got its data",
            Reason::Ordered(words) => return write!(f, "ordered: {words}"),
        })
    }
}

/// Which of its two times-to-live an answer with the region has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// The larger one.
    Normal,
    /// The smaller one: the region may be taken out soon, and clients should notice.
    Low,
}

/// How a region stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is held of it.
    pub state: State,
    /// The part of its own clients that it gets, in percent: 0 to 100. A region that is the only one left gets all.
    pub share: u8,
    /// Since when, by the time of day.
    pub since: SystemTime,
    /// Why.
    pub reason: Reason,
    /// How long answers with it may be kept.
    pub ttl: Ttl,
    /// The time to the next change that is possible, if one is in sight; for a time-to-live that ends before it.
    pub next_change: Option<Duration>,
    /// Whether an operator has confirmed that it is down.
    pub acknowledged: bool,
    /// The last votes on it.
    pub votes: Votes,
}

impl Standing {
    /// Its share for a name: one that waits for an operator's word keeps sending clients to a region that is down
    /// until then, and one that never left it needs no ramp.
    pub fn share_for(&self, failover: Failover) -> u8 {
        let waits = failover == Failover::Confirm && !self.acknowledged;
        match (self.state, &self.reason) {
            (_, Reason::DataNotReady) => self.share,
            (State::DownConfirmed | State::Recovering, _) if waits => 100,
            _ => self.share,
        }
    }
}
