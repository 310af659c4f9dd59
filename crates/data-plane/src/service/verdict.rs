//! What is learnt of an endpoint: by its checks, by connections, by attempts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fulcrum_balance::health::Condition;
use fulcrum_balance::outlier::may_eject;

use super::rules::Check;
use super::state::{CHANGES, ServiceState};
use crate::endpoint::Endpoint;
use crate::http::error::Reason;

/// How an attempt has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    Reason(Reason),
    /// An answer with this status.
    Status(u16),
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failing::Reason(reason) => f.write_str(reason.token()),
            Failing::Status(status) => status.fmt(f),
        }
    }
}

impl ServiceState {
    /// A check of the endpoint has passed, or failed for a cause.
    pub(crate) fn checked(
        &self,
        endpoint: &Arc<Endpoint>,
        check: &Check,
        found: Result<(), String>,
        now: Duration,
    ) {
        self.update(endpoint, now, |standing, _| {
            let Some(checked) =
                standing.checked.as_mut().filter(|checked| checked.identity == check.identity)
            else {
                return;
            };
            let passed = found.is_ok();
            let change = checked.health.observe(passed, &check.thresholds());
            checked.failure = found.err();
            match change {
                Some(Condition::Up) => "its check passes".clone_into(&mut standing.why),
                Some(_) => standing.why = checked.failure.clone().unwrap_or_default(),
                None => {}
            }
            match change {
                // It has seen the end of what was wrong.
                Some(Condition::Up) => standing.outlier.restore(),
                _ if passed && standing.outlier.check_passed(now) => {
                    "its check passes".clone_into(&mut standing.why);
                }
                _ => {}
            }
        });
    }

    /// A connection to an endpoint that refused them was made.
    pub(crate) fn reached(&self, endpoint: &Arc<Endpoint>, now: Duration) {
        self.update(endpoint, now, |standing, _| {
            if standing.refusals.connected() {
                "it accepts connections again".clone_into(&mut standing.why);
            }
        });
    }

    /// An attempt at the endpoint has failed, or was answered with an error of a gateway.
    pub(crate) fn attempt_failed(&self, endpoint: &Arc<Endpoint>, failure: Failing, now: Duration) {
        let errors = endpoint.failed();
        let rules = self.rules.load();
        let is_refused = failure == Failing::Reason(Reason::ConnectRefused);
        if is_refused {
            endpoint.refused();
        }
        let policy = rules.outlier.as_ref().filter(|policy| errors >= policy.consecutive_errors.get());
        if !is_refused && policy.is_none() {
            return;
        }
        self.update(endpoint, now, |standing, counts| {
            if is_refused && standing.refusals.refused() {
                CHANGES.fetch_add(1, Ordering::Relaxed);
                "it refuses connections".clone_into(&mut standing.why);
            }
            let Some(policy) = policy else { return };
            if !standing.outlier.is_ejected(now)
                && (counts.healthy > 1 || !endpoint.gate().is_healthy())
                && may_eject(counts.ejected, counts.total, policy.max_ejected_percent)
            {
                standing.outlier.eject(now, policy);
                // It begins anew when it comes back.
                endpoint.answered();
                standing.why = format!("{errors} attempts failed in a row, the last with {failure}");
                self.ejections.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}
