//! Sources of endpoints outside of the configuration.
//!
//! ```text
//!   follow ──► a task for each source, one for all files ──► files, HTTP servers, name servers
//!                     │ heard
//!                     ▼
//!              Progress (pure: what is known) ──► publish, when a list has changed
//! ```
//!
//! All the addresses of a name are kept by the [`Resolver`](dns::Resolver), as those of every host name.

pub mod dns;
mod file;
mod http;
mod list;
mod pace;
mod progress;
mod reach;
mod srv;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fulcrum_model::{Address, Source};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use list::{Entry, Mistakes};
pub use progress::{Counters, SourceStatus};
pub use trouble::Trouble;

use dns::system::{NameServers, System};
use progress::{Outcome, Progress, Told};

/// Keeps the lists of sources, until it is dropped.
pub struct Sources {
    shared: Arc<Shared>,
    /// Of those that have a task of their own.
    tasks: Mutex<BTreeMap<Source, Task>>,
    files: watch::Sender<BTreeSet<PathBuf>>,
    _file_task: Task,
}

impl Sources {
    /// `publish` is told a source and its whole list after its first word and whenever the list has changed, one call at
    /// a time. It must neither block nor panic, nor ask anything of this.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time and I/O enabled.
    pub fn start(publish: impl Fn(&Source, &Arc<[Entry]>) + Send + Sync + 'static) -> Sources {
        let shared = Arc::new(Shared::new(publish));
        let (files, followed) = watch::channel(BTreeSet::new());
        let file_task = Task::spawn(file::follow(Arc::clone(&shared), followed));
        Sources { shared, tasks: Mutex::default(), files, _file_task: file_task }
    }

