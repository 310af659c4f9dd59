//! The registry, running: one writer changes it, everyone reads what is published.
//!
//! ```text
//!   register, leave, order ─► Writer (a thread): State::apply ─► store ─► answer ─► publish ─► watchers
//!   heartbeat ─► Published: find the lease, one store                        ▲
//!       ├─► another weight than before ─► Weighed: gathered for a moment ────┤
//!       └─► what it has under way ─► LoadReports: whoever listens            │
//!   leases that lapse ─► eviction (evidence from the data plane) ────────────┘
//! ```
//!
//! What a reader sees has been kept before. Without room on the disk changes are refused, and reading, watching and
//! heartbeats go on.

mod beat;
mod history;
mod places;
mod published;
mod summary;
mod watch;
mod weighed;
mod writer;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fulcrum_balance::Rng;
use fulcrum_model::ServiceName;
use tokio::sync::oneshot;

use crate::eviction::{Mood, Policy, Reaches};
use crate::state::{Bounds, Command, Instance, Refusal, Sequence};
use crate::store::{OpenError, StoreEpoch};
use published::Contents;
use weighed::Weighed;
use writer::Writer;

pub use crate::state::{Entry, Roster};
pub use beat::{Beat, Heartbeat};
pub use published::Published;
pub use summary::{MOST_SUSPECTS, Summary, Suspect};
pub use watch::{Event, MOST_AT_ONCE, Reset, Watcher};

/// How a registry is to be run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that it is kept in.
    pub file: PathBuf,
    /// How much silence is believed.
    pub policy: Policy,
    /// How much it holds.
    pub bounds: Bounds,
}

/// What is known of the ways to the instances of a service, by whoever sends traffic there.
pub type Evidence = Box<dyn Fn(&ServiceName) -> Reaches + Send>;

/// A registry that runs until it is stopped.
pub struct Registry {
    shared: Arc<Shared>,
    requests: SyncSender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer and the readers have in common.
#[derive(Debug)]
struct Shared {
    epoch: StoreEpoch,
    started: Instant,
    /// How long the lease clock has stood still, in milliseconds.
    stood_still: AtomicU64,
    contents: Contents,
    weighed: Weighed,
    stopping: AtomicBool,
    counters: Counters,
    /// When the last change was kept.
    committed: Mutex<Option<Instant>>,
    mood: Mutex<Mood>,
    policy: Mutex<Policy>,
}

/// What has been counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Heartbeats that renewed a lease.
    pub renewals: AtomicU64,
    /// Heartbeats of instances that are not registered.
    pub unknown: AtomicU64,
    /// Heartbeats of registrations that were replaced.
    pub stale: AtomicU64,
    /// Heartbeats for instances of someone else.
    pub foreign: AtomicU64,
    /// Events that were published.
    pub events: AtomicU64,
    /// Commits to the store.
    pub commits: AtomicU64,
    /// Commits that failed.
    pub failures: AtomicU64,
    /// Instances removed for want of heartbeats.
    pub evictions: AtomicU64,
    /// Changes that found the queue full.
    pub overloads: AtomicU64,
    /// Watchers that were too slow and begin anew.
    pub resets: AtomicU64,
    /// Whether the store takes changes now.
    pub is_writable: AtomicBool,
}

/// What the writer is told: a wish, or only that instances have said other weights than before.
type Message = Option<Request>;

/// A wish, and who waits for the outcome.
struct Request {
    command: Command,
    answer: oneshot::Sender<Result<Outcome, Failure>>,
}

/// What came of a wish.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// As it is now; as it was last, when it has gone.
    pub instance: Arc<Instance>,
    /// Whether anything has changed.
    pub has_changed: bool,
    /// Whether a registration number was given out.
    pub is_new: bool,
}

/// Why a wish was not fulfilled. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What has changed cannot be kept at the moment. Try again.
    #[error("the registry's file cannot be written at the moment")]
    Store,
    /// Too many want something at once. Try again.
    #[error("too many changes are waiting")]
    Overload,
    /// The registry ends.
    #[error("the registry is ending")]
    Ending,
}

/// A registry whose file is open; nothing has begun.
pub struct Opened {
    writer: Writer,
    shared: Arc<Shared>,
}

impl Opened {
    /// Opens the file. `seed` makes its random choices differ from those of others.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(settings: Settings, seed: u64) -> Result<Opened, OpenError> {
        let (writer, shared) = Writer::open(settings, Rng::from_seed(seed), Instant::now())?;
        Ok(Opened { writer, shared })
    }

    /// Begins: from here on leases run.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(self, evidence: Evidence) -> io::Result<Registry> {
        let Opened { writer, shared } = self;
        let (requests, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("registry".to_owned());
        let thread = thread.spawn(move || writer.run(&receiver, evidence))?;
        Ok(Registry { shared, requests, writer: Mutex::new(Some(thread)) })
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("epoch", &self.shared.epoch).finish_non_exhaustive()
    }
}

impl Registry {
    /// Has the writer apply a command; returns when the change has been kept.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub async fn apply(&self, command: Command) -> Result<Outcome, Failure> {
        let (answer, outcome) = oneshot::channel();
        self.requests.try_send(Some(Request { command, answer })).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.shared.counters.overloads.fetch_add(1, Ordering::Relaxed);
                Failure::Overload
            }
            TrySendError::Disconnected(_) => Failure::Ending,
        })?;
        outcome.await.unwrap_or(Err(Failure::Ending))
    }

    /// The instances of a service; `None` when there never was one, as far as is remembered.
    pub fn service(&self, name: &ServiceName) -> Option<Arc<Published>> {
        self.shared.contents.service(name)
    }

    /// All services, by name, and the last event of any.
    pub fn services(&self) -> (Vec<(ServiceName, Arc<Published>)>, Sequence) {
        self.shared.contents.all()
    }

    /// Follows these services, or all, from the state that is published now, or from the event after `since`.
    ///
    /// # Errors
    /// Not all that has happened since then is known any more.
    pub fn watch(
        &self,
        services: Option<Vec<ServiceName>>,
        since: Option<Sequence>,
    ) -> Result<Watcher, Reset> {
        Watcher::new(Arc::clone(&self.shared), services, since)
    }

    /// How many follow it now.
    pub fn watchers(&self) -> usize {
        self.shared.contents.wakers.count()
    }

    /// From here on silence is believed so much.
    pub fn follow(&self, policy: Policy) {
        *lock(&self.shared.policy) = policy;
    }

    /// Which history this is.
    pub fn epoch(&self) -> StoreEpoch {
        self.shared.epoch
    }

    /// How long a lease still lasts; zero when it has run out.
    pub fn remaining(&self, entry: &Entry) -> Duration {
        entry.lease.deadline().saturating_sub(self.shared.lease_now())
    }

    /// What is believed of the silence of instances.
    pub fn mood(&self) -> Mood {
        *lock(&self.shared.mood)
    }

    /// What has been counted.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Ends: what has been asked for is done first. Blocks for as long as that takes.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let writer = lock(&self.writer).take();
        if let Some(Err(_)) = writer.map(JoinHandle::join) {
            tracing::error!("the registry's writer has died");
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("epoch", &self.shared.epoch).finish_non_exhaustive()
    }
}

impl Shared {
    fn lease_now(&self) -> Duration {
        let stood_still = Duration::from_millis(self.stood_still.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(stood_still)
    }
}

/// What is behind these locks is whole whenever nobody holds them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes that wait for the writer; more are refused.
const QUEUE: usize = 8192;

#[cfg(test)]
mod tests;
