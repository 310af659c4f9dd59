//! What becomes of a service: its state lives on, its endpoints are built anew where they differ.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_balance::session::SessionKeys;
use fulcrum_config::{self as config, EndpointState, Secret, Target};
use fulcrum_model::{Address, EndpointId, HostPort, Weight};

use super::discovered::Discovered;
use super::hosts::Hosts;
use super::{Cause, Control};
use crate::service::{self, Membership, Override, Plan, Rules, ServiceState, Sessions, Wanted};

/// What becomes of a service.
#[derive(Debug)]
pub(super) struct NextService {
    pub(super) state: Arc<ServiceState>,
    rules: Rules,
    membership: Arc<Membership>,
    /// As configured, by place.
    states: Vec<EndpointState>,
}

impl NextService {
    pub(super) fn prepare(
        configured: &config::Service,
        control: &Control,
        key: Option<&Secret>,
        now: Duration,
    ) -> Result<Self, Cause> {
        let (policy, _) = service::policy(&configured.balance);
        let rules = Rules::new(configured);
        let check = rules.health.as_ref().map(|check| check.identity);
        let state = match control.services.get(&configured.name) {
            Some(state) => Arc::clone(state),
            None => Arc::new(ServiceState::new(&configured.name, Rules::new(configured), now)),
        };
        let before = state.membership.load_full();
        let sessions = configured.sticky.as_ref().map(|sticky| sessions(sticky, key, &before)).transpose()?;
        let orders = control.orders_of(&configured.name);
        let told = control.told(configured);
        let rules = if told.is_some() { rules.told() } else { rules };
        let found = told.or_else(|| control.findings.heard(configured));
        let found = found.as_deref().unwrap_or_default();
        let wanted = wanted_endpoints(configured, (&control.hosts, found), orders);
        let plan =
            Plan { policy, wanted: &wanted, places: places(configured), sessions: sessions.as_ref(), check };
        let membership = if before.is(&plan) {
            before
        } else {
            Arc::new(Membership::new(&configured.name, &plan, &before))
        };
        let states = wanted.iter().map(|wanted| wanted.state).collect();
        Ok(NextService { state, rules, membership, states })
    }

    pub(super) fn commit(self, orders: &HashMap<EndpointId, Override>, now: Duration) {
        self.state.replace(self.rules, self.membership, orders, &self.states, now);
    }
}

/// Requests that one endpoint may have at a time: each needs a connection of its own.
fn places(service: &config::Service) -> u32 {
    let most = |limit: Option<std::num::NonZeroU32>| limit.map_or(u32::MAX, std::num::NonZeroU32::get);
    most(service.limits.max_requests).min(most(service.limits.max_connections))
}

/// The keys of a sticky service: those it had, if they are the same.
fn sessions(
    sticky: &config::Sticky,
    default: Option<&Secret>,
    before: &Membership,
) -> Result<Arc<Sessions>, Cause> {
    let secrets = match (sticky.keys.as_slice(), default) {
        ([], Some(key)) => vec![key.clone()],
        (keys, _) => keys.to_vec(),
    };
    if let Some(pins) = before.pins.as_ref().filter(|pins| pins.sessions.secrets == secrets) {
        return Ok(Arc::clone(&pins.sessions));
    }
    let current = secrets.first().map_or(&[][..], Secret::expose);
    let keys = SessionKeys::new(current, secrets.get(1).map(Secret::expose)).map_err(Cause::SessionKey)?;
    Ok(Arc::new(Sessions { keys, secrets }))
}

/// The endpoints that a service shall have, as far as its host names are resolved and others are discovered.
fn wanted_endpoints(
    service: &config::Service,
    (hosts, found): (&Hosts, &[Discovered]),
    orders: &HashMap<EndpointId, Override>,
) -> Vec<Wanted> {
    let mut seen = HashSet::new();
    let mut wanted = Vec::with_capacity(service.endpoints.len());
    let mut add = |id: EndpointId, address: Address, (weight, state): (Weight, EndpointState)| {
        // A host may well resolve to an address that is configured too.
        if seen.insert(id.clone()) {
            let weight = orders.get(&id).and_then(|order| order.weight).unwrap_or(weight);
            wanted.push(Wanted { id, address, weight, state });
        }
    };
    for endpoint in &service.endpoints {
        let settings = (endpoint.weight, endpoint.state);
        match &endpoint.address {
            Target::Address(address) => add(endpoint.id.clone(), address.clone(), settings),
            Target::Host(host) => {
                let addresses = hosts.get(host.host.as_str()).map_or(&[][..], Vec::as_slice);
                for address in addresses {
                    let address = Address::Tcp(SocketAddr::new(*address, host.port.get()));
                    add(host_id(endpoint, host, &address), address, settings);
                }
            }
        }
    }
    for endpoint in found {
        add(endpoint.id.clone(), endpoint.address.clone(), (endpoint.weight, endpoint.state));
    }
    wanted
}

/// One of the addresses of a host is called by itself, behind the name that the endpoint was given.
fn host_id(endpoint: &config::Endpoint, host: &HostPort, address: &Address) -> EndpointId {
    let name = endpoint.id.as_str();
    let text = if name == host.to_string() { address.to_string() } else { format!("{name}@{address}") };
    text.parse().unwrap_or_else(|_| endpoint.id.clone())
}
