//! The one who changes the registry: command by command in memory, batch by batch on the disk.

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
    /// What the file may hold otherwise than the state does, after a failure.
    doubtful: Vec<Key>,
    reopen_at: Instant,
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
            reopen_at: now,
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
        let failure = match self.store.as_mut().map(|store| store.commit(&changes)) {
            Some(Ok(())) => {
                self.shared.counters.commits.fetch_add(1, Ordering::Relaxed);
                *lock(&self.shared.committed) = Some(Instant::now());
                self.kept(changes);
                return true;
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        if let Some(error) = failure {
            tracing::error!(%error, "the registry takes no changes for now");
            self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
            self.shared.counters.is_writable.store(false, Ordering::Relaxed);
            self.store = None;
            // A failed commit may have reached the disk all the same.
            self.doubtful.extend(changes.iter().map(|change| change.key.clone()));
            self.reopen_at = Instant::now() + REOPEN_AFTER;
        }
        self.state.undo(changes);
        false
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
    /// may change their minds, watchers hear of one at most every [`COALESCE`].
    fn weigh(&mut self) {
        self.weigh_at = None;
        let weighed = self.shared.weighed.take();
        let now = self.now();
        let commands = weighed.iter().filter_map(|(key, lease)| weighed::command(key, lease));
        let done = commands.filter_map(|command| self.state.apply(command, now).ok());
        let changes: Vec<Change> = done.flat_map(|done| done.changes).collect();
        if changes.is_empty() {
            return;
        }
        if self.keep(changes) {
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
        self.do_all(judgement.commands);
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

    /// After a failure opens the file again, now and then, and sets right what it may hold wrongly.
    fn reopen(&mut self) {
        if self.store.is_some() || Instant::now() < self.reopen_at {
            return;
        }
        self.reopen_at = Instant::now() + REOPEN_AFTER;
        // A file that is made anew continues this history.
        let (mut store, image) = match Embedded::open(&self.file, self.shared.epoch.0) {
            Ok(opened) => opened,
            Err(error) => return tracing::error!(%error, "the registry's file cannot be opened"),
        };
        if image.epoch != self.shared.epoch {
            return tracing::error!(file = %self.file.display(), "another registry is in the place of this one's file");
        }
        if image.sequence == Sequence(0) {
            self.doubtful = self.state.all().map(|(instance, _)| instance.key.clone()).collect();
        }
        let doubtful = self.doubtful.iter().map(|key| {
            let instance = self.state.find(key).map(|(instance, _)| &**instance);
            (key, instance, self.state.departure(key))
        });
        match store.set(doubtful) {
            Ok(()) => {
                tracing::info!("the registry takes changes again");
                self.doubtful.clear();
                self.shared.counters.is_writable.store(true, Ordering::Relaxed);
                self.store = Some(store);
            }
            Err(error) => tracing::error!(%error, "the registry's file cannot be written"),
        }
    }

    fn forget(&mut self) {
        self.forget_at = Instant::now() + FORGET_EVERY;
        self.shared.contents.forget(&self.state);
        let state = &self.state;
        let forgotten = self.store.as_mut().map(|store| store.forget(|key| state.departure(key).is_none()));
        if let Some(Err(error)) = forgotten {
            tracing::error!(%error, "the registry takes no changes for now");
            self.shared.counters.is_writable.store(false, Ordering::Relaxed);
            self.store = None;
        }
    }
}

/// Changes that share a commit at most.
const BATCH: usize = 512;

/// How long watchers are left alone after a change, so that they read it together with those that follow at once.
const COALESCE: Duration = Duration::from_millis(20);

/// How often the writer looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// How long a file that failed is left alone.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// How often the file is rid of those who need not be remembered.
const FORGET_EVERY: Duration = Duration::from_secs(60);
