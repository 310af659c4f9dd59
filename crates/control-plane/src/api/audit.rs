//! Who has changed what, why, and what came of it: a line of the log each, and the last thousand in memory.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use serde::Serialize;

use super::bucket::Bucket;
use crate::timestamp::Timestamp;

/// What is remembered of changes, and of what was not allowed.
#[derive(Debug)]
pub(super) struct Audit(Mutex<Memory>);

#[derive(Debug)]
struct Memory {
    /// Of the next entry.
    number: u64,
    changes: VecDeque<Entry>,
    /// Apart, so that whoever knocks without a key cannot make us forget what has changed.
    refused: VecDeque<Entry>,
    /// Lines of the log about what was refused.
    lines: Bucket,
}

/// One thing that someone did, or tried to do.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    number: u64,
    at: Timestamp,
    #[serde(flatten)]
    act: Act,
}

/// What someone did.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Act {
    /// Who: the name of a token; nothing when it was none.
    pub(super) principal: Option<String>,
    /// From where.
    pub(super) peer: IpAddr,
    /// What was to be done: `register`, `leave`, `override`, `clear_override`, or the method and the path.
    pub(super) action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance: Option<String>,
    /// Why, in the words of whoever did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// `done`, or the code of the problem.
    pub(super) outcome: &'static str,
    /// The event that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sequence: Option<u64>,
}

impl Audit {
    pub(super) fn new(now: Instant) -> Self {
        let lines = Bucket::new(MOST_LINES, now);
        let memory = Memory { number: 1, changes: VecDeque::new(), refused: VecDeque::new(), lines };
        Audit(Mutex::new(memory))
    }

    /// Something has changed.
    pub(super) fn changed(&self, act: Act) {
        tell(&act);
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = memory.entry(act);
        push(&mut memory.changes, entry);
    }

    /// Something was not allowed.
    pub(super) fn refused(&self, act: Act, now: Instant) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.lines.take(MOST_LINES, now).is_ok() {
            tell(&act);
        }
        let entry = memory.entry(act);
        push(&mut memory.refused, entry);
    }

    /// What is remembered of the time after this entry, the oldest first.
    pub(super) fn since(&self, number: u64) -> Vec<Entry> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = memory.changes.iter().chain(&memory.refused);
        let mut entries: Vec<Entry> = all.filter(|entry| entry.number > number).cloned().collect();
        entries.sort_by_key(|entry| entry.number);
        entries
    }
}

impl Memory {
    fn entry(&mut self, act: Act) -> Entry {
        let number = self.number;
        self.number += 1;
        Entry { number, at: Timestamp(SystemTime::now()), act }
    }
}

fn push(entries: &mut VecDeque<Entry>, entry: Entry) {
    if entries.len() == KEPT {
        entries.pop_front();
    }
    entries.push_back(entry);
}

fn tell(act: &Act) {
    tracing::info!(
        target: "fulcrum::audit",
        principal = act.principal.as_deref(),
        peer = %act.peer,
        action = %act.action,
        service = act.service.as_deref(),
        instance = act.instance.as_deref(),
        reason = act.reason.as_deref(),
        outcome = act.outcome,
        sequence = act.sequence,
        "audit"
    );
}

/// Of changes, and of what was refused, each.
const KEPT: usize = 1000;

/// About what was refused, in a second: anyone can have them written.
const MOST_LINES: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_does_not_displace_what_has_changed() {
        let now = Instant::now();
        let audit = Audit::new(now);
        let act = |outcome| Act {
            principal: None,
            peer: IpAddr::from([127, 0, 0, 1]),
            action: "register".to_owned(),
            service: None,
            instance: None,
            reason: None,
            outcome,
            sequence: None,
        };
        audit.changed(act("done"));
        (0..3000).for_each(|_| audit.refused(act("unauthorized"), now));
        let entries = audit.since(0);
        assert_eq!(entries.len(), KEPT + 1);
        assert_eq!((entries[0].number, entries[0].act.outcome), (1, "done"));
        assert_eq!(entries[1].number, 2002, "the oldest are forgotten");
        assert_eq!(audit.since(3000).len(), 1);
        assert_eq!(audit.since(u64::MAX).len(), 0);
    }
}
