//! An instance at one registry: asks what the lifecycle decides, and tells what comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fulcrum_balance::Rng;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::ask::AskError;
use crate::board::Board;
use crate::instance::Instance;
use crate::lifecycle::{Answer, Ask, End, Lifecycle, Stage};
use crate::load::LoadReport;
use crate::registered::{State, Status};
use crate::registry::Token;
use crate::url::RegistryUrl;

/// What it works with.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) url: RegistryUrl,
    pub(crate) token: Option<Token>,
    pub(crate) instance: Instance,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) load: LoadReport,
    pub(crate) board: Arc<Board>,
    /// Which one of the registries it is, on the board.
    pub(crate) place: usize,
    pub(crate) rng: Rng,
    pub(crate) start: Instant,
    pub(crate) problem: Option<Arc<AskError>>,
}

impl Keeper {
    /// Until the instance has left, in one way or another.
    pub(crate) async fn keep(mut self, mut wished: mpsc::Receiver<Duration>) {
        while let Some((due, ask)) = self.lifecycle.next() {
            let due = tokio::time::Instant::from_std(self.start + due);
            let wish = tokio::select! {
                biased;
                wish = wished.recv() => Some(wish),
                () = tokio::time::sleep_until(due) => self.ask_unless(ask, &mut wished).await,
            };
            if let Some(wish) = wish {
                let (drain, patience) = match wish {
                    Some(drain) => (drain, drain.max(PATIENCE)),
                    None => (Duration::ZERO, FAREWELL),
                };
                self.lifecycle.leave(drain, patience, self.start.elapsed());
                if wish.is_none() {
                    self.say_farewell().await;
                    break;
                }
            }
            self.publish();
        }
        self.publish();
    }

    /// Asks, unless there is a wish meanwhile: then a heartbeat is of no interest any more. Whoever registers has to
    /// know the outcome, to be able to leave.
    async fn ask_unless(
        &mut self,
        ask: Ask,
        wished: &mut mpsc::Receiver<Duration>,
    ) -> Option<Option<Duration>> {
        let answer = tokio::select! {
            answer = self.ask(ask) => answer,
            wish = wished.recv(), if matches!(ask, Ask::Beat { .. }) => return Some(wish),
        };
        self.take(answer, ask);
        None
    }

    fn take(&mut self, answer: Result<Answer, AskError>, ask: Ask) {
        let now = self.start.elapsed();
        let answer = match answer {
            Ok(answer) => {
                self.problem = None;
                answer
            }
            Err(error) => {
                let answer = Answer::of_error(&error, ask);
                // What is answered to who leaves, or begins anew, is no problem.
                let is_problem = !matches!(answer, Answer::Unknown { .. });
                self.problem = is_problem.then(|| Arc::new(error));
                answer
            }
        };
        self.lifecycle.answered(answer, now, &mut self.rng);
    }

    /// Nobody is there any more to be told, nor to have any wishes: in two seconds it is over.
    async fn say_farewell(&mut self) {
        let farewell = async {
            while let Some((due, ask)) = self.lifecycle.next() {
                tokio::time::sleep_until(tokio::time::Instant::from_std(self.start + due)).await;
                let answer = self.ask(ask).await;
                self.take(answer, ask);
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, AskError> {
        let (url, token, within) = (&self.url, self.token.as_ref(), self.lifecycle.patience());
        let question = match ask {
            Ask::Register { epoch } => self.instance.registration(epoch),
            Ask::Beat { epoch } => self.instance.heartbeat(epoch, self.load.weight(), self.load.load()),
            Ask::Leave { epoch, drain } => {
                let departure = self.instance.departure(epoch, drain);
                return departure.ask(url, token, within).await.map(|_| Answer::Leaving);
            }
        };
        let Renewed { epoch, next_ms, state } = question.document(url, token, within).await?;
        let next = Duration::from_millis(next_ms);
        Ok(Answer::Registered { epoch, next, stage: Stage::parse(&state) })
    }

    /// Tells what has changed.
    fn publish(&self) {
        let state = match (self.lifecycle.end(), self.lifecycle.stage()) {
            (Some(End::Left | End::Unheard), _) => State::Left,
            (Some(End::Replaced), _) => State::Replaced,
            (Some(End::Refused), _) => State::Refused,
            (None, None) => State::Registering,
            (None, Some(Stage::Up)) => State::Up,
            (None, Some(Stage::Draining)) => State::Draining,
            (None, Some(Stage::Maintenance)) => State::Maintenance,
        };
        // Who has left as it wished has no problem any more, whatever it was.
        let problem = self.problem.clone().filter(|_| self.lifecycle.end() != Some(End::Left));
        self.board.tell(self.place, Status { state, epoch: self.lifecycle.epoch(), problem });
    }
}

/// What registrations and heartbeats are answered with.
#[derive(Debug, Deserialize)]
struct Renewed {
    epoch: u64,
    next_ms: u64,
    state: String,
}

/// How long the registry is told that an instance leaves at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same when nobody waits for the outcome: a process that ends is not to be held back.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);