    /// Follows exactly these from now on, and publishes what is known of them already; what is known of the others is
    /// forgotten. Host names have a follower of their own. `own` tells where this daemon listens, whenever a source has
    /// spoken: what other machines say does not lead there.
    pub fn follow(&self, sources: &BTreeSet<Source>, own: Own) {
        *self.shared.own.lock().unwrap_or_else(PoisonError::into_inner) = own;
        let followed = sources.iter().filter(|source| !matches!(source, Source::Dns(_))).cloned().collect();
        let new = self.shared.follow(&followed);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|source, _| followed.contains(source));
        for source in new {
            let shared = Arc::clone(&self.shared);
            let task = match source.clone() {
                Source::Http(pull) => Task::spawn(http::follow(shared, pull)),
                Source::Srv(name) => Task::spawn(srv::follow(shared, name)),
                Source::File(_) | Source::Dns(_) => continue,
            };
            tasks.insert(source, task);
        }
        let path = |source: &Source| match source {
            Source::File(path) => Some(path.clone()),
            _ => None,
        };
        let paths = followed.iter().filter_map(path).collect();
        self.files.send_if_modified(|files| std::mem::replace(files, paths) != *files);
    }

    /// Every followed source, sorted.
    pub fn status(&self) -> Vec<SourceStatus> {
        self.shared.known().status(self.shared.now())
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> Counters {
        self.shared.known().counters()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

/// What the tasks and those who read have in common.
struct Shared {
    /// Held for moments, and while a list is published: so that the last one published is the last one heard.
    known: Mutex<Progress>,
    publish: Publish,
    /// Where this daemon listens.
    own: Mutex<Own>,
    /// How this machine resolves names.
    system: Mutex<System>,
    started: Instant,
}

/// Tells where this daemon listens. It must neither block nor panic.
pub type Own = Arc<dyn Fn() -> Vec<SocketAddr> + Send + Sync>;

type Publish = Box<dyn Fn(&Source, &Arc<[Entry]>) + Send + Sync>;

impl Shared {
    fn new(publish: impl Fn(&Source, &Arc<[Entry]>) + Send + Sync + 'static) -> Self {
        let servers = NameServers::ResolvConf(PathBuf::from("/etc/resolv.conf"));
        Shared {
            known: Mutex::default(),
            publish: Box::new(publish),
            own: Mutex::new(Arc::new(Vec::new)),
            system: Mutex::new(System::new(servers, PathBuf::from("/etc/hosts"))),
            started: Instant::now(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Progress> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Where this daemon listens now.
    fn own(&self) -> Vec<SocketAddr> {
        let own = Arc::clone(&self.own.lock().unwrap_or_else(PoisonError::into_inner));
        own()
    }

    fn follow(&self, sources: &BTreeSet<Source>) -> Vec<Source> {
        let mut known = self.known();
        let new = known.follow(sources);
        let own = self.own();
        let mut left_out = Vec::new();
        for source in sources {
            let Some(list) = known.list(source) else { continue };
            let usable = usable(source, &list, &own);
            if usable.len() < list.len() {
                left_out.push((source, list.len() - usable.len()));
            }
            known.publishes(source, &usable);
            (self.publish)(source, &usable);
        }
        drop(known);
        for (source, endpoints) in left_out {
            let kind = source.kind();
            tracing::warn!(kind, %source, endpoints, "endpoints where this daemon listens now are not used");
        }
        new
    }

    /// Publishes what may be used of the list of a source, if that is something else than before.
    fn publish_new(&self, known: &mut Progress, source: &Source) {
        let Some(list) = known.list(source) else { return };
        let usable = usable(source, &list, &self.own());
        if known.publishes(source, &usable) {
            (self.publish)(source, &usable);
        }
    }

    /// Takes what a source was heard to say, and tells how often in a row it has now failed.
    fn heard(&self, source: &Source, heard: Result<Told, Trouble>) -> u32 {
        let (kind, trouble) = (source.kind(), heard.as_ref().err().cloned());
        let (outcome, was_failing, failures) = {
            let mut known = self.known();
            let was_failing = known.failures(source) > 0;
            let outcome = known.heard(source, heard, self.now());
            self.publish_new(&mut known, source);
            (outcome, was_failing, known.failures(source))
        };
        // Not under the lock: whoever reads the log may be slow.
        if was_failing && failures == 0 {
            tracing::info!(kind, %source, "tells endpoints again");
        }
        match (outcome, trouble) {
            (Outcome::Changed(list), _) => {
                tracing::info!(kind, %source, endpoints = list.len(), "endpoints have changed");
            }
            (Outcome::Worse, Some(trouble)) => {
                let reason = trouble.as_str();
                tracing::warn!(kind, %source, reason, "the endpoints stay as they were: {trouble}");
            }
            _ => {}
        }
        failures
    }

    fn heard_of_file(&self, path: &Path, heard: Result<Told, Trouble>) {
        self.heard(&Source::File(path.to_owned()), heard);
    }

    /// A client that resolves names by the files as they are now.
    fn client(&self) -> Arc<dns::lookup::Client> {
        self.system.lock().unwrap_or_else(PoisonError::into_inner).client()
    }
}

/// What of a list may be used: it was looked at when it was told, and this daemon may have begun to listen at one of its
/// addresses since.
fn usable(source: &Source, list: &Arc<[Entry]>, own: &[SocketAddr]) -> Arc<[Entry]> {
    let is_of_others = matches!(source, Source::Http(_) | Source::Srv(_));
    let leads_to_us = |entry: &Entry| match entry.address {
        Address::Tcp(address) => reach::refuse(address, own).is_err(),
        Address::Unix(_) => false,
    };
    if !is_of_others || !list.iter().any(leads_to_us) {
        return Arc::clone(list);
    }
    list.iter().filter(|entry| !leads_to_us(entry)).cloned().collect()
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Task {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Task(tokio::spawn(future))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::progress::tests::told;
    use super::*;

    type Published = Arc<Mutex<Vec<(String, Vec<String>)>>>;

    /// What was published since it was asked last.
    fn take(published: &Published) -> Vec<(String, Vec<String>)> {
        std::mem::take(&mut *published.lock().expect("it is not held"))
    }

    #[tokio::test]
    async fn no_list_of_others_leads_to_where_we_listen_now() {
        let published = Published::default();
        let told_to = Arc::clone(&published);
        let shared = Shared::new(move |source, list| {
            let addresses = list.iter().map(|entry| entry.address.to_string()).collect();
            told_to.lock().expect("it is not held").push((source.kind().to_owned(), addresses));
        });
        let listen = |own: &[&str]| {
            let own: Vec<SocketAddr> = own.iter().map(|own| own.parse().expect("an address")).collect();
            *shared.own.lock().expect("it is not held") = Arc::new(move || own.clone());
        };
        let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(1));
        let url = "http://sd/a".parse().expect("a URL");
        let pull = Source::Http(fulcrum_model::Pull { url, interval, timeout });
        let file = Source::File("/list.json".into());
        let sources = BTreeSet::from([pull.clone(), file.clone()]);
        shared.follow(&sources);
        let both = ["127.0.0.1:9001", "127.0.0.1:9002"];
        let is = |kind: &str, addresses: &[&str]| {
            (kind.to_owned(), addresses.iter().map(|address| (*address).to_owned()).collect::<Vec<_>>())
        };
        shared.heard(&file, told(&both));
        shared.heard(&pull, told(&both));
        assert_eq!(take(&published), [is("file", &both), is("http", &both)]);
        shared.heard(&pull, told(&both));
        assert_eq!(take(&published), []);
        listen(&["0.0.0.0:9001"]);
        shared.follow(&sources);
        let mut found = take(&published);
        found.sort();
        // Who writes files of this machine may lead anywhere.
        assert_eq!(found, [is("file", &both), is("http", &both[1..])]);
        shared.heard(&pull, Err(Trouble::Timeout));
        assert_eq!(take(&published), [], "it stays so");
        // What this daemon has besides its listeners changes a moment after them: the next look sees it.
        listen(&["127.0.0.1:9002"]);
        shared.heard(&pull, Err(Trouble::Timeout));
        assert_eq!(take(&published), [is("http", &both[..1])]);
        listen(&[]);
        shared.heard(&pull, told(&both));
        assert_eq!(take(&published), [is("http", &both)]);
    }
}
