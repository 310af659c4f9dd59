//! An instance that is kept registered: a thread of its own asks each registry what its [`Lifecycle`] decides.
//!
//! The thread has a runtime of its own, too: heartbeats come in time however busy that of the application is, and the
//! departure goes out when the application's runtime is gone already.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::ask::AskError;
use crate::board::Board;
use crate::instance::Instance;
use crate::keeper::{FAREWELL, Keeper};
use crate::lifecycle::Lifecycle;
use crate::load::LoadReport;
use crate::registry::{Registry, random};
use crate::url::RegistryUrl;

/// An instance that is registered, or on its way. While it is there heartbeats go out; dropping it takes the instance out,
/// which takes two seconds at most.
#[derive(Debug)]
pub struct Registered {
    /// One for each registry; none when it is dropped.
    wishes: Vec<mpsc::Sender<Duration>>,
    urls: Vec<RegistryUrl>,
    board: Arc<Board>,
    load: LoadReport,
    /// Nothing is ever sent: it is closed when the thread has ended.
    over: Receiver<()>,
}

/// What is known of the instance's place in a registry.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where it stands.
    pub state: State,
    /// Its registration number, when it has one.
    pub epoch: Option<u64>,
    /// Why the last question was not answered as it should have been; nothing after a good answer.
    pub problem: Option<Arc<AskError>>,
}

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not registered, or not any more: the registry is being asked.
    Registering,
    /// It is registered, as far as the last answer says.
    Up,
    /// It gets no new work, by its own wish or an operator's, and is to finish what it has.
    Draining,
    /// An operator has taken it out.
    Maintenance,
    /// It has left. For ever.
    Left,
    /// Another process is registered under its id: this one is to end. For ever.
    Replaced,
    /// No registry takes what it says of itself: see [`Status::problem`]. For ever.
    Refused,
}

/// Why an instance is not registered, or has not left.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InstanceError {
    /// Another process has taken its place: this one is to end.
    #[error("another process has been registered under the same id")]
    Replaced,
    /// It has left, or its thread has ended.
    #[error("the instance has left")]
    Left,
    /// The registry refuses it.
    #[error("the registry refuses the instance: {0}")]
    Refused(Arc<AskError>),
    /// The registry could not be told that it leaves; its lease runs out.
    #[error("the registry does not know that the instance leaves{}", .0.as_ref().map_or_else(String::new, |error| format!(": {error}")))]
    Unheard(Option<Arc<AskError>>),
}

impl Registry {
    /// Registers the instance at every address, and keeps it registered until what is returned is dropped. It returns at
    /// once: see [`Registered::ready`]. An error says that the system gives no thread.
    pub fn register(&self, instance: Instance) -> io::Result<Registered> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let board = Arc::new(Board::new(self.urls().len()));
        let load = LoadReport::new();
        let keeper = |place: usize, url: &RegistryUrl| Keeper {
            url: url.clone(),
            token: self.token().cloned(),
            instance: instance.clone(),
            lifecycle: Lifecycle::new(),
            load: load.clone(),
            board: Arc::clone(&board),
            place,
            rng: random(),
            start: Instant::now(),
            problem: None,
        };
        let mut keepers = JoinSet::new();
        let mut wishes = Vec::new();
        for (place, url) in self.urls().iter().enumerate() {
            let (wish, wished) = mpsc::channel(1);
            keepers.spawn_on(keeper(place, url).keep(wished), runtime.handle());
            wishes.push(wish);
        }
        let (alive, over) = channel();
        let run = move || {
            runtime.block_on(keepers.join_all());
            drop(alive);
        };
        thread::Builder::new().name("fulcrum-lease".to_owned()).spawn(run)?;
        Ok(Registered { wishes, urls: self.urls().to_vec(), board, load, over })
    }
}

impl Registered {
    /// Waits until the instance is registered somewhere; its epoch there. While no registry answers this takes for ever: an
    /// application that cannot do without sets a deadline. Where every registry refuses the instance this says so, but what can
    /// change (an unknown token) is tried again all the same while it is kept.
    pub async fn ready(&self) -> Result<u64, InstanceError> {
        let mut status = self.status();
        let is_decided = |status: &Status| status.epoch.is_some() || status.is_final() || status.is_refused();
        let decided = status.wait_for(is_decided).await.map_err(|_| InstanceError::Left)?;
        match decided.epoch {
            Some(epoch) => Ok(epoch),
            None => Err(decided.error()),
        }
    }

    /// What is known now, and every change of it: `draining` for example, when an operator wants it to end. With several
    /// registries it is what that one says which makes most of the instance: it is `Draining` when none sends it work any
    /// more. Who was replaced at one of them is `Replaced`.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.board.together()
    }

    /// What each registry says now.
    pub fn registries(&self) -> impl Iterator<Item = (&RegistryUrl, Status)> {
        self.urls.iter().zip(self.board.each())
    }

    /// Where to say how busy the instance is.
    pub fn load(&self) -> LoadReport {
        self.load.clone()
    }

    /// Leaves: gets no new work, and is taken out after `drain`, or at once where that is zero. This waits until then,
    /// while heartbeats go on; whoever is done earlier drops the future, which takes the instance out.
    pub async fn leave(self, drain: Duration) -> Result<(), InstanceError> {
        for wishes in &self.wishes {
            // Whoever does not listen has ended for a reason of its own.
            let _ = wishes.send(drain).await;
        }
        match self.status().wait_for(Status::is_final).await {
            Ok(status) => status.outcome(),
            Err(_) => Err(InstanceError::Left),
        }
    }

    /// Waits for SIGTERM or SIGINT, and then [leaves](Self::leave). The signals do nothing else from then on.
    pub async fn leave_on_signal(self, drain: Duration) -> Result<(), InstanceError> {
        // Without signals nobody can tell it to end: it stays until it is dropped.
        if terminated().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.leave(drain).await
    }
}

/// Resolves at SIGTERM or SIGINT, which end the process no more once this was called.
pub async fn terminated() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.wishes.clear();
        // The thread has given up by then; this is for a system that is too busy to let it.
        let _ = self.over.recv_timeout(FAREWELL + FAREWELL / 2);
    }
}

impl Status {
    /// Whether nothing will change any more.
    pub fn is_final(&self) -> bool {
        matches!(self.state, State::Left | State::Replaced | State::Refused)
    }

    /// Whether the registry has given a reason against the instance that time alone does not heal.
    pub(crate) fn is_refused(&self) -> bool {
        let problem = self.problem.as_ref().and_then(|error| error.problem());
        problem.is_some_and(|problem| matches!(problem.status, 401 | 403 | 404))
    }

    /// Whether there is nothing new in the other one.
    pub(crate) fn says_the_same_as(&self, other: &Status) -> bool {
        let text = |status: &Status| status.problem.as_ref().map(|error| error.to_string());
        (self.state, self.epoch) == (other.state, other.epoch) && text(self) == text(other)
    }

    fn error(&self) -> InstanceError {
        match (&self.state, &self.problem) {
            (State::Replaced, _) => InstanceError::Replaced,
            (State::Left, None) => InstanceError::Left,
            (State::Left, Some(problem)) => InstanceError::Unheard(Some(Arc::clone(problem))),
            (_, Some(problem)) => InstanceError::Refused(Arc::clone(problem)),
            (_, None) => InstanceError::Unheard(None),
        }
    }

    fn outcome(&self) -> Result<(), InstanceError> {
        match self.state {
            State::Left if self.problem.is_none() => Ok(()),
            _ => Err(self.error()),
        }
    }
}
