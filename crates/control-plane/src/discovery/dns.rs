//! Host names, kept resolved.
//!
//! ```text
//!   follow ──► Names (pure: what is known, what is due) ──► lookup ──► name servers, hosts file
//!                ▲                                             │
//!                └─────────── answered, failed ◄───────────────┘
//!                      │
//!                      └──► publish, when the addresses of a name have changed
//! ```
//!
//! A name keeps its last good addresses whatever happens: name servers that are silent, and names that are suddenly gone,
//! are mistakes far more often than they are meant.

mod failure;
pub(super) mod lookup;
mod names;
pub(super) mod system;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{self, JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

pub use failure::Failure;
pub use names::{Counters, NameStatus};

use lookup::Answer;
use names::Names;
use system::{NameServers, System};

use super::pace::random_seed;

/// Keeps the addresses of host names, until it is dropped.
pub struct Resolver {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Resolver {
    /// Resolves as the system does: by `/etc/hosts`, and by the name servers and the search list of `/etc/resolv.conf`,
    /// both read again when they change. It does not fail without them: like the C library it then asks this machine.
    ///
    /// `publish` is told a name and all its addresses (at least one, sorted, no two the same) after its first answer and
    /// whenever they have changed, one call at a time. A call may come after its name was let go. It must not block or
    /// panic.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time and I/O enabled.
    pub fn start(publish: impl Fn(&str, &[IpAddr]) + Send + Sync + 'static) -> Resolver {
        Resolver::with(NameServers::ResolvConf(PathBuf::from("/etc/resolv.conf")), publish)
    }

    /// As [`start`](Self::start), but asks these name servers (the first three of them), in this order, and has no
    /// search list.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time and I/O enabled.
    pub fn with_servers(
        servers: Vec<SocketAddr>,
        publish: impl Fn(&str, &[IpAddr]) + Send + Sync + 'static,
    ) -> Resolver {
        Resolver::with(NameServers::Fixed(servers), publish)
    }

    fn with(servers: NameServers, publish: impl Fn(&str, &[IpAddr]) + Send + Sync + 'static) -> Resolver {
        let shared = Arc::new(Shared {
            names: Mutex::new(Names::new(random_seed())),
            followed: Notify::new(),
            heard: Notify::new(),
            started: Instant::now(),
        });
        let system = System::new(servers, PathBuf::from("/etc/hosts"));
        let lookups =
            Lookups { shared: Arc::clone(&shared), system, running: JoinSet::new(), asked: HashMap::new() };
        Resolver { shared, task: tokio::spawn(lookups.run(publish)) }
    }

    /// Keeps exactly these names resolved from now on: lower-case DNS names, relative ones without a final dot. What is
    /// known of a name that stays is kept and not published again; the others are forgotten.
    pub fn follow(&self, names: &BTreeSet<String>) {
        self.shared.names().follow(names, self.shared.now());
        self.shared.followed.notify_one();
        self.shared.heard.notify_waiters();
    }

    /// Waits until every followed name has been answered, or could not be, at least once.
    pub async fn settled(&self) {
        loop {
            // Made before the look, so that nothing in between is missed.
            let heard = self.shared.heard.notified();
            if self.shared.names().is_settled() {
                return;
            }
            heard.await;
        }
    }

    /// The addresses of a name, as last published. Empty before its first answer, and for a name that is not followed.
    pub fn addresses(&self, name: &str) -> Arc<[IpAddr]> {
        self.shared.names().addresses(name)
    }

    /// Every followed name, sorted.
    pub fn status(&self) -> Vec<NameStatus> {
        self.shared.names().status(self.shared.now())
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> Counters {
        self.shared.names().counters()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

/// What the task that asks and those who read have in common.
struct Shared {
    /// Held for moments, never while waiting.
    names: Mutex<Names>,
    /// Other names are followed.
    followed: Notify,
    /// A lookup has ended.
    heard: Notify,
    started: Instant,
}

impl Shared {
    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The task that asks.
struct Lookups {
    shared: Arc<Shared>,
    system: System,
    running: JoinSet<Result<Answer, Failure>>,
    /// Which name a running lookup is for; it stays known when the lookup panics.
    asked: HashMap<task::Id, Arc<str>>,
}

impl Lookups {
    async fn run(mut self, publish: impl Fn(&str, &[IpAddr])) {
        loop {
            let next = self.ask();
            tokio::select! {
                Some(ended) = self.running.join_next_with_id() => self.hear(ended, &publish),
                () = self.shared.followed.notified() => {}
                () = wait_for(next) => {}
            }
        }
    }

    /// Starts the lookups that are due, and says when to look again.
    fn ask(&mut self) -> Option<Instant> {
        let (due, next) = {
            let mut names = self.shared.names();
            let due = names.due(self.shared.now());
            (due, names.next_due())
        };
        if !due.is_empty() {
            let client = self.system.client();
            for name in due {
                let client = Arc::clone(&client);
                let asked = Arc::clone(&name);
                let lookup = self.running.spawn(async move { client.lookup(&asked).await });
                self.asked.insert(lookup.id(), name);
            }
        }
        next.map(|next| self.shared.started + next)
    }

    fn hear(&mut self, ended: Ended, publish: &impl Fn(&str, &[IpAddr])) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result),
            // A panic: the answer was of a kind that nobody has thought of.
            Err(error) => (error.id(), Err(Failure::Malformed)),
        };
        let name = self.asked.remove(&id).expect("every running lookup is for a name");
        match result {
            Ok(answer) => self.answered(&name, answer, publish),
            Err(failure) => self.failed(&name, failure),
        }
        self.shared.heard.notify_waiters();
    }

    fn answered(&self, name: &str, answer: Answer, publish: &impl Fn(&str, &[IpAddr])) {
        let (was_failing, changed) = {
            let mut names = self.shared.names();
            (names.is_failing(name), names.answered(name, answer, self.shared.now()))
        };
        if was_failing {
            tracing::info!(name, "resolves again");
        }
        // Not under the lock: whoever is told may ask.
        if let Some(addresses) = changed {
            tracing::info!(name, addresses = addresses.len(), "addresses have changed");
            publish(name, &addresses);
        }
    }

    fn failed(&self, name: &str, failure: Failure) {
        let (was_failing, is_failing) = {
            let mut names = self.shared.names();
            let was_failing = names.is_failing(name);
            names.failed(name, failure, self.shared.now());
            (was_failing, names.is_failing(name))
        };
        // Once, not with every attempt.
        if is_failing && !was_failing {
            tracing::warn!(name, reason = failure.as_str(), "cannot be resolved: {failure}");
        }
    }
}

type Ended = Result<(task::Id, Result<Answer, Failure>), JoinError>;

async fn wait_for(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
