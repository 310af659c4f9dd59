//! What of a service outlives its configuration: its endpoints, everything that is known of them, and who waits.
//!
//! Whoever learns something about an endpoint (a worker, the prober, an operator) changes its standing through
//! [`ServiceState::update`]; what follows for everyone who picks is shown at once.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use fulcrum_balance::panic::in_panic;
use fulcrum_balance::retry_budget::RetryBudget;
use fulcrum_config::PanicAction;
use fulcrum_model::{EndpointId, ServiceName};

use super::counts::Counts;
use super::membership::{Membership, Terms};
use super::panic::Panic;
use super::queue::Queue;
use super::rules::Rules;
use super::standing::{Checked, Override, Standing};
use crate::endpoint::{Endpoint, Gate};

/// A service through all generations of its configuration, shared by all workers.
#[derive(Debug)]
pub(crate) struct ServiceState {
    pub(crate) name: ServiceName,
    pub(crate) membership: Arc<ArcSwap<Membership>>,
    pub(crate) queue: Queue,
    pub(super) rules: ArcSwap<Rules>,
    /// No endpoint has been heard of yet: requests wait a moment.
    holding: AtomicBool,
    /// Until when it may hold requests, in milliseconds since the data plane's start.
    hold_until: AtomicU64,
    counts: Mutex<Counts>,
    budget: Mutex<RetryBudget>,
    pub(crate) ejections: AtomicU64,
    pub(crate) transitions: AtomicU64,
}

impl ServiceState {
    /// Without endpoints.
    pub(crate) fn new(name: &ServiceName, rules: Rules, now: Duration) -> Self {
        let budget = RetryBudget::new(rules.retry.0, rules.retry.1, now);
        ServiceState {
            name: name.clone(),
            membership: Arc::new(ArcSwap::from_pointee(Membership::empty())),
            queue: Queue::default(),
            rules: ArcSwap::from_pointee(rules),
            holding: AtomicBool::new(true),
            hold_until: AtomicU64::new(millis(now + HOLD)),
            counts: Mutex::default(),
            budget: Mutex::new(budget),
            ejections: AtomicU64::new(0),
            transitions: AtomicU64::new(0),
        }
    }

    /// A number that is another one when endpoints have come or gone, or refuse connections.
    pub(crate) fn changes() -> u64 {
        CHANGES.load(Ordering::Relaxed)
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.lock()
    }

