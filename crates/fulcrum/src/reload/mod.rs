//! From changed files to another generation: one owner, one sequence, whoever asks.
//!
//! ```text
//!   watch (files) ─┐
//!   SIGHUP ────────┼─► Reloader ─► Owner: load ─► prepare each plane ─► commit each plane ─► one line in the log
//!   POST /reload ──┘               (every error; nothing visible)      (cannot fail)
//! ```
//!
//! What is asked for while a reload is under way is done by one more, behind it: the last content always wins.

mod changes;
pub(crate) mod command;
mod files;
mod history;
mod outcome;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fulcrum_config::{Config, Loaded};
use fulcrum_control_plane::file_watch::{self, Look};
use fulcrum_data_plane::DataPlane;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use crate::admin::{AdminServer, Wait};
use crate::gslb::{self, Gslbd};
use crate::registry::{self, RegistryServer};
use crate::telemetry::Telemetry;

pub(crate) use self::files::Files;
#[cfg(test)]
pub(crate) use self::history::LastError;
pub(crate) use self::history::{ConfigHistory, History};
pub(crate) use self::outcome::{Committed, Mistakes, Reloaded};
use self::outcome::{Outcome, Refusal, line, list};

/// Where reloads are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Reloader {
    requests: mpsc::Sender<Request>,
}

/// The other end of a [`Reloader`], for the owner.
#[derive(Debug)]
pub(crate) struct Requests(mpsc::Receiver<Request>);

#[derive(Debug)]
struct Request {
    trigger: Trigger,
    answer: Option<oneshot::Sender<Outcome>>,
}

/// Who wants a reload. The later ones insist on it, also where nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trigger {
    /// Nobody, but it has been a while.
    Routine,
    /// The file system: something was written.
    Files,
    /// SIGHUP.
    Signal,
    /// The admin API.
    Operator,
}

impl Reloader {
    /// A reloader, and what its owner needs.
    pub(crate) fn new() -> (Self, Requests) {
        let (requests, receiver) = mpsc::channel(MOST_REQUESTS);
        (Reloader { requests }, Requests(receiver))
    }

    /// Has the files read, also if they have not changed. Waits for nothing.
    pub(crate) fn signal(&self) {
        // When the queue is full a reload that sees what we would see is coming anyway.
        let _ = self.requests.try_send(Request { trigger: Trigger::Signal, answer: None });
    }

    /// Has the files read and waits for the outcome, which is that of files as they are now or later. Nothing when the
    /// daemon is ending. Blocks the thread.
    pub(crate) fn reload(&self, wait: Wait, data_plane: &DataPlane) -> Option<Result<Reloaded, Mistakes>> {
        let (answer, outcome) = oneshot::channel();
        let request = Request { trigger: Trigger::Operator, answer: Some(answer) };
        self.requests.blocking_send(request).ok()?;
        match outcome.blocking_recv().ok()? {
            Outcome::Committed(committed) => {
                let everywhere = match wait {
                    Wait::Committed => data_plane.is_everywhere(committed.generation),
                    Wait::Everywhere => await_everywhere(data_plane, committed.generation),
                };
                Some(Ok(Reloaded { committed: *committed, everywhere }))
            }
            Outcome::Refused(mistakes) => Some(Err(mistakes)),
            Outcome::Unchanged => unreachable!("an operator insists"),
        }
    }
}

