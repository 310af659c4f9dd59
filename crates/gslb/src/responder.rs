//! The responder: what is seen comes in, verdicts are made of it, and what is answered follows.

mod building;
mod checked;
mod dependents;
mod explain;
mod exposure;
mod groundwork;
mod next;
mod outside;
mod prober;
mod regions;
mod services;
mod simulate;
mod state;
mod status;
mod weights;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use fulcrum_config::gslb::Gslb;
use fulcrum_model::RegionName;
use tokio::task::AbortHandle;

use crate::compiled::Compiled;
use crate::cookie::CookieKeys;
use crate::counters::Counters;
use crate::query_log::{LogCounts, RunningLog};
use crate::rate::Rate;
use crate::region::Region;
use crate::server::{BindError, Server, Shared, Sockets, TcpLimits};
use crate::snapshot::Snapshot;
use crate::verdict::{Memory, Now, Order, Refused, Transition};

use self::building::Job;
use self::checked::{Target, identity};
use self::prober::Prober;
use self::services::Services;
use self::state::State;

pub use self::exposure::Exposed;
pub use self::next::Next;
pub use self::outside::{EndpointView, Outside, Probe, RunProbe, ServiceView, ViewService};
pub use self::simulate::{Load, NameShares, Receiver, Simulation};
pub use self::status::{Answers, RegionStatus};
pub use self::weights::WeightedTarget;

/// A responder that answers.
pub struct Responder {
    shared: Shared,
    state: Arc<Mutex<State>>,
    /// Held by who builds answers, from its look at the state until they are in force; always before the state.
    building: Mutex<()>,
    outside: Outside,
    began: Instant,
    server: Mutex<Option<Server>>,
    /// What was answered before, kept until no worker looks at it: none of them shall be the one who takes it apart.
    retired: Mutex<Vec<Arc<Snapshot>>>,
    /// What makes cookies where the configuration has no keys.
    own_key: Arc<CookieKeys>,
    /// The checks that are made, again and again.
    probes: Mutex<BTreeMap<Target, AbortHandle>>,
    log: Mutex<Option<RunningLog>>,
    log_counts: Arc<LogCounts>,
    addresses: Vec<SocketAddr>,
}

impl Responder {
    /// Begins to answer over sockets that are bound. `key` makes cookies where the configuration has none.
    pub fn start(
        next: Next,
        generation: u64,
        sockets: Sockets,
        outside: Outside,
        (memory, key): (Option<&Memory>, [u8; 16]),
    ) -> std::io::Result<Self> {
        let began = Instant::now();
        let now = Now { clock: Duration::ZERO, wall: SystemTime::now() };
        let counters = Arc::new(Counters::new(next.gslb.workers.get()));
        let limits = TcpLimits::of(&next.gslb.tcp);
        let addresses = sockets.addresses().to_vec();
        let mut next = next;
        let log = next.log.take().flatten();
        let mut state = State::new(next, generation, memory, now);
        // The first answer is one of what there is, too.
        state.services = Services::look(&outside, &state.asked);
        let own_key = Arc::new(CookieKeys::new(vec![key]));
        state.exposure.begin(&state.compiled, &state.gslb);
        let choices = state.job().map(|job| state.build(&job, now)).unwrap_or_default();
        let snapshot = state.snapshot(&counters, &own_key, choices);
        let rate = state.gslb.rate_limit.map(Rate::new);
        let shared = Shared {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            rate: Arc::new(ArcSwap::from_pointee(rate)),
            log: Arc::new(ArcSwap::from_pointee(log.as_ref().map(|log| log.log.clone()))),
            counters,
        };
        let server = sockets.start(&shared, limits)?;
        let responder = Responder {
            shared,
            state: Arc::new(Mutex::new(state)),
            building: Mutex::default(),
            outside,
            began,
            server: Mutex::new(Some(server)),
            retired: Mutex::default(),
            own_key,
            probes: Mutex::default(),
            log_counts: log.as_ref().map(RunningLog::counts).unwrap_or_default(),
            log: Mutex::new(log),
            addresses,
        };
        responder.probe_targets();
        responder.tick();
        Ok(responder)
    }

