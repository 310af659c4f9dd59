//! Active health checks: one task on the control side probes every checked endpoint, and knocks at those that refuse
//! connections.
//!
//! ```text
//!   services ─► scan ─► schedule (a heap of due probes) ─► probe (connect, send, judge) ─► ServiceState::checked
//! ```
//!
//! The first probe of an endpoint is sent at once, later ones by its interval. The rate of all probes is capped: beyond
//! it they are sent later, and counted. When this task itself ran late, a failure may be ours, and is void.

mod probe;
mod schedule;

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fulcrum_balance::Rng;
use fulcrum_balance::health::{Intervals, jittered};
use fulcrum_config::HealthCheck;
use fulcrum_model::Address;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::DataPlane;
use crate::endpoint::{Endpoint, Gate};
use crate::service::{Check, ServiceState};
use schedule::{Kind, Schedule};

/// Runs a check once, against an address of nobody's service. Its time is not limited here.
///
/// # Errors
/// What the check complains of.
pub async fn check_once(address: SocketAddr, check: &HealthCheck) -> Result<(), String> {
    probe::check(&Address::Tcp(address), check).await
}

/// What the probes have found, over all services.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) passed: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Failed while this task ran late.
    pub(crate) void: AtomicU64,
    /// Sent later than due: the rate of all probes is capped.
    pub(crate) stretched: AtomicU64,
}

/// An endpoint to be probed.
#[derive(Clone)]
struct Target {
    state: Arc<ServiceState>,
    endpoint: Arc<Endpoint>,
    what: What,
}

#[derive(Clone)]
enum What {
    /// Its service's check.
    Check(Check),
    /// Whether it accepts connections again.
    Knock,
}

/// What became of a probe.
struct Found {
    target: Target,
    began: Instant,
    result: Result<(), String>,
}

/// Probes endpoints for as long as the data plane exists, and lets time pass for them.
pub(crate) async fn run(plane: Arc<DataPlane>) {
    let mut prober = Prober {
        schedule: Schedule::default(),
        running: JoinSet::new(),
        rng: Rng::from_seed(crate::random_seed()),
        seen: None,
        late: Cell::new(None),
        plane,
    };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut expected = Instant::now();
    let mut next_tick = Duration::ZERO;
    loop {
        tokio::select! {
            // First whether this task ran late, then what it may have missed by that.
            biased;
            _ = ticks.tick() => {
                let now = Instant::now();
                let lag = now.saturating_duration_since(expected);
                let worse = prober.late.get().is_none_or(|(at, worst)| lag >= worst || now - at > LONGEST);
                if lag > TICK && worse {
                    prober.late.set(Some((now, lag)));
                }
                expected = now + TICK;
                let since = prober.plane.shared.now();
                if since >= next_tick {
                    next_tick = since + PASSING;
                    prober.plane.tick();
                }
                prober.scan(since);
                prober.start_due(since);
            }
            Some(found) = prober.running.join_next() => {
                if let Ok(found) = found {
                    prober.judge(found);
                }
            }
        }
    }
}

struct Prober {
    plane: Arc<DataPlane>,
    schedule: Schedule<Target>,
    running: JoinSet<Found>,
    rng: Rng,
    /// The change of endpoints that was seen last, and when.
    seen: Option<(u64, Duration)>,
    /// When this task ran latest in a while, and by how much.
    late: Cell<Option<(Instant, Duration)>>,
}

impl Prober {
    /// Takes up endpoints that have come, or need another probe; drops those that are gone.
    fn scan(&mut self, now: Duration) {
        let changes = ServiceState::changes();
        if self.seen.is_some_and(|(seen, at)| seen == changes && now.saturating_sub(at) < SCAN) {
            return;
        }
        self.seen = Some((changes, now));
        // Not by the control, which a reload may hold for long.
        let snapshot = self.plane.shared.snapshot.load_full();
        self.schedule.retain(Target::is_wanted);
        for service in &snapshot.services {
            let state = &service.state;
            let check = state.rules().health.clone();
            let membership = state.membership.load_full();
            for endpoint in &membership.endpoints {
                let mut add = |kind, what| {
                    let target = || Target { state: Arc::clone(state), endpoint: Arc::clone(endpoint), what };
                    self.schedule.add((endpoint.serial, kind), now, target);
                };
                if let Some(check) = &check {
                    add(Kind::Check, What::Check(check.clone()));
                }
                if endpoint.gate().has(Gate::UNREACHABLE) {
                    add(Kind::Knock, What::Knock);
                }
            }
        }
    }