/// Waits for every worker; false when one takes longer than a worker that lives can.
fn await_everywhere(data_plane: &DataPlane, generation: u64) -> bool {
    let began = Instant::now();
    while !data_plane.is_everywhere(generation) {
        if began.elapsed() > EVERYWHERE_WITHIN {
            return false;
        }
        // Workers wake nobody; they look between two requests, which is soon.
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Everything that a reload changes.
pub(crate) struct Owner {
    pub(crate) files: Files,
    /// What is in force.
    pub(crate) config: Config,
    pub(crate) data_plane: Arc<DataPlane>,
    pub(crate) admin: AdminServer,
    pub(crate) instances: Option<RegistryServer>,
    pub(crate) responder: Option<Gslbd>,
    pub(crate) telemetry: Telemetry,
    pub(crate) history: Arc<History>,
}

impl Owner {
    /// Reloads whenever asked to and whenever the files change (`touched`), until `stopped`; then gives everything
    /// back. Meanwhile sees to it that old generations are freed.
    ///
    /// On a thread of its own: building blocks, and generations that are built and freed by one thread share its heap.
    /// Spread over threads each of them would keep the memory of the largest.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        self,
        requests: Requests,
        touched: Arc<Notify>,
        stopped: oneshot::Receiver<()>,
    ) -> io::Result<oneshot::Receiver<Self>> {
        let (done, ended) = oneshot::channel();
        let runtime = Handle::current();
        std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let run = AssertUnwindSafe(|| runtime.block_on(self.run(requests, touched, stopped)));
            match catch_unwind(run) {
                // Nobody waits for it when the daemon is ending for another reason.
                Ok(owner) => drop(done.send(owner)),
                Err(_) => tracing::error!("a defect has ended reloading: what is in force stays in force"),
            }
        })?;
        Ok(ended)
    }

    async fn run(
        mut self,
        requests: Requests,
        touched: Arc<Notify>,
        mut stopped: oneshot::Receiver<()>,
    ) -> Self {
        let Requests(mut requests) = requests;
        let mut ticks = interval(TIDY_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let look = file_watch::next_look(&touched);
        tokio::pin!(look);
        loop {
            let first = tokio::select! {
                biased;
                _ = &mut stopped => return self,
                Some(request) = requests.recv() => request,
                found = &mut look => {
                    look.set(file_watch::next_look(&touched));
                    Request { trigger: found.into(), answer: None }
                }
                _ = ticks.tick() => {
                    self.data_plane.tidy();
                    continue;
                }
            };
            let all: Vec<Request> =
                std::iter::once(first).chain(std::iter::from_fn(|| requests.try_recv().ok())).collect();
            self.serve(all);
            // Requests may come one upon the other: what they retire must not wait for a pause.
            self.data_plane.tidy();
        }
    }

    /// One reload for all who want one.
    fn serve(&mut self, requests: Vec<Request>) {
        let trigger = requests.iter().map(|request| request.trigger).max().unwrap_or(Trigger::Routine);
        let outcome = self.reload(trigger);
        for answer in requests.into_iter().filter_map(|request| request.answer) {
            // Whoever has stopped waiting can find it in the log.
            let _ = answer.send(outcome.clone());
        }
    }

    fn reload(&mut self, trigger: Trigger) -> Outcome {
        let began = Instant::now();
        // A defect in what loads and prepares must not end a daemon that serves: nothing was put in force.
        let result = catch_unwind(AssertUnwindSafe(|| self.sequence(trigger)));
        let result = result.unwrap_or_else(|_| {
            Err(Refusal::Prepare(vec!["a defect: the diagnostics of the daemon tell more".to_owned()]))
        });
        let outcome = result.unwrap_or_else(|refusal| Outcome::Refused(refusal.into()));
        if outcome_counts(trigger, &outcome) {
            self.history.add(&outcome);
        }
        tell(trigger, &outcome, began.elapsed());
        outcome
    }

    /// Read, prepare each plane, commit each plane.
    fn sequence(&mut self, trigger: Trigger) -> Result<Outcome, Refusal> {
        if trigger < Trigger::Signal && !self.files.have_changed() {
            return Ok(Outcome::Unchanged);
        }
        let Loaded { config, warnings, .. } = self.files.load()?;
        let refused = registry::refuse(self.instances.as_ref(), &config);
        let (next, wrong) = match gslb::prepare(self.responder.as_ref(), &config) {
            Ok(next) => (next, None),
            Err(wrong) => (None, Some(wrong)),
        };
        let refused: Vec<String> = refused.into_iter().chain(wrong).collect();
        let (data_plane, admin) = match (self.data_plane.prepare(&config), self.admin.prepare(&config.admin))
        {
            (Ok(data_plane), Ok(admin)) if refused.is_empty() => (data_plane, admin),
            (data_plane, admin) => {
                return Err(Refusal::of_planes(data_plane.err(), admin.err(), refused));
            }
        };
        data_plane.listen().map_err(|error| Refusal::of_planes(Some(error), None, Vec::new()))?;
        let generation = data_plane.commit();
        self.admin.commit(admin);
        let own = registry::own_addresses(&self.data_plane, &self.admin.addresses());
        registry::follow(self.instances.as_mut(), &config, own);
        gslb::commit(self.responder.as_ref(), next, generation);
        self.telemetry.show(config.log.level);
        let changes = changes::diff(&self.config, &config, self.files.take_changed_data());
        self.config = config;
        Ok(Outcome::Committed(Box::new(Committed { generation, changes, warnings: list(&warnings) })))
    }
}

/// A look that nobody caused and that found nothing is no event.
fn outcome_counts(trigger: Trigger, outcome: &Outcome) -> bool {
    !(trigger == Trigger::Routine && matches!(outcome, Outcome::Unchanged))
}

fn tell(trigger: Trigger, outcome: &Outcome, took: Duration) {
    let cause = match trigger {
        Trigger::Routine | Trigger::Files => "the files have changed",
        Trigger::Signal => "SIGHUP",
        Trigger::Operator => "the admin API",
    };
    match outcome {
        Outcome::Committed(committed) => {
            committed.warnings.iter().for_each(tell_mistake);
            let Committed { generation, changes, .. } = &**committed;
            tracing::info!(generation, ?took, cause, "reloaded: {changes}");
        }
        Outcome::Refused(mistakes) => {
            mistakes.errors.iter().for_each(tell_mistake);
            tracing::error!(cause, "reload refused: nothing has changed");
        }
        Outcome::Unchanged => tracing::debug!("the files hold what they held before"),
    }
}

fn tell_mistake(mistake: &Value) {
    match mistake["severity"].as_str() {
        Some("warning") => tracing::warn!("configuration: {}", line(mistake)),
        _ => tracing::error!("configuration: {}", line(mistake)),
    }
}

impl From<Look> for Trigger {
    fn from(look: Look) -> Self {
        match look {
            Look::Touched => Trigger::Files,
            Look::Routine => Trigger::Routine,
        }
    }
}

/// Who waits for a reload; more wait for a place.
const MOST_REQUESTS: usize = 256;

/// A worker without progress for 10 s ends the process.
const EVERYWHERE_WITHIN: Duration = Duration::from_secs(15);

/// A retired generation is freed so late at most, once nobody holds it.
const TIDY_EVERY: Duration = Duration::from_secs(1);
