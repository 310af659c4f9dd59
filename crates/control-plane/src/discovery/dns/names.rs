//! What is known of host names, and which of them are due: told of answers, asked for what to do, and nothing else.
//!
//! ```text
//!            due                answered: after its TTL, 1 s to 60 s
//!   waiting ─────► asked for ─────────────────────────────────────────► waiting
//!                      │        failed: after 1 s, 2 s, 4 s … 30 s
//!                      ▼
//!                  let go, until the lookup ends (followed again: asked for)
//! ```
//!
//! Every wait is made up to a tenth longer or shorter, so that names do not march in step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_balance::Rng;

use super::failure::Failure;
use super::lookup::Answer;
use crate::discovery::pace::{about, backoff};

/// The followed names. `now` is the time since some start, and never goes back.
#[derive(Debug)]
pub(super) struct Names {
    known: BTreeMap<Arc<str>, Known>,
    /// Those that wait, by when they are due.
    waiting: BTreeSet<(Duration, Arc<str>)>,
    /// Lookups that have not ended, at most [`MAX_LOOKUPS`].
    asking: usize,
    /// Followed names that nothing was heard of since they are followed.
    unheard: usize,
    rng: Rng,
    counters: Counters,
}

/// What the resolver has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lookups begun. Each is for both kinds of addresses and the whole search list.
    pub lookups: u64,
    /// Lookups that gave addresses.
    pub answers: u64,
    /// Answers after which the addresses of a name were other ones.
    pub changes: u64,
    /// Lookups that gave none, in the order of [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
}

/// One followed name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameStatus {
    /// As it was asked for.
    pub name: Arc<str>,
    /// Its last good addresses, sorted.
    pub addresses: Arc<[IpAddr]>,
    /// How long ago they were answered; `None` before the first answer.
    pub last_answer: Option<Duration>,
    /// What was wrong with the last lookup: all of it, or of an answered one the other kind of addresses.
    pub last_failure: Option<Failure>,
    /// Lookups in a row that gave no addresses.
    pub failures: u32,
    /// When it is asked for again; `None` while it is asked for.
    pub next_lookup: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Known {
    addresses: Arc<[IpAddr]>,
    answered: Option<Duration>,
    last_failure: Option<Failure>,
    failures: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting {
        due: Duration,
    },
    Asking,
    /// Asked for, but nobody wants to know any more. It stays, so that no name is asked for twice at a time.
    LetGo,
}

impl Known {
    fn nothing(phase: Phase) -> Known {
        Known { addresses: Arc::default(), answered: None, last_failure: None, failures: 0, phase }
    }

    fn is_heard(&self) -> bool {
        self.answered.is_some() || self.failures > 0
    }
}

impl Names {
    pub(super) fn new(seed: u64) -> Names {
        Names {
            known: BTreeMap::new(),
            waiting: BTreeSet::new(),
            asking: 0,
            unheard: 0,
            rng: Rng::from_seed(seed),
            counters: Counters::default(),
        }
    }

    /// Follows exactly these from now on: new ones are due at once, what is known of the others is forgotten.
    pub(super) fn follow(&mut self, names: &BTreeSet<String>, now: Duration) {
        let gone = |known: &&Arc<str>| !names.contains(&***known);
        for name in self.known.keys().filter(gone).cloned().collect::<Vec<_>>() {
            self.let_go(&name);
        }
        for name in names {
            match self.known.get_mut(name.as_str()) {
                None => {
                    let name: Arc<str> = name.as_str().into();
                    self.waiting.insert((now, Arc::clone(&name)));
                    self.known.insert(name, Known::nothing(Phase::Waiting { due: now }));
                    self.unheard += 1;
                }
                Some(known) if known.phase == Phase::LetGo => {
                    known.phase = Phase::Asking;
                    self.unheard += 1;
                }
                Some(_) => {}
            }
        }
    }

    fn let_go(&mut self, name: &Arc<str>) {
        let Some(known) = self.known.get_mut(name) else { return };
        if known.phase != Phase::LetGo && !known.is_heard() {
            self.unheard -= 1;
        }
        match known.phase {
            Phase::Waiting { due } => {
                self.waiting.remove(&(due, Arc::clone(name)));
                self.known.remove(name);
            }
            Phase::Asking | Phase::LetGo => *known = Known::nothing(Phase::LetGo),
        }
    }

