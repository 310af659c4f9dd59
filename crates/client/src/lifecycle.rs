//! What an instance asks a registry next, and when: decisions over answers and the time, without a socket.
//!
//! ```text
//!                 registered              leave                  drain
//!   Registering ─────────────► Beating ─────────► Leaving ───────────────► Draining
//!        ▲        unknown         │                  │  gone, unknown          │ unknown, drain over
//!        └────────────────────────┘                  └────────► Left ◄─────────┘
//!
//!   a stale epoch, anywhere: Replaced, for ever       a registration that cannot be: Refused
//! ```

use std::time::Duration;

use fulcrum_balance::Rng;

use crate::ask::{AskError, Problem};
use crate::pace::{self, Backoff};

/// Where an instance is on its way. Times are since its start.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    phase: Phase,
    /// When [`next`](Self::next) is to be asked.
    due: Duration,
    /// What the registry said last of the time between heartbeats.
    pace: Duration,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// With the epoch that it had, after the registry has forgotten it.
    Registering {
        epoch: Option<u64>,
    },
    Beating {
        epoch: u64,
        stage: Stage,
    },
    /// The registry is told so until the deadline.
    Leaving {
        epoch: u64,
        drain: Duration,
        deadline: Duration,
    },
    /// It has been told, and removes the instance then.
    Draining {
        epoch: u64,
        until: Duration,
    },
    Ended(End),
}

/// What the registry says of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Up,
    Draining,
    Maintenance,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it wished.
    Left,
    /// As it wished, but the registry does not know: the lease runs out.
    Unheard,
    /// Another process is the instance now.
    Replaced,
    /// What it says of itself cannot be.
    Refused,
}

/// What is asked of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Register { epoch: Option<u64> },
    Beat { epoch: u64 },
    Leave { epoch: u64, drain: Duration },
}