    /// Held by whoever changes an endpoint's standing, so that the counts are those of the gates.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn panic(&self) -> Panic {
        self.queue.panic()
    }

    /// Whether requests wait because no endpoint has been heard of yet.
    pub(crate) fn is_holding(&self) -> bool {
        self.holding.load(Ordering::Relaxed)
    }

    /// Returns when no change is under way any more: in the middle of one, endpoints are there already and what follows
    /// from them is not. For who has found nobody to serve a request, before that is believed.
    pub(crate) fn await_change(&self) {
        drop(self.lock());
    }

    /// Puts a generation's rules and membership in force. Endpoints that are in it no more end with their last request.
    pub(crate) fn replace(
        &self,
        rules: Rules,
        membership: Arc<Membership>,
        orders: &HashMap<EndpointId, Override>,
        terms: &[Terms],
        now: Duration,
    ) {
        let mut counts = self.lock();
        let rules = Arc::new(rules);
        if self.rules.load().retry != rules.retry {
            *self.budget() = RetryBudget::new(rules.retry.0, rules.retry.1, now);
        }
        self.rules.store(Arc::clone(&rules));
        let known: HashSet<u64> =
            self.membership.load().endpoints.iter().map(|endpoint| endpoint.serial).collect();
        for (endpoint, terms) in membership.endpoints.iter().zip(terms) {
            let mut standing = endpoint.standing();
            let before = endpoint.gate();
            if !known.is_empty() && !known.contains(&endpoint.serial) {
                standing.is_late = true;
                standing.warm_since = Some(now);
            }
            standing.state = terms.state;
            standing.listen(terms.reports.as_ref(), endpoint, now);
            endpoint.set_places(terms.places);
            let ordered = standing.follow(orders.get(&endpoint.id).cloned());
            standing.slow_start = rules.slow_start;
            let wanted = rules.health.as_ref().map(|check| check.identity);
            if standing.checked.as_ref().map(|checked| checked.identity) != wanted {
                standing.checked = wanted.map(Checked::new);
            }
            if rules.outlier.is_none() {
                standing.outlier.restore();
            }
            let gate = standing.gate(now);
            if gate.word() != before.word() {
                standing.since = SystemTime::now();
                standing.why = ordered.unwrap_or_else(|| "its configuration has changed".to_owned());
                self.transitions.fetch_add(1, Ordering::Relaxed);
            }
            endpoint.show(gate, standing.warm_since.unwrap_or_default());
        }
        let before = self.membership.swap(membership);
        let current = self.membership.load();
        let kept: HashSet<u64> = current.endpoints.iter().map(|endpoint| endpoint.serial).collect();
        for endpoint in before.endpoints.iter().filter(|endpoint| !kept.contains(&endpoint.serial)) {
            endpoint.remove();
        }
        let had = counts.healthy > 0;
        *counts = Counts::of(&current.endpoints);
        if had && counts.unknown == counts.total {
            // All of them are new, or their check is: the service begins anew.
            self.hold_until.store(millis(now + HOLD), Ordering::Relaxed);
        }
        CHANGES.fetch_add(1, Ordering::Relaxed);
        let panic = self.settle(&counts, now);
        drop(counts);
        panic.inspect(|counts| self.tell_panic(counts));
        self.offer_all();
    }

    /// The service is configured no more.
    pub(crate) fn retire(&self) {
        self.membership.load().endpoints.iter().for_each(|endpoint| endpoint.remove());
        self.hold_until.store(0, Ordering::Relaxed);
        self.holding.store(false, Ordering::Relaxed);
        // Nobody checks them any more: who has waited for their first word tries them all the same.
        self.queue.set_panic(Panic::All);
        self.queue.retire();
        self.offer_all();
    }

    /// Changes what is known of an endpoint, and shows what follows.
    pub(crate) fn update(
        &self,
        endpoint: &Arc<Endpoint>,
        now: Duration,
        change: impl FnOnce(&mut Standing, &Counts),
    ) {
        let mut counts = self.lock();
        let before = endpoint.gate();
        let mut standing = endpoint.standing();
        change(&mut standing, &counts);
        let mut gate = standing.gate(now);
        // Not those that the service began with: they are all as cold.
        if gate.is_healthy() && !before.is_healthy() && (standing.is_late || !before.has(Gate::UNKNOWN)) {
            standing.warm_since = Some(now);
            gate = standing.gate(now);
        }
        let why = (gate.word() != before.word()).then(|| {
            standing.since = SystemTime::now();
            self.transitions.fetch_add(1, Ordering::Relaxed);
            standing.why.clone()
        });
        endpoint.show(gate, standing.warm_since.unwrap_or_default());
        drop(standing);
        if !endpoint.is_removed() {
            counts.book(before, usize::checked_sub);
            counts.book(gate, usize::checked_add);
        }
        let panic = self.panic();
        let panics = self.settle(&counts, now);
        drop(counts);
        // Not under the lock: whoever reads the log may be slow.
        if let Some(why) = why {
            let (from, to) = (before.word(), gate.word());
            tracing::info!(service = %self.name, endpoint = %endpoint.id, from, to, %why, "endpoint");
        }
        panics.inspect(|counts| self.tell_panic(counts));
        if (gate.is_healthy() && !before.is_healthy()) || panic != self.panic() {
            self.offer_all();
        }
    }

    /// Draws the conclusions for the service as a whole. Returns the counts if it panics from now on.
    #[must_use]
    fn settle(&self, counts: &Counts, now: Duration) -> Option<Counts> {
        let rules = self.rules.load();
        let is_awaited =
            counts.unknown > 0 || (counts.total == 0 && (rules.has_names || rules.awaits_discovery));
        if counts.healthy > 0 {
            // Heard of: what comes later is no beginning.
            self.hold_until.store(0, Ordering::Relaxed);
        }
        let holding =
            counts.healthy == 0 && is_awaited && millis(now) < self.hold_until.load(Ordering::Relaxed);
        let panics = counts.total > 0 && in_panic(counts.healthy, counts.total, &rules.panic);
        let panic = match rules.then {
            _ if !panics || holding => Panic::No,
            PanicAction::Refuse => Panic::No,
            PanicAction::All if counts.unreachable < counts.total => Panic::Reachable,
            PanicAction::All => Panic::All,
        };
        let begins = self.queue.set_panic(panic) == Panic::No && panic != Panic::No;
        self.holding.store(holding, Ordering::Relaxed);
        begins.then_some(*counts)
    }

    fn tell_panic(&self, counts: &Counts) {
        tracing::warn!(
            service = %self.name, healthy = counts.healthy, endpoints = counts.total,
            "too few endpoints are healthy: requests go to all of them"
        );
    }

    /// Offers every free place to those who wait: endpoints have come, or have become healthy.
    fn offer_all(&self) {
        let membership = self.membership.load();
        for endpoint in &membership.endpoints {
            let gate = endpoint.gate();
            while self.queue.waiting() > 0
                && (gate.is_healthy() || self.panic().admits(gate))
                && !gate.is_withdrawn()
                && endpoint.try_start()
            {
                // Nobody of those who wait may want this one.
                if !self.queue.pass_on(endpoint) {
                    break;
                }
            }
        }
    }

    /// What passes with time: ejections end, warm ones are warm, nobody waits for ever.
    pub(crate) fn tick(&self, now: Duration) {
        let (counts, panics) = {
            let counts = self.lock();
            (*counts, self.settle(&counts, now))
        };
        panics.inspect(|counts| self.tell_panic(counts));
        let is_due = counts.ejected > 0 || counts.healthy != counts.total || self.has_passing();
        if !is_due {
            return;
        }
        let membership = self.membership.load_full();
        for endpoint in membership.endpoints.iter().filter(|endpoint| endpoint.gate() != Gate::OPEN) {
            self.update(endpoint, now, |standing, _| {
                if endpoint.gate().has(Gate::EJECTED) && !standing.outlier.is_ejected(now) {
                    "its ejection is over".clone_into(&mut standing.why);
                }
            });
        }
    }

    fn has_passing(&self) -> bool {
        self.membership.load().endpoints.iter().any(|endpoint| endpoint.gate() != Gate::OPEN)
    }

    fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many requests have come: they pay for retries.
    pub(crate) fn deposit(&self, requests: u64) {
        self.budget().deposit(requests);
    }

    /// Whether a request may be tried once more.
    pub(crate) fn may_retry(&self, requests: u64, now: Duration) -> bool {
        let membership = self.membership.load();
        let counted = membership.endpoints.iter().take(MOST_COUNTED);
        let in_flight = counted.map(|endpoint| u64::from(endpoint.in_flight())).sum();
        let mut budget = self.budget();
        budget.deposit(requests);
        budget.withdraw(now, in_flight)
    }

    /// Retries that may be made at once now.
    pub(crate) fn retries_left(&self) -> f64 {
        self.budget().level()
    }
}

/// Changes of endpoints in this process.
pub(super) static CHANGES: AtomicU64 = AtomicU64::new(0);

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How long requests wait for the first word of any endpoint.
const HOLD: Duration = Duration::from_secs(5);
/// Endpoints whose requests in flight are added up for the retry budget.
const MOST_COUNTED: usize = 1000;
