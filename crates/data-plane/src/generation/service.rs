//! What becomes of a service: its state lives on, its endpoints are built anew where they differ.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_balance::session::SessionKeys;
use fulcrum_config::{self as config, EndpointState, Secret, Target};
use fulcrum_model::{Address, EndpointId, HostPort, Weight, WeightSource};

use super::discovered::{Discovered, LoadTerms};
use super::hosts::Hosts;
use super::{Cause, Control};
use crate::endpoint::LIMITLESS;
use crate::service::{self, Membership, Override, Plan, Rules, ServiceState, Sessions, Terms, Wanted};

/// What becomes of a service.
#[derive(Debug)]
pub(super) struct NextService {
    pub(super) state: Arc<ServiceState>,
    rules: Rules,
    membership: Arc<Membership>,
    /// Of the endpoints, by place.
    terms: Vec<Terms>,
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
        let plan = Plan { policy, wanted: &wanted, sessions: sessions.as_ref(), check };
        let membership = if before.is(&plan) {
            before
        } else {
            Arc::new(Membership::new(&configured.name, &plan, &before))
        };
        let terms = wanted.into_iter().map(|wanted| wanted.terms).collect();
        Ok(NextService { state, rules, membership, terms })
    }

    pub(super) fn commit(self, orders: &HashMap<EndpointId, Override>, now: Duration) {
        self.state.replace(self.rules, self.membership, orders, &self.terms, now);
    }
}

/// Requests that an endpoint may have at a time, of which it says itself that it takes `own` at most: each needs a
/// connection. The smallest limit is the one that counts.
fn places(service: &config::Service, own: Option<NonZeroU32>) -> u32 {
    let limits = [service.limits.max_requests, service.limits.max_connections, own];
    limits.into_iter().flatten().map(NonZeroU32::get).min().unwrap_or(LIMITLESS)
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
    let mut add = |id: EndpointId, address: Address, said: (Weight, EndpointState, LoadTerms)| {
        // A host may well resolve to an address that is configured too.
        if seen.insert(id.clone()) {
            let (weight, state, LoadTerms { limit, weight_source, reports }) = said;
            let ordered = orders.get(&id).and_then(|order| order.weight);
            let weight = ordered.map_or((weight, weight_source), |weight| (weight, WeightSource::Order));
            let terms = Terms { state, places: places(service, limit), reports };
            wanted.push(Wanted { id, address, weight, terms });
        }
    };
    for endpoint in &service.endpoints {
        let load = || LoadTerms { weight_source: WeightSource::Config, ..LoadTerms::default() };
        let settings = || (endpoint.weight, endpoint.state, load());
        match &endpoint.address {
            Target::Address(address) => add(endpoint.id.clone(), address.clone(), settings()),
            Target::Host(host) => {
                let addresses = hosts.get(host.host.as_str()).map_or(&[][..], Vec::as_slice);
                for address in addresses {
                    let address = Address::Tcp(SocketAddr::new(*address, host.port.get()));
                    add(host_id(endpoint, host, &address), address, settings());
                }
            }
        }
    }
    for endpoint in found {
        add(
            endpoint.id.clone(),
            endpoint.address.clone(),
            (endpoint.weight, endpoint.state, endpoint.load.clone()),
        );
    }
    wanted
}

/// One of the addresses of a host is called by itself, behind the name that the endpoint was given.
fn host_id(endpoint: &config::Endpoint, host: &HostPort, address: &Address) -> EndpointId {
    let name = endpoint.id.as_str();
    let text = if name == host.to_string() { address.to_string() } else { format!("{name}@{address}") };
    text.parse().unwrap_or_else(|_| endpoint.id.clone())
}
