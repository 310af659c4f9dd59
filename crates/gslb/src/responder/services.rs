//! The services that names and regions speak of: what there is of them, and what of that answers depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fulcrum_model::ServiceName;

use super::dependents::differing;
use super::{Outside, ServiceView};
use crate::hosts::Endpoint;

/// One look at the services.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    pub(super) views: Arc<BTreeMap<ServiceName, ServiceView>>,
    pub(super) served: Arc<Served>,
}

/// What answers are made of: while it is the same, they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Served {
    /// Addresses by service: their weights, and whether they are healthy.
    pub(super) addresses: BTreeMap<ServiceName, Vec<(IpAddr, u16, bool)>>,
    /// The same endpoints with their ports.
    pub(super) hosts: BTreeMap<ServiceName, Vec<Endpoint>>,
    /// The services that have not been heard of yet.
    pub(super) unknown: BTreeSet<ServiceName>,
}

impl Services {
    /// What there is of these now. Others may have to be waited for.
    pub(super) fn look(outside: &Outside, names: &BTreeSet<ServiceName>) -> Self {
        let view = |name: &ServiceName| Some((name.clone(), (outside.service)(name)?));
        let views: BTreeMap<ServiceName, ServiceView> = names.iter().filter_map(view).collect();
        let is_unknown = |name: &&ServiceName| views.get(*name).is_none_or(|view| view.is_unknown);
        let served = Served {
            addresses: views.iter().map(|(name, view)| (name.clone(), addresses(view))).collect(),
            hosts: views.iter().map(|(name, view)| (name.clone(), hosts(view))).collect(),
            unknown: names.iter().filter(is_unknown).cloned().collect(),
        };
        Services { views: Arc::new(views), served: Arc::new(served) }
    }
}

impl Served {
    /// The services that are otherwise than they were.
    pub(super) fn others<'a>(&'a self, before: &'a Self) -> BTreeSet<&'a ServiceName> {
        let mut others = differing(&self.addresses, &before.addresses);
        others.extend(differing(&self.hosts, &before.hosts));
        others.extend(self.unknown.symmetric_difference(&before.unknown));
        others
    }
}

fn addresses(view: &ServiceView) -> Vec<(IpAddr, u16, bool)> {
    view.endpoints.iter().map(|endpoint| (endpoint.address, endpoint.weight, endpoint.is_healthy)).collect()
}

fn hosts(view: &ServiceView) -> Vec<Endpoint> {
    let host = |endpoint: &super::EndpointView| Endpoint {
        address: SocketAddr::new(endpoint.address, endpoint.port),
        weight: endpoint.weight,
        is_healthy: endpoint.is_healthy,
    };
    view.endpoints.iter().map(host).collect()
}