    /// Where it answers.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What has happened.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Gslb> {
        Arc::clone(&self.state().gslb)
    }

    /// The names that depend on who asks.
    pub fn compiled(&self) -> Arc<Compiled> {
        Arc::clone(&self.state().compiled)
    }

    /// What is answered now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Puts another configuration in force: verdicts, counters and what is known of targets go on. Gives what has changed
    /// of regions.
    #[must_use]
    pub fn commit(&self, mut next: Next, generation: u64) -> Vec<Transition> {
        if let Some(log) = next.log.take() {
            self.shared.log.store(Arc::new(log.as_ref().map(|log| log.log.clone())));
            // The thread of the one before ends when every worker has seen that.
            *self.log() = log;
        }
        let rate = next.gslb.rate_limit;
        let is_other = rate != self.config().rate_limit;
        self.replace(next, generation);
        if is_other {
            self.shared.rate.store(Arc::new(rate.map(Rate::new)));
        }
        self.probe_targets();
        self.tick()
    }

    /// Looks at everything, and answers accordingly. To be called every second. Gives what has changed of regions.
    pub fn tick(&self) -> Vec<Transition> {
        let building = self.building();
        // No earlier: a reload may have been waited for, and what has come meanwhile is not to be of the future.
        let now = self.now();
        let asked = Arc::clone(&self.state().asked);
        // Asked without the lock: others may have to be waited for.
        let services = Services::look(&self.outside, &asked);
        let (transitions, job) = {
            let mut state = self.state();
            state.services = services;
            (state.judge(now), state.job())
        };
        self.answer_as_seen(job, &building);
        transitions
    }

    /// Orders what a region is to be, in place of what was ordered at run time before; without an order, ends that. It is
    /// answered accordingly at once.
    pub fn order(&self, region: &RegionName, order: Option<Order>) -> Result<Vec<Transition>, Refused> {
        let building = self.building();
        let now = self.now();
        let mut state = self.state();
        let place = state.gslb.regions.iter().position(|known| known.name == *region);
        let region = place.and_then(Region::new).ok_or(Refused::UnknownRegion)?;
        let judge = state.judge.as_mut().ok_or(Refused::UnknownRegion)?;
        let transitions = match order {
            Some(order) => judge.order(region, order, now)?,
            None => judge.lift(region, now)?,
        };
        let job = state.job();
        drop(state);
        self.answer_as_seen(job, &building);
        Ok(transitions)
    }

    /// The state of another configuration, and answers by it.
    fn replace(&self, next: Next, generation: u64) {
        let building = self.building();
        let services = Services::look(&self.outside, &next.groundwork.services);
        let job = {
            let mut state = self.state();
            state.replace(next, generation, self.now());
            state.services = services;
            state.job()
        };
        // It has just been replaced: there is something to build.
        self.answer_as_seen(job, &building);
    }

    /// Exchanges the answers of names that are seen otherwise than before; all of them, and the names, where none of the
    /// state have been in force yet. Whoever looked at that still holds what keeps others from building.
    fn answer_as_seen(&self, job: Option<Job>, _building: &MutexGuard<'_, ()>) {
        let Some(job) = job else { return };
        let built = job.build();
        tracing::debug!(names = job.names(), "answers were built anew");
        let mut state = self.state();
        state.answer_with(&job, &built, self.now());
        let snapshot = if job.is_all() {
            state.snapshot(&self.shared.counters, &self.own_key, built.choices)
        } else {
            Snapshot { choices: built.choices, ..Snapshot::clone(&self.shared.snapshot.load()) }
        };
        self.answer_with(snapshot);
    }

    /// From now on this is answered.
    fn answer_with(&self, snapshot: Snapshot) {
        let before = self.shared.snapshot.swap(Arc::new(snapshot));
        self.retired().push(before);
    }

    /// Takes apart what no worker looks at any more; tells how many are still looked at. To be called now and then, and not
    /// where somebody waits: large zones take their time.
    pub fn free_retired(&self) -> usize {
        let unused: Vec<_> =
            self.retired().extract_if(.., |retired| Arc::strong_count(retired) == 1).collect();
        drop(unused);
        self.retired().len()
    }

    fn retired(&self) -> MutexGuard<'_, Vec<Arc<Snapshot>>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be remembered over a restart.
    pub fn memory(&self) -> Option<Memory> {
        let now = self.now();
        self.state().memory(now)
    }

    /// Ends: what has come is answered.
    pub fn end(&self) {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(AbortHandle::abort);
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            server.end();
        }
        self.shared.log.store(Arc::new(None));
        let log = self.log().take();
        if let Some(log) = log {
            log.end();
        }
    }

    /// How the query log fares.
    pub fn log_counts(&self) -> &Arc<LogCounts> {
        &self.log_counts
    }

    fn log(&self) -> MutexGuard<'_, Option<RunningLog>> {
        // It is only ever exchanged as a whole.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        Now { clock: self.began.elapsed(), wall: SystemTime::now() }
    }

    fn building(&self) -> MutexGuard<'_, ()> {
        self.building.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked with it changed it step by step; each step leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks all targets from now on, and no others. Those that were checked before are not disturbed.
    fn probe_targets(&self) {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.state();
        probes.retain(|target, probe| {
            let stays = state.targets.contains_key(target);
            if !stays {
                probe.abort();
            }
            stays
        });
        for (target, checked) in &state.targets {
            if probes.contains_key(target) {
                continue;
            }
            let prober = Prober {
                target: *target,
                check: Arc::clone(&checked.check),
                state: Arc::clone(&self.state),
                outside: self.outside.clone(),
                began: self.began,
            };
            probes.insert(*target, tokio::spawn(prober.run()).abort_handle());
        }
    }
}

/// Binds what a configuration names.
pub fn bind(gslb: &Gslb) -> Result<Sockets, BindError> {
    Sockets::bind(gslb)
}

#[cfg(test)]
mod tests;
