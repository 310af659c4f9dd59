//! The responder: what is seen comes in, verdicts are made of it, and what is answered follows.

mod building;
mod checked;
mod dependents;
mod explain;
mod exposure;
mod groundwork;
mod prober;
mod regions;
mod services;
mod simulate;
mod state;
mod weights;
mod world;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use fulcrum_config::HealthCheck;
use fulcrum_config::gslb::Gslb;
use fulcrum_model::{RegionName, ServiceName};
use tokio::task::AbortHandle;

use crate::compiled::Compiled;
use crate::cookie::CookieKeys;
use crate::counters::Counters;
use crate::query_log::{LogCounts, RunningLog};
use crate::rate::Rate;
use crate::region::Region;
use crate::server::{BindError, Server, Shared, Sockets, TcpLimits};
use crate::snapshot::Snapshot;
use crate::verdict::{Memory, Now, Order, Refused, Source, Standing, Transition};

use self::building::Job;
use self::checked::{Checked, Target, identity};
use self::groundwork::Groundwork;
use self::prober::Prober;
use self::services::Services;
use self::state::{State, add_answers, load};

pub use self::exposure::Exposed;
pub use self::simulate::{Load, NameShares, Receiver, Simulation};
pub use self::weights::WeightedTarget;

/// A service of the balancer as names and regions need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceView {
    /// Its endpoints that have an internet address.
    pub endpoints: Vec<EndpointView>,
    /// How many of all its endpoints get new requests.
    pub healthy: u32,
    /// Requests in flight and queued.
    pub load: f64,
    /// How many requests its healthy endpoints can work on at a time; `None` where one of them has no limit.
    pub capacity: Option<f64>,
    /// Nothing is known of its endpoints yet.
    pub is_unknown: bool,
}

/// An endpoint of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointView {
    /// Where it is.
    pub address: IpAddr,
    /// Where it serves.
    pub port: u16,
    /// Its share.
    pub weight: u16,
    /// Whether it gets new requests.
    pub is_healthy: bool,
}

/// What the responder asks of others.
#[derive(Clone)]
pub struct Outside {
    /// A service of the balancer; `None` if there is no such service.
    pub service: Arc<ViewService>,
    /// Runs one check.
    pub probe: Arc<RunProbe>,
}

/// Looks at a service.
pub type ViewService = dyn Fn(&ServiceName) -> Option<ServiceView> + Send + Sync;

/// Begins a check of an address.
pub type RunProbe = dyn Fn(SocketAddr, Arc<HealthCheck>) -> Probe + Send + Sync;

/// A check that runs.
pub type Probe = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// How often was answered, by region (perhaps none in particular) and by the words of the policy.
pub type Answers = BTreeMap<(Option<RegionName>, String), u64>;

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

/// A configuration that can be put in force.
#[derive(Debug)]
pub struct Next {
    gslb: Arc<Gslb>,
    compiled: Compiled,
    groundwork: Groundwork,
    /// Another query log, or none; nothing where it stays as it is.
    log: Option<Option<RunningLog>>,
}

/// How a region stands, for people.
#[derive(Clone, Debug)]
pub struct RegionStatus {
    /// Its name.
    pub name: RegionName,
    /// How it stands.
    pub standing: Standing,
    /// The part of its clients that it keeps for the sake of its headroom, in percent.
    pub headroom: u8,
    /// What is ordered of it.
    pub order: Option<(Order, Source)>,
    /// Who may still be led to it.
    pub exposed: Exposed,
    /// What its service works on, and what it can work on, where it has a service.
    pub load: Option<Load>,
}

