//! The host names among the endpoints, and the addresses that they resolve to.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use fulcrum_config::{self as config, Discovery, Target};
use fulcrum_model::Source;

use super::Control;

/// The addresses that host names resolve to.
pub(super) type Hosts = HashMap<String, Vec<IpAddr>>;

impl Control {
    /// The host names that endpoints have, and those all of whose addresses are endpoints.
    pub(crate) fn host_names(&self) -> BTreeSet<String> {
        let services = self.config.iter().flat_map(|config| &config.services);
        services.flat_map(names).map(str::to_owned).collect()
    }

    /// A host name resolves to these addresses now.
    pub(crate) fn resolved(&mut self, host: &str, addresses: &[IpAddr], now: Duration) {
        self.hosts.insert(host.to_owned(), addresses.to_vec());
        let Some(config) = self.config.clone() else { return };
        for service in config.services.iter().filter(|service| names(service).any(|name| name == host)) {
            self.rebuild(service, now);
        }
    }
}

/// The host names that a service has its endpoints by.
fn names(service: &config::Service) -> impl Iterator<Item = &str> {
    let given = service.endpoints.iter().filter_map(|endpoint| match &endpoint.address {
        Target::Host(host) => Some(host.host.as_str()),
        Target::Address(_) => None,
    });
    let discovered = match &service.discovery {
        Some(Discovery::Source(Source::Dns(host))) => Some(host.host.as_str()),
        _ => None,
    };
    given.chain(discovered)
}
