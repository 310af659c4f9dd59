//! How a service judges its endpoints, as configured.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_balance::health::Thresholds;
use fulcrum_balance::outlier::OutlierPolicy;
use fulcrum_balance::panic::PanicPolicy;
use fulcrum_config::{self as config, PanicAction};

/// How endpoints of a service are judged, by the generation in force.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) health: Option<Check>,
    pub(crate) outlier: Option<OutlierPolicy>,
    pub(super) panic: PanicPolicy,
    pub(super) then: PanicAction,
    pub(crate) slow_start: Duration,
    /// How long existing work may go on at an endpoint that is withdrawn or removed.
    pub(crate) drain: Option<Duration>,
    /// Endpoints may be still to be found, by name.
    pub(super) has_names: bool,
    /// Nothing has been heard yet of those that are discovered.
    pub(super) awaits_discovery: bool,
    pub(super) retry: (u8, u32),
}

/// The active check of a service.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) config: Arc<config::HealthCheck>,
    /// The same for the same configuration.
    pub(crate) identity: u64,
}

impl Rules {
    pub(crate) fn new(service: &config::Service) -> Self {
        Rules {
            health: service.health.as_ref().map(Check::new),
            outlier: service.outlier.as_ref().map(|outlier| OutlierPolicy {
                consecutive_errors: outlier.consecutive_errors,
                eject: outlier.eject,
                max_eject: outlier.max_eject,
                max_ejected_percent: outlier.max_ejected,
            }),
            panic: PanicPolicy {
                below_percent: service.panic.below,
                at_least: service.panic.at_least as usize,
            },
            then: service.panic.then,
            slow_start: service.slow_start,
            drain: service.drain,
            has_names: service
                .endpoints
                .iter()
                .any(|endpoint| matches!(endpoint.address, config::Target::Host(_))),
            awaits_discovery: service.discovery.is_some(),
            retry: (service.retry.budget, service.retry.budget_min),
        }
    }

    /// What is discovered has been told: that there is nobody, too.
    pub(crate) fn told(self) -> Self {
        Rules { awaits_discovery: false, ..self }
    }
}

impl Check {
    fn new(check: &config::HealthCheck) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        check.hash(&mut hasher);
        Check { config: Arc::new(check.clone()), identity: hasher.finish() }
    }

    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds { rise: self.config.rise, fall: self.config.fall }
    }
}