/// What comes of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Of a registration or heartbeat.
    Registered { epoch: u64, next: Duration, stage: Stage },
    /// Of a departure.
    Leaving,
    /// The registry does not know the instance.
    Unknown { after: Option<Duration> },
    /// It was registered by another process.
    Stale,
    /// There is no use in asking again.
    Never,
    /// There may be.
    Later { after: Option<Duration> },
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Lifecycle {
            phase: Phase::Registering { epoch: None },
            due: Duration::ZERO,
            pace: LONGEST_ASK,
            backoff: registering(),
        }
    }

    /// What to ask, and when; nothing after the end.
    pub(crate) fn next(&self) -> Option<(Duration, Ask)> {
        let ask = match self.phase {
            Phase::Registering { epoch } => Ask::Register { epoch },
            Phase::Beating { epoch, .. } | Phase::Draining { epoch, .. } => Ask::Beat { epoch },
            Phase::Leaving { epoch, drain, .. } => Ask::Leave { epoch, drain },
            Phase::Ended(_) => return None,
        };
        Some((self.due, ask))
    }

    /// How long an answer may take: two questions have to fit into a lease, so that one of them may get lost.
    pub(crate) fn patience(&self) -> Duration {
        self.pace.clamp(SHORTEST_ASK, LONGEST_ASK)
    }

    pub(crate) fn stage(&self) -> Option<Stage> {
        match self.phase {
            Phase::Beating { stage, .. } => Some(stage),
            Phase::Leaving { .. } | Phase::Draining { .. } => Some(Stage::Draining),
            Phase::Registering { .. } | Phase::Ended(_) => None,
        }
    }

    pub(crate) fn epoch(&self) -> Option<u64> {
        match self.phase {
            Phase::Registering { epoch } => epoch,
            Phase::Beating { epoch, .. } | Phase::Leaving { epoch, .. } | Phase::Draining { epoch, .. } => {
                Some(epoch)
            }
            Phase::Ended(_) => None,
        }
    }

    pub(crate) fn end(&self) -> Option<End> {
        match self.phase {
            Phase::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// The instance wants to leave. The registry is told until `patience` is over; who was never registered has left.
    pub(crate) fn leave(&mut self, drain: Duration, patience: Duration, now: Duration) {
        let deadline = now.saturating_add(patience);
        match self.phase {
            Phase::Ended(_) => return,
            Phase::Registering { .. } => self.phase = Phase::Ended(End::Left),
            Phase::Beating { epoch, .. } | Phase::Leaving { epoch, .. } | Phase::Draining { epoch, .. } => {
                self.phase = Phase::Leaving { epoch, drain, deadline };
            }
        }
        self.backoff = leaving();
        self.due = now;
    }

    /// Takes an answer to what was asked.
    pub(crate) fn answered(&mut self, answer: Answer, now: Duration, rng: &mut Rng) {
        match (self.phase, answer) {
            (Phase::Ended(_), _) => {}
            (_, Answer::Stale) => self.phase = Phase::Ended(End::Replaced),
            (_, Answer::Later { after }) => self.later(after, now, rng),
            (phase, answer) => {
                self.backoff.succeeded();
                self.decided(phase, answer, now, rng);
            }
        }
    }

    /// The registry has said something definite.
    fn decided(&mut self, phase: Phase, answer: Answer, now: Duration, rng: &mut Rng) {
        match (phase, answer) {
            (Phase::Registering { .. }, Answer::Registered { epoch, next, stage }) => {
                self.paced(next);
                self.phase = Phase::Beating { epoch, stage };
                self.due = now + pace::first_beat(next, rng);
            }
            (Phase::Beating { .. }, Answer::Registered { epoch, next, stage }) => {
                self.paced(next);
                self.phase = Phase::Beating { epoch, stage };
                self.due = now + pace::beat(next, rng);
            }
            (Phase::Draining { until, .. }, Answer::Registered { next, .. }) if now < until => {
                self.due = (now + pace::beat(next, rng)).min(until);
            }
            (Phase::Beating { epoch, .. }, Answer::Unknown { after }) => {
                self.backoff = registering();
                self.phase = Phase::Registering { epoch: Some(epoch) };
                self.due = now + after.unwrap_or_else(|| pace::part(self.pace, rng)).min(LONGEST_WORD);
            }
            (Phase::Leaving { epoch, drain, .. }, Answer::Leaving) if !drain.is_zero() => {
                let until = now.saturating_add(drain);
                self.phase = Phase::Draining { epoch, until };
                self.due = (now + pace::first_beat(self.pace, rng)).min(until);
            }
            (Phase::Leaving { .. }, Answer::Leaving | Answer::Unknown { .. })
            | (Phase::Draining { .. }, _) => {
                self.phase = Phase::Ended(End::Left);
            }
            (Phase::Leaving { .. }, _) => self.phase = Phase::Ended(End::Unheard),
            (_, Answer::Never) => self.phase = Phase::Ended(End::Refused),
            // An answer to another question than that which was asked.
            (_, _) => self.later(None, now, rng),
        }
    }

    fn later(&mut self, after: Option<Duration>, now: Duration, rng: &mut Rng) {
        self.due = now + self.backoff.failed_until(after, rng);
        match self.phase {
            Phase::Leaving { deadline, .. } if self.due >= deadline => {
                self.phase = Phase::Ended(End::Unheard);
            }
            Phase::Draining { until, .. } if self.due >= until => self.phase = Phase::Ended(End::Left),
            _ => {}
        }
    }

    /// Heartbeats that fail are repeated sooner than the next would come, and never later.
    fn paced(&mut self, next: Duration) {
        self.pace = next;
        let first = (next / 8).clamp(Duration::from_millis(100), Duration::from_secs(1));
        self.backoff = Backoff::new(first, next);
    }
}

impl Answer {
    /// What an error means for the instance.
    pub(crate) fn of_error(error: &AskError, ask: Ask) -> Self {
        let later = |after| Answer::Later { after };
        let Some(problem) = error.problem() else { return later(None) };
        let Problem { after, re_register_after, .. } = *problem;
        match (problem.status, &*problem.code, ask) {
            (409, "stale_epoch", _) => Answer::Stale,
            (404, "unknown" | "", Ask::Beat { .. } | Ask::Leave { .. }) => {
                Answer::Unknown { after: re_register_after }
            }
            (400 | 413 | 422, _, Ask::Register { .. }) => Answer::Never,
            // Who may not leave will not be let go a moment later either.
            (400..500, _, Ask::Leave { .. }) if problem.status != 429 => Answer::Never,
            _ => later(after),
        }
    }
}

impl Stage {
    /// A word that is not known is that of a later release: nothing is known against the instance.
    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "draining" => Stage::Draining,
            "maintenance" => Stage::Maintenance,
            _ => Stage::Up,
        }
    }
}

fn registering() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_secs(30))
}

fn leaving() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(2))
}

/// A registry on the other side of the world needs half of it.
const SHORTEST_ASK: Duration = Duration::from_secs(1);

const LONGEST_ASK: Duration = Duration::from_secs(5);

/// Half of the longest lease would be half a day.
const LONGEST_WORD: Duration = Duration::from_secs(600);

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
