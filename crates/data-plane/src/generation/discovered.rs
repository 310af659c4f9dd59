//! The endpoints that services have by discovery, and what is known of the way to them.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_config::{self as config, Discovery, EndpointState};
use fulcrum_model::{Address, EndpointId, LoadReports, Reach, ServiceName, Weight, WeightSource};

use super::Control;
use crate::endpoint::Gate;

/// An endpoint that was discovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// Its identity: it stays the same endpoint as long as this and the address do.
    pub id: EndpointId,
    /// Where it is.
    pub address: Address,
    /// Its share.
    pub weight: Weight,
    /// What it takes.
    pub state: EndpointState,
    /// What it says of its load, where whatever it was discovered by can tell.
    pub load: LoadTerms,
}

/// What an instance says of the load that it takes, and has. Without anything: [`default`](Default::default).
#[derive(Clone, Debug, Default)]
pub struct LoadTerms {
    /// Requests that it can work on at a time.
    pub limit: Option<NonZeroU32>,
    /// Who has said what it weighs.
    pub weight_source: WeightSource,
    /// What it has under way, whoever sent that.
    pub reports: Option<Arc<LoadReports>>,
}

impl PartialEq for LoadTerms {
    /// What is reported is no part of it, only where.
    fn eq(&self, other: &Self) -> bool {
        let place = |terms: &Self| terms.reports.as_ref().map(Arc::as_ptr);
        (self.limit, self.weight_source, place(self)) == (other.limit, other.weight_source, place(other))
    }
}

impl Eq for LoadTerms {}

/// What was last heard, by the name that it was discovered under.
pub(super) type Findings = HashMap<ServiceName, Vec<Discovered>>;

impl Control {
    /// The names in the registry that services follow.
    pub(crate) fn followed(&self) -> BTreeSet<ServiceName> {
        let services = self.config.iter().flat_map(|config| &config.services);
        services.filter_map(|service| source(service).cloned()).collect()
    }

    /// The endpoints that are discovered under a name now: all of them.
    pub(crate) fn discovered(&mut self, name: &ServiceName, found: Vec<Discovered>, now: Duration) {
        if self.findings.get(name) == Some(&found) {
            return;
        }
        self.findings.insert(name.clone(), found);
        let Some(config) = self.config.clone() else { return };
        for service in config.services.iter().filter(|service| source(service) == Some(name)) {
            self.rebuild(service, now);
        }
    }

    /// What is known of the ways to the endpoints that were discovered under a name; of others nothing.
    pub(crate) fn reaches(&self, name: &ServiceName) -> HashMap<EndpointId, Reach> {
        let mut reaches = HashMap::new();
        let services = self.config.iter().flat_map(|config| &config.services);
        for service in services.filter(|service| source(service) == Some(name)) {
            let Some(state) = self.services.get(&service.name) else { continue };
            let is_checked = service.health.is_some();
            for endpoint in &state.membership.load().endpoints {
                let reach = reach(endpoint.gate(), is_checked);
                // Several services may see it: that one of them reaches it is proof.
                let known = reaches.entry(endpoint.id.clone()).or_insert(reach);
                if *known == Reach::Unknown || reach == Reach::Reachable {
                    *known = reach;
                }
            }
        }
        reaches
    }
}

/// The name in the registry that a service follows.
fn source(service: &config::Service) -> Option<&ServiceName> {
    service.discovery.as_ref().map(|Discovery::Registry(name)| name)
}

fn reach(gate: Gate, is_checked: bool) -> Reach {
    let failing = Gate::DOWN.with(Gate::EJECTED).with(Gate::UNREACHABLE);
    match () {
        () if gate.has(failing) => Reach::Failing,
        () if is_checked && !gate.has(Gate::UNKNOWN) => Reach::Reachable,
        () => Reach::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_check_proves_that_an_endpoint_can_be_reached() {
        fn check(gate: Gate, is_checked: bool, expected: Reach) {
            assert_eq!(reach(gate, is_checked), expected, "{gate:?}");
        }
        check(Gate::OPEN, false, Reach::Unknown);
        check(Gate::OPEN, true, Reach::Reachable);
        check(Gate::UNKNOWN, true, Reach::Unknown);
        check(Gate::DRAINING, true, Reach::Reachable);
        check(Gate::DOWN, true, Reach::Failing);
        check(Gate::EJECTED, false, Reach::Failing);
        check(Gate::UNREACHABLE, false, Reach::Failing);
    }
}
