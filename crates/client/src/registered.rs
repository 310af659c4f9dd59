//! An instance that is kept registered: a thread of its own asks what [`Lifecycle`] decides.
//!
//! The thread has a runtime of its own, too: heartbeats come in time however busy that of the application is, and the
//! departure goes out when the application's runtime is gone already.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::ask::AskError;
use crate::instance::Instance;
use crate::keeper::{FAREWELL, Keeper};
use crate::lifecycle::Lifecycle;
use crate::load::LoadReport;
use crate::registry::{Registry, random};

/// An instance that is registered, or on its way. While it is there heartbeats go out; dropping it takes the instance out,
/// which takes two seconds at most.
#[derive(Debug)]
pub struct Registered {
    /// Taken when it is dropped.
    wishes: Option<mpsc::Sender<Duration>>,
    status: watch::Receiver<Status>,
    load: LoadReport,
    /// Nothing is ever sent: it is closed when the thread has ended.
    over: Receiver<()>,
}

/// What is known of the instance's place in the registry.
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
    /// The registry does not take what it says of itself: see [`Status::problem`]. For ever.
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
    /// Registers the instance, and keeps it registered until what is returned is dropped. It returns at once: see
    /// [`Registered::ready`]. An error says that the system gives no thread.
    pub fn register(&self, instance: Instance) -> io::Result<Registered> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut rng = random();
        let lifecycle = Lifecycle::new(self.servers(&mut rng));
        let (wishes, wished) = mpsc::channel(1);
        let first = Status { state: State::Registering, epoch: None, problem: None };
        let (status, published) = watch::channel(first);
        let load = LoadReport::new();
        let (alive, over) = channel();
        let keeper = Keeper {
            registry: self.clone(),
            instance,
            lifecycle,
            load: load.clone(),
            status,
            rng,
            start: Instant::now(),
            problem: None,
        };
        thread::Builder::new()
            .name("fulcrum-lease".to_owned())
            .spawn(move || run(&runtime, keeper, wished, alive))?;
        Ok(Registered { wishes: Some(wishes), status: published, load, over })
    }
}

fn run(
    runtime: &tokio::runtime::Runtime,
    keeper: Keeper,
    wished: mpsc::Receiver<Duration>,
    alive: Sender<()>,
) {
    runtime.block_on(keeper.keep(wished));
    drop(alive);
}

impl Registered {
    /// Waits until the instance is registered; its epoch. While no registry answers this takes for ever: an application
    /// that cannot do without sets a deadline. Where the registry refuses the instance this says so, but what can
    /// change (an unknown token) is tried again all the same while it is kept.
    pub async fn ready(&self) -> Result<u64, InstanceError> {
        let mut status = self.status.clone();
        let is_decided = |status: &Status| status.epoch.is_some() || status.is_final() || status.is_refused();
        let decided = status.wait_for(is_decided).await.map_err(|_| InstanceError::Left)?;
        match decided.epoch {
            Some(epoch) => Ok(epoch),
            None => Err(decided.error()),
        }
    }

    /// What is known now, and every change of it: `draining` for example, when an operator wants it to end.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Where to say how busy the instance is.
    pub fn load(&self) -> LoadReport {
        self.load.clone()
    }

    /// Leaves: gets no new work, and is taken out after `drain`, or at once where that is zero. This waits until then,
    /// while heartbeats go on; whoever is done earlier drops the future, which takes the instance out.
    pub async fn leave(mut self, drain: Duration) -> Result<(), InstanceError> {
        let wishes = self.wishes.as_ref().ok_or(InstanceError::Left)?;
        if wishes.send(drain).await.is_err() {
            // The thread has ended for a reason of its own.
            return self.status.borrow().outcome();
        }
        match self.status.wait_for(Status::is_final).await {
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
        drop(self.wishes.take());
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
    fn is_refused(&self) -> bool {
        let problem = self.problem.as_ref().and_then(|error| error.problem());
        problem.is_some_and(|problem| matches!(problem.status, 401 | 403 | 404))
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