    /// The names to look up now, those first that are due for longest. Each must be told to have been
    /// [`answered`](Self::answered) or [`failed`](Self::failed).
    pub(super) fn due(&mut self, now: Duration) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        while self.asking < MAX_LOOKUPS
            && let Some((when, _)) = self.waiting.first()
            && *when <= now
            && let Some((_, name)) = self.waiting.pop_first()
        {
            self.known.get_mut(&name).expect("what waits is known").phase = Phase::Asking;
            self.asking += 1;
            self.counters.lookups += 1;
            due.push(name);
        }
        due
    }

    /// When some name is due next, unless a lookup has to end before.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let (due, _) = self.waiting.first()?;
        (self.asking < MAX_LOOKUPS).then_some(*due)
    }

    /// A lookup has ended well. Returns the addresses of the name if they are other ones than before.
    pub(super) fn answered(&mut self, name: &str, answer: Answer, now: Duration) -> Option<Arc<[IpAddr]>> {
        self.counters.answers += 1;
        let (ttl, missing) = (answer.ttl, answer.missing);
        let known = end(&mut self.known, &mut self.asking, &mut self.unheard, name)?;
        let addresses = answer.over(&known.addresses);
        known.answered = Some(now);
        known.failures = 0;
        known.last_failure = missing.map(|(_, failure)| failure);
        let changed = *known.addresses != addresses[..];
        if changed {
            known.addresses = addresses.into();
            self.counters.changes += 1;
        }
        let addresses = Arc::clone(&known.addresses);
        self.wait(name, now, ttl.clamp(MIN_TTL, MAX_TTL));
        changed.then_some(addresses)
    }

    /// A lookup has given nothing. The last good addresses stay.
    pub(super) fn failed(&mut self, name: &str, failure: Failure, now: Duration) {
        self.counters.failures[failure as usize] += 1;
        let Some(known) = end(&mut self.known, &mut self.asking, &mut self.unheard, name) else { return };
        known.failures = known.failures.saturating_add(1);
        known.last_failure = Some(failure);
        let backoff = backoff(known.failures);
        self.wait(name, now, backoff);
    }

    fn wait(&mut self, name: &str, now: Duration, span: Duration) {
        let due = now + about(span, &mut self.rng);
        let (name, _) = self.known.get_key_value(name).expect("it was known just now");
        let name = Arc::clone(name);
        self.known.get_mut(&name).expect("it was known just now").phase = Phase::Waiting { due };
        self.waiting.insert((due, name));
    }

    /// Whether every followed name was heard of.
    pub(super) fn is_settled(&self) -> bool {
        self.unheard == 0
    }

    /// Whether the last lookup has failed; false for a name that is not followed.
    pub(super) fn is_failing(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|known| known.failures > 0)
    }

    /// The last good addresses, none for a name that is not followed.
    pub(super) fn addresses(&self, name: &str) -> Arc<[IpAddr]> {
        self.known.get(name).map(|known| Arc::clone(&known.addresses)).unwrap_or_default()
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Every followed name, sorted.
    pub(super) fn status(&self, now: Duration) -> Vec<NameStatus> {
        let followed = self.known.iter().filter(|(_, known)| known.phase != Phase::LetGo);
        let status = |(name, known): (&Arc<str>, &Known)| NameStatus {
            name: Arc::clone(name),
            addresses: Arc::clone(&known.addresses),
            last_answer: known.answered.map(|then| now.saturating_sub(then)),
            last_failure: known.last_failure,
            failures: known.failures,
            next_lookup: match known.phase {
                Phase::Waiting { due } => Some(due.saturating_sub(now)),
                Phase::Asking | Phase::LetGo => None,
            },
        };
        followed.map(status).collect()
    }
}

/// Notes that the lookup for a name has ended. `None` when nobody wants to know.
fn end<'a>(
    known: &'a mut BTreeMap<Arc<str>, Known>,
    asking: &mut usize,
    unheard: &mut usize,
    name: &str,
) -> Option<&'a mut Known> {
    let phase = known.get(name).map(|known| known.phase);
    debug_assert!(matches!(phase, Some(Phase::Asking | Phase::LetGo)), "{name} was asked for");
    *asking -= 1;
    if phase == Some(Phase::LetGo) {
        known.remove(name);
        return None;
    }
    let known = known.get_mut(name)?;
    *unheard -= usize::from(!known.is_heard());
    Some(known)
}

/// Lookups at the same time, each of two queries: a reload with thousands of names must not flood the name servers.
pub(super) const MAX_LOOKUPS: usize = 64;
/// An answer without a life of its own would be asked for without pause.
const MIN_TTL: Duration = Duration::from_secs(1);
/// An endpoint that has moved is found within a minute, whatever its zone says.
const MAX_TTL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
