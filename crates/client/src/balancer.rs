//! A balancer inside of a gateway: the endpoints of a service as the registry tells them, and what the gateway itself has
//! seen of them.

use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use fulcrum_balance::outlier::OutlierPolicy;
use fulcrum_balance::panic::PanicPolicy;
use fulcrum_balance::retry_budget::RetryBudget;
use fulcrum_balance::{Policy, Rng, hash_key};
use fulcrum_model::ServiceName;
use tokio::net::TcpStream;

use crate::cluster::{Candidate, Cluster};
use crate::condition::{Condition, Outcome};
use crate::pool::Pools;
use crate::registry::random;
use crate::view::Endpoint;
use crate::watch::Watch;

/// Chooses endpoints of one service. Clones are the same balancer. Its methods are called within a tokio runtime.
#[derive(Clone, Debug)]
pub struct Balancer(Arc<Shared>);

/// How a balancer balances.
#[derive(Clone, Copy, Debug)]
pub struct BalancerOptions {
    /// How an endpoint is chosen: the less loaded of two, unless told otherwise.
    pub policy: Policy,
    /// How long a connection may take: 1 s.
    pub connect: Duration,
    /// How long the head of a response may take: 60 s.
    pub response_header: Duration,
    /// How long an endpoint that comes later takes until it gets its whole share: 10 s.
    pub slow_start: Duration,
    /// When an endpoint that fails is put out: after 5 failures in a row, for 30 s, longer every time, 300 s at most; one in ten
    /// at a time.
    pub outlier: OutlierPolicy,
    /// When health is no longer believed: below one half of at least ten, or where nobody is healthy.
    pub panic: PanicPolicy,
    /// How many retries there may be, in percent of the requests: 20.
    pub retry_percent: u8,
    /// And how many a second besides: 10.
    pub retries_per_second: u32,
}

/// No endpoint may be asked: none is known, or all drain or were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no endpoint of the service can be asked")]
pub struct NoEndpoint;

/// An endpoint that was chosen for a request, which is in flight there until this is dropped.
#[derive(Debug)]
pub struct Picked {
    candidate: Candidate,
    balancer: Balancer,
}

#[derive(Debug)]
struct Shared {
    watch: Arc<Watch>,
    /// Nothing where it cannot be a name: nobody has it.
    service: Option<ServiceName>,
    options: BalancerOptions,
    start: Instant,
    choosing: Mutex<Choosing>,
    pools: Pools,
}

/// What one request after the other changes.
#[derive(Debug)]
struct Choosing {
    cluster: Cluster,
    budget: RetryBudget,
    rng: Rng,
}

impl Default for BalancerOptions {
    fn default() -> Self {
        BalancerOptions {
            policy: Policy::LeastRequest,
            connect: Duration::from_secs(1),
            response_header: Duration::from_secs(60),
            slow_start: Duration::from_secs(10),
            outlier: OutlierPolicy {
                consecutive_errors: NonZeroU32::new(5).expect("five"),
                eject: Duration::from_secs(30),
                max_eject: Duration::from_secs(300),
                max_ejected_percent: 10,
            },
            panic: PanicPolicy { below_percent: 50, at_least: 10 },
            retry_percent: 20,
            retries_per_second: 10,
        }
    }
}

impl Balancer {
    /// Balances over a service of those that the watch follows.
    pub fn new(watch: &Arc<Watch>, service: &str, options: BalancerOptions) -> Self {
        let mut rng = random();
        let cluster = Cluster::empty(&options, &mut rng);
        let budget = RetryBudget::new(options.retry_percent, options.retries_per_second, Duration::ZERO);
        Balancer(Arc::new(Shared {
            watch: Arc::clone(watch),
            service: service.parse().ok(),
            options,
            start: Instant::now(),
            choosing: Mutex::new(Choosing { cluster, budget, rng }),
            pools: Pools::default(),
        }))
    }

    /// Somebody for a request. Requests with the same key go to the same endpoint where the policy is ring or maglev.
    pub fn pick(&self, key: Option<&[u8]>) -> Result<Picked, NoEndpoint> {
        self.pick_except(key, &[])
    }

    /// The same, but none of those that were tried already.
    pub(crate) fn pick_except(&self, key: Option<&[u8]>, tried: &[Candidate]) -> Result<Picked, NoEndpoint> {
        let service = self.0.service.as_ref().ok_or(NoEndpoint)?;
        let list = self.0.watch.endpoints().of_service(service);
        let (now, options) = (self.now(), &self.0.options);
        let mut choosing = self.choosing();
        let Choosing { cluster, rng, .. } = &mut *choosing;
        cluster.follow(list, options, now, rng);
        let candidate = cluster.pick(key.map(hash_key), tried, options, now, rng).ok_or(NoEndpoint)?;
        candidate.condition.begin();
        Ok(Picked { candidate, balancer: self.clone() })
    }

    pub(crate) fn options(&self) -> &BalancerOptions {
        &self.0.options
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.0.pools
    }

    /// A request has come: a part of a retry.
    pub(crate) fn deposit(&self) {
        self.choosing().budget.deposit(1);
    }

    /// Whether there may be one more retry.
    pub(crate) fn withdraw(&self) -> bool {
        let now = self.now();
        let mut choosing = self.choosing();
        let in_flight = choosing.cluster.in_flight();
        choosing.budget.withdraw(now, in_flight)
    }

    fn now(&self) -> Duration {
        self.0.start.elapsed()
    }

    fn choosing(&self) -> MutexGuard<'_, Choosing> {
        // A panic in a picker leaves turns that are no worse than others.
        self.0.choosing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Picked {
    /// Who was chosen.
    pub fn endpoint(&self) -> &Endpoint {
        &self.candidate.endpoint
    }

    pub(crate) fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    pub(crate) fn balancer(&self) -> &Balancer {
        &self.balancer
    }

    /// Says how it went; who says nothing only ends the request. A process that refuses three connections in a row gets no
    /// more requests until it takes one: it is asked once a second.
    pub fn report(self, outcome: Outcome) {
        self.note(outcome);
    }

    pub(crate) fn note(&self, outcome: Outcome) {
        let (condition, now) = (&self.candidate.condition, self.balancer.now());
        match outcome {
            Outcome::Answered => condition.answered(),
            Outcome::Failed => {
                let policy = &self.balancer.options().outlier;
                let may_eject =
                    || self.balancer.choosing().cluster.may_eject(policy.max_ejected_percent, now);
                condition.failed(now, policy, may_eject);
            }
            Outcome::Refused => {
                if condition.refused(now) {
                    self.await_connection();
                }
            }
        }
    }

    /// Tries once a second, until it takes a connection, or nobody knows it any more.
    fn await_connection(&self) {
        let condition = Arc::downgrade(&self.candidate.condition);
        let (address, within) = (self.candidate.endpoint.address, self.balancer.options().connect);
        tokio::spawn(async move {
            let connect = || tokio::time::timeout(within, TcpStream::connect(address));
            while is_down(&condition) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if let Ok(io::Result::Ok(_)) = connect().await {
                    condition.upgrade().inspect(|condition| condition.answered());
                }
            }
        });
    }
}

fn is_down(condition: &Weak<Condition>) -> bool {
    condition.upgrade().is_some_and(|condition| condition.is_hard_down())
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.candidate.condition.end();
    }
}