impl Next {
    /// Checks a configuration. `read` reads zone files.
    pub fn prepare(
        gslb: &Gslb,
        read: crate::compiled::ReadZone<'_>,
        running: Option<&Responder>,
    ) -> Result<Self, Vec<crate::compiled::CompileError>> {
        let before = running.map(|running| {
            let state = running.state();
            (Arc::clone(&state.gslb), Arc::clone(&state.compiled))
        });
        let before = before.as_ref().map(|(gslb, compiled)| (&**gslb, &**compiled));
        let compiled = Compiled::new(gslb, read, before)?;
        let groundwork = Groundwork::new(gslb, &compiled);
        Ok(Next { gslb: Arc::new(gslb.clone()), compiled, groundwork, log: None })
    }

    /// Opens what queries are written to, unless that is open. A mere check does not: it leaves no files.
    pub fn open_log(&mut self, running: Option<&Responder>) -> std::io::Result<()> {
        let wanted = self.gslb.query_log.as_ref();
        let counts = running.map(|running| Arc::clone(&running.log_counts)).unwrap_or_default();
        let current = running.map(|running| running.log());
        let is = current.as_ref().and_then(|log| log.as_ref()).map(|log| &log.config);
        if is != wanted {
            self.log = Some(wanted.map(|config| RunningLog::open(config, &counts)).transpose()?);
        }
        Ok(())
    }
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
        let now = self.now();
        let building = self.building();
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
        let now = self.now();
        let building = self.building();
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
        let _building = self.building();
        let services = Services::look(&self.outside, &next.groundwork.services);
        let job = {
            let mut state = self.state();
            state.replace(next, generation, self.now());
            state.services = services;
            state.job()
        };
        // It has just been replaced: there is something to build.
        let Some(job) = job else { return };
        let built = job.build();
        let mut state = self.state();
        state.answer_with(&job, &built, self.now());
        let snapshot = state.snapshot(&self.shared.counters, &self.own_key, built.choices);
        self.answer_with(snapshot);
    }

    /// Exchanges the answers of names that are seen otherwise than before. Whoever looked at that still holds what keeps
    /// others from building.
    fn answer_as_seen(&self, job: Option<Job>, _building: &MutexGuard<'_, ()>) {
        let Some(job) = job else { return };
        let built = job.build();
        tracing::debug!(names = job.names(), "answers were built anew");
        let mut state = self.state();
        state.answer_with(&job, &built, self.now());
        let before = self.shared.snapshot.load_full();
        self.answer_with(Snapshot { choices: built.choices, ..Snapshot::clone(&before) });
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

    /// The regions in configured order.
    pub fn regions(&self) -> Vec<RegionStatus> {
        let now = self.now();
        // Asked without the lock, and not as of the last look: whoever stops a region goes by it.
        let asked = self.config().regions.iter().filter_map(|region| region.service.clone()).collect();
        let services = Services::look(&self.outside, &asked);
        let state = self.state();
        let Some(judge) = &state.judge else { return Vec::new() };
        let status = |(region, configured): (Region, &fulcrum_config::gslb::Region)| RegionStatus {
            name: configured.name.clone(),
            standing: judge.standing(region).clone(),
            headroom: (state.headroom(region) * 100.0).round() as u8,
            order: judge.ordered(region).map(|(order, source)| (order.clone(), source)),
            exposed: state.exposure.exposed(region, now.clock),
            load: load(&services.views, configured),
        };
        Region::first(state.gslb.regions.len()).zip(&state.gslb.regions).map(status).collect()
    }

    /// Answers by region and policy since the start.
    pub fn answers(&self) -> Answers {
        let (mut answers, gslb, compiled) = {
            let state = self.state();
            (state.past.clone(), Arc::clone(&state.gslb), Arc::clone(&state.compiled))
        };
        add_answers(&mut answers, &gslb, compiled.chosen().iter());
        answers
    }

    /// Targets that are checked: address, whether it is left out, and what the last bad check complained of.
    pub fn targets(&self) -> Vec<(IpAddr, bool, Option<String>)> {
        let state = self.state();
        let target = |((address, _), checked): (&Target, &Checked)| {
            (*address, checked.health.is_down(), checked.health.complaint().map(str::to_owned))
        };
        state.targets.iter().map(target).collect()
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
