//! Everything that is known for or against one endpoint, and what follows from it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fulcrum_balance::health::{Condition, Health};
use fulcrum_balance::outlier::{HardDown, Outlier};
use fulcrum_config::EndpointState;
use fulcrum_model::LoadReports;

use crate::elsewhere::Ear;
use crate::endpoint::{Endpoint, Gate};

/// What an operator has ordered at run time. It holds until it is cleared, whatever the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Instead of the configured state.
    pub state: Option<EndpointState>,
    /// Instead of the configured weight.
    pub weight: Option<fulcrum_model::Weight>,
    /// Why, for whoever looks.
    pub reason: Option<String>,
    /// When it ends by itself.
    pub until: Option<SystemTime>,
}

impl Override {
    /// Whether it has ended by itself.
    pub(crate) fn has_run_out(&self, now: SystemTime) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// The active check of an endpoint and what it has found.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    /// Of the check's configuration: what another check has found says nothing.
    pub(crate) identity: u64,
    pub(crate) health: Health,
    /// Of the last failure.
    pub(crate) failure: Option<String>,
}

/// For and against an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// As configured.
    pub(crate) state: EndpointState,
    pub(crate) order: Option<Override>,
    /// `None`: it is not checked.
    pub(crate) checked: Option<Checked>,
    pub(crate) outlier: Outlier,
    pub(crate) refusals: HardDown,
    /// Since when it is what it is.
    pub(crate) since: SystemTime,
    pub(crate) why: String,
    /// Since when it is healthy, where it was not before; since the data plane's start.
    pub(crate) warm_since: Option<Duration>,
    /// It has joined a service that had others already.
    pub(crate) is_late: bool,
    /// How long it warms up.
    pub(crate) slow_start: Duration,
    /// Where its instance says what it has under way.
    ear: Option<Arc<Ear>>,
}

impl Standing {
    /// Of a new endpoint; `check` is the identity of the check that it must pass.
    pub(crate) fn new(state: EndpointState, check: Option<u64>) -> Self {
        Standing {
            state,
            order: None,
            checked: check.map(Checked::new),
            outlier: Outlier::default(),
            refusals: HardDown::default(),
            since: SystemTime::now(),
            why: "new".to_owned(),
            warm_since: None,
            is_late: false,
            slow_start: Duration::ZERO,
            ear: None,
        }
    }

    /// Listens to what its instance reports, from now on, if it can report anything.
    pub(crate) fn listen(
        &mut self,
        reports: Option<&Arc<LoadReports>>,
        endpoint: &Arc<Endpoint>,
        now: Duration,
    ) {
        let is_heard = |reports: &Arc<LoadReports>| self.ear.as_ref().is_some_and(|ear| ear.hears(reports));
        match reports {
            Some(reports) if is_heard(reports) => {}
            Some(reports) => {
                let started = Instant::now().checked_sub(now);
                self.ear = started.map(|started| Ear::open(reports, endpoint, started));
            }
            None if self.ear.take().is_some() => endpoint.elsewhere.forget(),
            None => {}
        }
    }

    /// As an operator or the configuration wants it.
    fn wanted(&self) -> EndpointState {
        self.order.as_ref().and_then(|order| order.state).unwrap_or(self.state)
    }

    /// Takes another order, or none. Tells why the endpoint changes, if it does and this is the cause.
    pub(crate) fn follow(&mut self, order: Option<Override>) -> Option<String> {
        if self.order == order {
            return None;
        }
        let before = std::mem::replace(&mut self.order, order);
        let why = match (&self.order, before) {
            (Some(Override { reason: Some(reason), .. }), _) => format!("ordered: {reason}"),
            (Some(_), _) => "ordered".to_owned(),
            (None, Some(before)) if before.has_run_out(SystemTime::now()) => {
                "its order has run out".to_owned()
            }
            (None, _) => "its order was cleared".to_owned(),
        };
        Some(why)
    }

    /// What follows from it.
    pub(crate) fn gate(&self, now: Duration) -> Gate {
        let mut gate = match self.wanted() {
            EndpointState::Up => Gate::OPEN,
            EndpointState::Drain => Gate::DRAINING,
            EndpointState::Maintenance => Gate::MAINTENANCE,
        };
        match self.checked.as_ref().map(|checked| checked.health.condition()) {
            None | Some(Condition::Up) => {}
            Some(Condition::Unknown) => gate = gate.with(Gate::UNKNOWN),
            Some(Condition::Down) => gate = gate.with(Gate::DOWN),
        }
        if self.outlier.is_ejected(now) {
            gate = gate.with(Gate::EJECTED);
        }
        if self.refusals.is_down() {
            gate = gate.with(Gate::UNREACHABLE);
        }
        if gate.is_healthy() && self.is_warming(now) {
            gate = gate.with(Gate::WARMING);
        }
        gate
    }

    /// Whether its share is still growing.
    pub(crate) fn is_warming(&self, now: Duration) -> bool {
        self.warm_since.is_some_and(|since| now.saturating_sub(since) < self.slow_start)
    }
}

impl Checked {
    pub(crate) fn new(identity: u64) -> Self {
        Checked { identity, health: Health::unknown(), failure: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_decide_before_the_configuration() {
        let order = |state| Override { state, ..Override::default() };
        let mut standing = Standing::new(EndpointState::Drain, None);
        let mut check = |order, why: Option<&str>, word| {
            assert_eq!(standing.follow(order).as_deref(), why);
            assert_eq!(standing.gate(Duration::ZERO).word(), word);
        };
        check(None, None, "draining");
        check(Some(order(Some(EndpointState::Up))), Some("ordered"), "up");
        check(Some(order(Some(EndpointState::Up))), None, "up");
        check(Some(order(Some(EndpointState::Maintenance))), Some("ordered"), "maintenance");
        check(None, Some("its order was cleared"), "draining");
    }

    #[test]
    fn an_order_runs_out_at_its_time() {
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let check = |until: Option<SystemTime>, seconds: u64, expected: bool| {
            let order = Override { until, ..Override::default() };
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(order.has_run_out(now), expected, "{until:?} {seconds}");
        };
        check(None, 1000, false);
        check(Some(until), 99, false);
        check(Some(until), 100, true);
        check(Some(until), 101, true);
    }
}
