//! The one who changes the registry: command by command in memory, batch by batch on the disk.

mod reopen;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use fulcrum_balance::Rng;
use fulcrum_model::ServiceName;
use tokio::sync::oneshot;

use super::published::Contents;
use super::watch::Event;
use super::weighed::{self, Weighed};
use super::{Counters, Evidence, Failure, Message, Outcome, Request, Settings, Shared, lock};
use crate::eviction::{Mood, Silent};
use crate::lease::{self, LeaseClock, Wheel};
use crate::state::{Cause, Change, Command, Key, Now, Sequence, State};
use crate::store::{Embedded, OpenError};
use reopen::{FORGET_EVERY, REOPEN_FIRST};

pub(super) struct Writer {
    shared: Arc<Shared>,
    state: State,
    /// `None` after a failure, until it can be opened again.
    store: Option<Embedded>,
    file: PathBuf,
    clock: LeaseClock,
    wheel: Wheel<Key>,
    silent: Silent,
    /// Services that have changed, and whose watchers are to be woken then.
    changed: BTreeSet<ServiceName>,
    wake_at: Option<Instant>,
    /// When the weights that were said since are looked at.
    weigh_at: Option<Instant>,
    tick_at: Instant,
    /// Numbers of events up to this one need no store.
    reserved: Sequence,
    /// What the file may hold otherwise than the state does, after a failure.
    doubtful: Vec<Key>,
    /// Whether the file that was open was not in its place any more: what is there may hold anything.
    is_misplaced: bool,
    reopen_at: Instant,
    /// How long the file is left alone when it fails once more: to open one reads all of it.
    reopen_after: Duration,
    forget_at: Instant,
}

/// Someone who waits, and what to tell.
type Answer = (oneshot::Sender<Result<Outcome, Failure>>, Result<Outcome, Failure>);

impl Writer {
    pub(super) fn open(
        settings: Settings,
        mut rng: Rng,
        started: Instant,
    ) -> Result<(Self, Arc<Shared>), OpenError> {
        let seed = rng.next_u64();
        let (store, image) = Embedded::open(&settings.file, seed)?;
        let mut state = State::new(image.sequence, settings.bounds);
        let mut wheel = Wheel::new(Duration::ZERO);
        let now = Now { lease: Duration::ZERO, wall: SystemTime::now() };
        for instance in image.instances {
            let key = instance.key.clone();
            wheel.insert(key, state.restore(instance, now));
        }
        for (service, departure) in image.departed {
            state.remember(service, departure);
        }
        let shared = Arc::new(Shared {
            epoch: image.epoch,
            started,
            stood_still: AtomicU64::new(0),
            contents: Contents::new(&state),
            weighed: Weighed::default(),
            stopping: AtomicBool::new(false),
            counters: Counters { is_writable: AtomicBool::new(true), ..Counters::default() },
            committed: Mutex::new(None),
            mood: Mutex::new(Mood::Normal),
            policy: Mutex::new(settings.policy),
        });
        let now = Instant::now();
        let writer = Writer {
            shared: Arc::clone(&shared),
            state,
            reserved: store.reserved(),
            store: Some(store),
            file: settings.file,
            clock: LeaseClock::default(),
            wheel,
            silent: Silent::new(rng),
            changed: BTreeSet::new(),
            wake_at: None,
            weigh_at: None,
            tick_at: now,
            doubtful: Vec::new(),
            is_misplaced: false,
            reopen_at: now,
            reopen_after: REOPEN_FIRST,
            forget_at: now + FORGET_EVERY,
        };
        Ok((writer, shared))
    }