    /// Starts the probes that are due, as many as may run.
    fn start_due(&mut self, now: Duration) {
        for _ in 0..MOST_A_TICK {
            if self.running.len() >= MOST_AT_ONCE {
                break;
            }
            let Some(target) = self.schedule.take_due(now) else { return };
            let began = Instant::now();
            self.running.spawn(async move {
                let result = target.probe().await;
                Found { target, began, result }
            });
        }
        let stretched = self.schedule.due(now) as u64;
        self.plane.shared.probes.stretched.fetch_add(stretched, Ordering::Relaxed);
    }

    fn judge(&mut self, found: Found) {
        let Found { target, began, result } = found;
        let counters = &self.plane.shared.probes;
        let now = self.plane.shared.now();
        let is_void = result.is_err()
            && self.late.get().is_some_and(|(at, lag)| at >= began && lag > target.timeout() / 2);
        let counter = match &result {
            Ok(()) => &counters.passed,
            Err(_) if is_void => &counters.void,
            Err(_) => &counters.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let (endpoint, kind) = (&target.endpoint, target.kind());
        if !is_void {
            match &target.what {
                What::Check(check) => target.state.checked(endpoint, check, result, now),
                What::Knock if result.is_ok() => target.state.reached(endpoint, now),
                What::Knock => {}
            }
        }
        let pause = jittered(target.interval(), &mut self.rng);
        if target.is_wanted() {
            self.schedule.put_back((endpoint.serial, kind), now + pause, target);
        } else {
            self.schedule.forget((endpoint.serial, kind));
        }
    }
}

impl Target {
    fn kind(&self) -> Kind {
        match self.what {
            What::Check(_) => Kind::Check,
            What::Knock => Kind::Knock,
        }
    }

    /// Whether the endpoint is still there and is to be probed in this way.
    fn is_wanted(&self) -> bool {
        !self.endpoint.is_removed()
            && match &self.what {
                What::Check(check) => {
                    self.state.rules().health.as_ref().map(|one| one.identity) == Some(check.identity)
                }
                What::Knock => self.endpoint.gate().has(Gate::UNREACHABLE),
            }
    }

    fn timeout(&self) -> Duration {
        match &self.what {
            What::Check(check) => check.config.timeout,
            What::Knock => KNOCK_TIMEOUT,
        }
    }

    fn interval(&self) -> Duration {
        match &self.what {
            What::Check(check) => {
                let intervals = Intervals::of(check.config.interval);
                let standing = self.endpoint.standing();
                standing
                    .checked
                    .as_ref()
                    .map_or(intervals.steady, |checked| checked.health.interval(&intervals))
            }
            What::Knock => KNOCK_INTERVAL,
        }
    }

    async fn probe(&self) -> Result<(), String> {
        let address = &self.endpoint.address;
        let probing = async {
            match &self.what {
                What::Check(check) => probe::check(address, &check.config).await,
                What::Knock => probe::connect(address).await.map(drop),
            }
        };
        match tokio::time::timeout(self.timeout(), probing).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer to the check in {:?}", self.timeout())),
        }
    }
}

/// No probe takes longer.
const LONGEST: Duration = Duration::from_secs(60);
/// How often due probes are looked for.
const TICK: Duration = Duration::from_millis(50);
/// How often all endpoints are looked through, where no change is known.
const SCAN: Duration = Duration::from_secs(1);
/// How often time passes for endpoints.
const PASSING: Duration = Duration::from_millis(250);
/// An endpoint that refuses connections is knocked at so often.
const KNOCK_INTERVAL: Duration = Duration::from_secs(1);
const KNOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Probes that begin in one tick: 2,000 a second.
const MOST_A_TICK: usize = 100;
/// Probes that run at a time.
const MOST_AT_ONCE: usize = 512;
