//! From what is seen to answers. A look is taken under the lock of the state; what it takes to answer accordingly is built
//! without it, so that no check waits; and then put in force, again under the lock.
//!
//! One builds at a time, and begins with a look: what changes meanwhile is seen by the next one.

use std::sync::Arc;

use fulcrum_config::gslb::Gslb;

use super::exposure::Named;
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

/// Answers that can be put in force.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) choices: Choices,
    /// Who is led where by those that are given up, and by those in their place.
    gone: Named,
    given: Named,
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
        let built = job.build();
        self.answer_with(job, &built, now);
        built.choices
    }

    /// From now on it is answered with what was built.
    pub(super) fn answer_with(&mut self, job: &Job, built: &Built, now: Now) {
        match &job.changed {
            Some(_) => self.exposure.exchange(&built.gone, &built.given, now.clock),
            None => self.exposure.renew(&built.given, now.clock),
        }
        self.answered = Some(Answered { seen: Arc::clone(&job.seen), choices: built.choices.clone() });
    }
}

impl Job {
    /// Whether nothing of the state is answered yet: the names in force may be those of another configuration.
    pub(super) fn is_all(&self) -> bool {
        self.changed.is_none()
    }

    /// For how many names there is something to build.
    pub(super) fn names(&self) -> usize {
        self.changed.as_ref().map_or(self.compiled.chosen().len(), |(_, changed)| changed.len())
    }

    /// Builds it.
    pub(super) fn build(&self) -> Built {
        let Some((before, changed)) = &self.changed else {
            let choices = self.compiled.choices(&self.gslb, &*self.seen);
            return Built { given: Named::of(choices.iter()), gone: Named::default(), choices };
        };
        let choices = self.compiled.changed_choices(before, changed, &self.gslb, &*self.seen);
        let of = |number: &u32| (before.get(*number as usize), choices.get(*number as usize));
        let gone = Named::of(changed.iter().filter_map(|number| of(number).0));
        let given = Named::of(changed.iter().filter_map(|number| of(number).1));
        Built { choices, gone, given }
    }
}
