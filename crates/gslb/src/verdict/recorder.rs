//! The flight recorder: the last changes of verdicts, each with why and by whose votes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use fulcrum_model::RegionName;

use super::{Reason, State};

/// How many changes are kept.
pub const RECORDED: usize = 256;

/// A region has come to stand otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When, by the time of day.
    pub at: SystemTime,
    /// Which region.
    pub region: RegionName,
    /// How it stood. The same as `to` where only the share has changed.
    pub from: State,
    /// How it stands.
    pub to: State,
    /// Its share before and after, in percent.
    pub share: (u8, u8),
    /// Why.
    pub reason: Reason,
    /// Who voted, and how: `ok`, `fail`, `doubt` (of its own link) or `unknown`.
    pub votes: Vec<(Arc<str>, &'static str)>,
}

impl Transition {
    /// Whether clients are moved away from the region, or some of them back.
    pub fn is_switch(&self) -> bool {
        (self.share.0 == 0) != (self.share.1 == 0)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(VecDeque<Transition>);

impl Recorder {
    pub(super) fn record(&mut self, transition: Transition) {
        if self.0.len() == RECORDED {
            self.0.pop_front();
        }
        self.0.push_back(transition);
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Transition> + ExactSizeIterator {
        self.0.iter()
    }
}
