//! The endpoints that services have by discovery, and what is known of the way to them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_config::{self as config, Config, Discovery, EndpointState};
use fulcrum_model::{
    Address, EndpointId, HostPort, LoadReports, Reach, ServiceName, Source, Weight, WeightSource,
};

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

/// What was last heard.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// By where it was discovered.
    told: HashMap<Discovery, Arc<[Discovered]>>,
    /// What each service has by discovery: when it has another source from now on, until the first word of that.
    heard: HashMap<ServiceName, Arc<[Discovered]>>,
}

impl Findings {
    /// What a service has by discovery as long as its source has said nothing.
    pub(super) fn heard(&self, service: &config::Service) -> Option<Arc<[Discovered]>> {
        service.discovery.as_ref().and_then(|_| self.heard.get(&service.name).cloned())
    }
}

impl Control {
    /// The names in the registry that services follow.
    pub(crate) fn followed(&self) -> BTreeSet<ServiceName> {
        let services = self.config.iter().flat_map(|config| &config.services);
        services.filter_map(|service| source(service).cloned()).collect()
    }

    /// The services that have endpoints from outside of the registry, each with where they come from.
    pub(crate) fn sources(&self) -> Vec<(ServiceName, Source)> {
        let services = self.config.iter().flat_map(|config| &config.services);
        let source = |service: &config::Service| match &service.discovery {
            Some(Discovery::Source(source)) => Some((service.name.clone(), source.clone())),
            Some(Discovery::Registry(_)) | None => None,
        };
        services.filter_map(source).collect()
    }

    /// The endpoints that are discovered there now: all of them.
    pub(crate) fn discovered(&mut self, place: &Discovery, found: Vec<Discovered>, now: Duration) {
        if self.findings.told.get(place).is_some_and(|told| **told == found[..]) {
            return;
        }
        self.findings.told.insert(place.clone(), found.into());
        let Some(config) = self.config.clone() else { return };
        for service in config.services.iter().filter(|service| service.discovery.as_ref() == Some(place)) {
            self.rebuild(service, now);
        }
    }

    /// What the source of a service has said.
    pub(super) fn told(&self, service: &config::Service) -> Option<Arc<[Discovered]>> {
        match service.discovery.as_ref()? {
            Discovery::Source(Source::Dns(host)) => {
                let told = self.hosts.get(&host.host).map(|addresses| resolved(host, addresses))?;
                // The DNS never leaves a service with nobody.
                (!told.is_empty()).then_some(told)
            }
            place => self.findings.told.get(place).cloned(),
        }
    }

    /// Notes what a service has now.
    pub(super) fn hear(&mut self, service: &config::Service) {
        if let Some(told) = self.told(service) {
            self.findings.heard.insert(service.name.clone(), told);
        }
    }

    /// Notes what all services of a new configuration have, and forgets what nobody asks for any more.
    pub(super) fn hear_all(&mut self, config: &Config) {
        for service in &config.services {
            self.hear(service);
        }
        let discovered = config.services.iter().filter_map(|one| Some((&one.name, one.discovery.as_ref()?)));
        let (names, places): (HashSet<_>, HashSet<_>) = discovered.unzip();
        self.findings.heard.retain(|name, _| names.contains(name));
        // Of the registry only changes are told: what was followed a moment ago may be followed again at once.
        let is_registered = |place: &Discovery| matches!(place, Discovery::Registry(_));
        self.findings.told.retain(|place, _| is_registered(place) || places.contains(place));
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
    match service.discovery.as_ref()? {
        Discovery::Registry(name) => Some(name),
        Discovery::Source(_) => None,
    }
}

/// All the addresses of a name are endpoints, each called by itself: but the DNS leads neither to what only this link can
/// reach (clouds keep their credentials there), nor to "any address", which is this host.
fn resolved(host: &HostPort, addresses: &[IpAddr]) -> Arc<[Discovered]> {
    let endpoint = |address: &IpAddr| {
        let address = Address::Tcp(SocketAddr::new(*address, host.port.get()));
        let id = address.to_string().parse().ok()?;
        Some(Discovered {
            id,
            address,
            weight: Weight::ONE,
            state: EndpointState::Up,
            load: LoadTerms::default(),
        })
    };
    addresses.iter().filter(|address| is_somebody(address.to_canonical())).filter_map(endpoint).collect()
}

fn is_somebody(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !is_link_local && !address.is_unspecified()
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
    fn names_do_not_lead_to_a_link() {
        let host: HostPort = "app.internal:80".parse().expect("a host");
        let texts =
            ["10.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0", "127.0.0.1"];
        let found = resolved(&host, &texts.map(|text| text.parse().expect("an address")));
        let found: Vec<String> = found.iter().map(|one| one.id.to_string()).collect();
        assert_eq!(found, ["10.0.0.1:80", "127.0.0.1:80"]);
    }

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
