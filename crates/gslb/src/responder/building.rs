//! From what is seen to answers. A look is taken under the lock of the state; what it takes to answer accordingly is built
//! without it, so that no check waits; and then put in force, again under the lock.
//!
//! One builds at a time, and begins with a look: what changes meanwhile is seen by the next one.

use std::sync::Arc;

use fulcrum_config::gslb::Gslb;

use super::state::State;
use super::world::Seen;
use crate::choices::Choices;
use crate::compiled::Compiled;
use crate::verdict::Now;

/// What is answered, and what it was made of.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) seen: Arc<Seen>,
    pub(super) choices: Choices,
}

/// Answers that are to be built.
#[derive(Debug)]
pub(super) struct Job {
    gslb: Arc<Gslb>,
    compiled: Arc<Compiled>,
    seen: Arc<Seen>,
    /// What is answered, and the names for which that is to change; all where nothing is answered yet.
    changed: Option<(Choices, Vec<u32>)>,
}

impl State {
    /// What there is to build: nothing while everything is seen as the answers in force were made of it.
    pub(super) fn job(&self) -> Option<Job> {
        let seen = self.see();
        let changed = match &self.answered {
            Some(answered) if *answered.seen == seen => return None,
            Some(answered) => {
                let changed = self.dependents.of_change(&self.targets, &answered.seen, &seen);
                Some((answered.choices.clone(), changed))
            }
            None => None,
        };
        let (gslb, compiled) = (Arc::clone(&self.gslb), Arc::clone(&self.compiled));
        Some(Job { gslb, compiled, seen: Arc::new(seen), changed })
    }

    /// Builds it and answers with it.
    pub(super) fn build(&mut self, job: &Job, now: Now) -> Choices {
        let choices = job.build();
        self.answer_with(job, &choices, now);
        choices
    }

    /// From now on it is answered with what was built.
    pub(super) fn answer_with(&mut self, job: &Job, choices: &Choices, now: Now) {
        match &job.changed {
            Some((before, changed)) => {
                let gone = changed.iter().filter_map(|number| before.get(*number as usize));
                let given = changed.iter().filter_map(|number| choices.get(*number as usize));
                self.exposure.exchange(gone, given, now.clock);
            }
            None => self.exposure.renew(choices.iter(), now.clock),
        }
        self.answered = Some(Answered { seen: Arc::clone(&job.seen), choices: choices.clone() });
    }
}

impl Job {
    /// For how many names there is something to build.
    pub(super) fn names(&self) -> usize {
        self.changed.as_ref().map_or(self.compiled.chosen().len(), |(_, changed)| changed.len())
    }

    /// Builds it.
    pub(super) fn build(&self) -> Choices {
        match &self.changed {
            Some((before, changed)) => {
                self.compiled.changed_choices(before, changed, &self.gslb, &*self.seen)
            }
            None => self.compiled.choices(&self.gslb, &*self.seen),
        }
    }
}
