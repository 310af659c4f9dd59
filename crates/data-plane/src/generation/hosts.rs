//! The host names among the endpoints, and the addresses that they resolve to.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use fulcrum_config::{self as config, Target};

use super::Control;

/// The addresses that host names resolve to.
pub(super) type Hosts = HashMap<String, Vec<IpAddr>>;

impl Control {
    /// The host names among the endpoints.
    pub(crate) fn host_names(&self) -> BTreeSet<String> {
        let endpoints = self.config.iter().flat_map(|config| &config.services).flat_map(|one| &one.endpoints);
        let host = |endpoint: &config::Endpoint| match &endpoint.address {
            Target::Host(host) => Some(host.host.clone()),
            Target::Address(_) => None,
        };
        endpoints.filter_map(host).collect()
    }

    /// A host name resolves to these addresses now.
    pub(crate) fn resolved(&mut self, host: &str, addresses: &[IpAddr], now: Duration) {
        self.hosts.insert(host.to_owned(), addresses.to_vec());
        let Some(config) = self.config.clone() else { return };
        let uses =
            |endpoint: &config::Endpoint| matches!(&endpoint.address, Target::Host(one) if one.host == host);
        for service in config.services.iter().filter(|service| service.endpoints.iter().any(uses)) {
            self.rebuild(service, now);
        }
    }
}