    /// Until it is told to stop, or nobody is there to ask for anything.
    pub(super) fn run(mut self, requests: &Receiver<Message>, evidence: Evidence) {
        self.tick_at = Instant::now();
        loop {
            let due = [self.wake_at, self.weigh_at].into_iter().flatten();
            let next = due.fold(self.tick_at, Instant::min);
            match requests.recv_timeout(next.saturating_duration_since(Instant::now()).min(LOOK)) {
                Ok(message) => {
                    let batch = std::iter::once(message).chain(requests.try_iter()).take(BATCH);
                    let batch: Vec<Request> = batch.flatten().collect();
                    if !batch.is_empty() {
                        self.serve(batch);
                    }
                    if !self.shared.weighed.is_empty() {
                        self.weigh_at.get_or_insert(Instant::now() + COALESCE);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.shared.stopping.load(Ordering::Relaxed) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= self.tick_at {
                self.tick(&evidence);
            }
            if self.weigh_at.is_some_and(|at| Instant::now() >= at) {
                self.weigh();
            }
            if self.wake_at.is_some_and(|at| Instant::now() >= at) {
                self.wake();
            }
        }
        self.wake();
    }

    fn now(&self) -> Now {
        Now { lease: self.shared.lease_now(), wall: SystemTime::now() }
    }

    /// Applies a batch, keeps it, and tells everyone who waits: all of it, or that nothing has changed.
    fn serve(&mut self, batch: Vec<Request>) {
        self.reopen();
        let now = self.now();
        let mut changes = Vec::new();
        let mut answers: Vec<Answer> = Vec::with_capacity(batch.len());
        for Request { command, answer } in batch {
            let outcome = match self.state.apply(command, now) {
                Ok(done) => {
                    let has_changed = !done.changes.is_empty();
                    let is_new = done.changes.iter().any(Change::begins_epoch);
                    changes.extend(done.changes);
                    let instance = done.instance.expect("those who ask, ask about one");
                    Ok(Outcome { instance, has_changed, is_new })
                }
                Err(refusal) => Err(Failure::Refused(refusal)),
            };
            answers.push((answer, outcome));
        }
        let kept = self.keep(changes);
        for (answer, outcome) in answers {
            // What was refused may have been refused for a change that is undone.
            let outcome = if kept { outcome } else { Err(Failure::Store) };
            // Whoever has stopped waiting can ask again.
            let _ = answer.send(outcome);
        }
    }

    /// Keeps changes and publishes them; false when they had to be undone.
    fn keep(&mut self, changes: Vec<Change>) -> bool {
        if !self.needs_store(&changes) {
            self.kept(changes);
            return true;
        }
        let failure = match self.store.as_mut().map(|store| (store.commit(&changes), store.reserved())) {
            Some((Ok(()), reserved)) => {
                self.reserved = reserved;
                self.shared.counters.commits.fetch_add(1, Ordering::Relaxed);
                *lock(&self.shared.committed) = Some(Instant::now());
                self.kept(changes);
                return true;
            }
            Some((Err(error), _)) => Some(error),
            None => None,
        };
        if let Some(error) = failure {
            tracing::error!(%error, "the registry takes no changes for now");
            self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
            self.shared.counters.is_writable.store(false, Ordering::Relaxed);
            self.store = None;
            // A failed commit may have reached the disk all the same.
            self.doubtful.extend(changes.iter().map(|change| change.key.clone()));
            self.leave_alone();
        }
        self.state.undo(changes);
        false
    }

    /// Whether nobody may see these changes before something is written: what heartbeats say is not, but their numbers
    /// have to be reserved.
    fn needs_store(&self, changes: &[Change]) -> bool {
        let last = changes.last().map_or(Sequence(0), |change| change.sequence);
        last >= self.reserved || !changes.iter().all(Change::is_of_heartbeats)
    }

    fn kept(&mut self, changes: Vec<Change>) {
        for change in &changes {
            if let Some((_, lease)) = self.state.find(&change.key)
                && change.has_new_lease(lease)
            {
                self.wheel.insert(change.key.clone(), Arc::clone(lease));
            }
            if matches!(change.cause, Cause::Evicted(_)) {
                self.shared.counters.evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
        if !changes.is_empty() {
            self.shared.counters.events.fetch_add(changes.len() as u64, Ordering::Relaxed);
            let events = changes.into_iter().map(Event::from).collect();
            self.changed.append(&mut self.shared.contents.publish(events, &self.state));
            self.wake_at.get_or_insert(Instant::now() + COALESCE);
        }
    }

    /// Wakes those who watch what has changed.
    fn wake(&mut self) {
        self.wake_at = None;
        self.shared.contents.wakers.wake(&std::mem::take(&mut self.changed));
    }

    /// Gives instances the weights that their heartbeats have said. Together, and each instance once: as often as they
    /// may change their minds, watchers hear of one at most every [`lease::WEIGHED_EVERY`].
    fn weigh(&mut self) {
        let now = self.now();
        let weighed = self.shared.weighed.take(BATCH, now.lease);
        self.weigh_at = (!self.shared.weighed.is_empty()).then(|| Instant::now() + COALESCE);
        let commands = weighed.iter().filter_map(|(key, lease)| weighed::command(key, lease));
        let done = commands.filter_map(|command| self.state.apply(command, now).ok());
        let changes: Vec<Change> = done.flat_map(|done| done.changes).collect();
        if changes.is_empty() {
            return;
        }
        let changed: Vec<Key> = changes.iter().map(|change| change.key.clone()).collect();
        if self.keep(changes) {
            let leases = changed.iter().filter_map(|key| self.state.find(key));
            leases.for_each(|(_, lease)| lease.has_changed_weight(now.lease));
            // Those who watch have waited already.
            self.wake();
        } else {
            weighed.iter().for_each(|(_, lease)| lease.unweigh());
        }
    }

    /// Lets time pass.
    fn tick(&mut self, evidence: &Evidence) {
        self.tick_at = Instant::now() + lease::TICK;
        let late = self.clock.tick(self.shared.started.elapsed());
        if !late.is_zero() {
            tracing::warn!(?late, "nobody looked after the leases for a while: they last longer for it");
            let millis = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
            self.shared.stood_still.fetch_add(millis, Ordering::Relaxed);
        }
        self.reopen();
        self.judge(evidence);
        self.do_all(vec![Command::Tidy]);
        if Instant::now() >= self.forget_at {
            self.forget();
        }
    }

    /// Looks at the leases that have run out.
    fn judge(&mut self, evidence: &Evidence) {
        let now = self.now();
        for (key, lease) in self.wheel.lapsed(now.lease) {
            self.silent.add(key, lease, now.lease);
        }
        let policy = *lock(&self.shared.policy);
        let judgement = self.silent.judge(&self.state, &policy, evidence, now.lease);
        for (key, lease) in judgement.heard {
            self.wheel.insert(key, lease);
        }
        let mood = self.silent.mood();
        let before = std::mem::replace(&mut *lock(&self.shared.mood), mood);
        if before != mood {
            let (silent, all) = (self.silent.len(), self.state.len());
            tracing::warn!(silent, all, ?mood, "what is believed of silent instances has changed");
        }
        // Who is suspect is known also when nobody can be removed, for want of room on the disk.
        let is_mark = |command: &Command| matches!(command, Command::Suspect { .. });
        let (marks, others) = judgement.commands.into_iter().partition(is_mark);
        self.do_all(marks);
        self.do_all(others);
    }

    /// Applies what nobody waits for; where it cannot be kept it is tried again with the next tick.
    fn do_all(&mut self, commands: Vec<Command>) {
        if commands.is_empty() {
            return;
        }
        let now = self.now();
        let done = commands.into_iter().filter_map(|command| self.state.apply(command, now).ok());
        let changes: Vec<Change> = done.flat_map(|done| done.changes).collect();
        for change in &changes {
            tracing::info!(service = %change.key.service, instance = %change.key.id, cause = %change.cause, "registry");
        }
        if !changes.is_empty() {
            self.keep(changes);
        }
    }
}

/// Changes that share a commit at most.
const BATCH: usize = 512;

/// How long watchers are left alone after a change, so that they read it together with those that follow at once.
const COALESCE: Duration = Duration::from_millis(20);

/// How often the writer looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
