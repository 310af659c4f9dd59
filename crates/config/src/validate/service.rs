//! Services: endpoints and their identities, balancing, defaults.

use std::collections::HashMap;
use std::num::NonZeroU64;

use fulcrum_model::{Address, EndpointId, Weight};

use crate::code::Code;
use crate::decode::{At, NamedEntry};
use crate::field::not_token;
use crate::node::quote;
use crate::raw::{Policy, RawBalance, RawDefaults, RawEndpoint, RawPool, RawService};
use crate::service::{Balance, Endpoint, HashKey, Pool, Service, UpstreamTimeouts};
use crate::source::Place;
use crate::suggest::did_you_mean;

use super::listener::limit;
use super::{Context, name};

/// Every service that is well-formed by itself.
pub(crate) fn all(
    entries: Vec<NamedEntry<RawService>>,
    defaults: Option<&RawDefaults>,
    context: &mut Context<'_>,
) -> Vec<Service> {
    entries.into_iter().filter_map(|entry| service(entry, defaults, context)).collect()
}

fn service(
    entry: NamedEntry<RawService>,
    defaults: Option<&RawDefaults>,
    context: &mut Context<'_>,
) -> Option<Service> {
    let name = name(&entry.name, entry.place, context);
    let raw = entry.value?;
    let timeouts = timeouts(&raw, defaults);
    let pool = pool(raw.pool.as_ref(), defaults.and_then(|defaults| defaults.pool.as_ref()));
    let balance = raw.balance.map_or(Some(Balance::LeastRequest), |raw| balance(raw, context));
    let endpoints = endpoints(raw.endpoints?.0, context);
    Some(Service { name: name?, endpoints, balance: balance?, timeouts, pool })
}

fn endpoints(raw: Vec<RawEndpoint>, context: &mut Context<'_>) -> Vec<Endpoint> {
    let mut places: HashMap<EndpointId, Place> = HashMap::new();
    let mut endpoints = Vec::with_capacity(raw.len());
    for raw in raw {
        let Some((endpoint, place)) = endpoint(raw, context) else { continue };
        match places.get(&endpoint.id) {
            Some(&other) => {
                context
                    .problems
                    .add(
                        Code::DuplicateEndpoint,
                        place,
                        format!("the endpoint `{}` is given twice", endpoint.id),
                    )
                    .note(format!("first in {}", context.sources.label(other)))
                    .note("for two shares of traffic give one endpoint a `weight`");
            }
            None => {
                places.insert(endpoint.id.clone(), place);
            }
        }
        endpoints.push(endpoint);
    }
    endpoints
}

/// An endpoint, and the place of its identity.
fn endpoint(raw: RawEndpoint, context: &mut Context<'_>) -> Option<(Endpoint, Place)> {
    let (address, id, weight) = match raw {
        RawEndpoint::Short(address) => (address, None, None),
        RawEndpoint::Long(long) => (long.address?, long.id, long.weight),
    };
    let place = id.as_ref().map_or(address.place, |id| id.place);
    let address: Address = address.value.0;
    let id = match id {
        Some(id) => name(&id.value, id.place, context)?,
        None => name(&address.to_string(), place, context)?,
    };
    let weight = weight.and_then(|weight| Weight::new(weight.0 as u16)).unwrap_or_default();
    Some((Endpoint { id, address, weight }, place))
}

fn timeouts(raw: &RawService, defaults: Option<&RawDefaults>) -> UpstreamTimeouts {
    let own = raw.timeouts.as_ref();
    let inherited = defaults.and_then(|defaults| defaults.timeouts.as_ref());
    UpstreamTimeouts {
        connect: limit(own.and_then(|t| t.connect), inherited.and_then(|t| t.connect), 5),
        response_header: limit(
            own.and_then(|t| t.response_header),
            inherited.and_then(|t| t.response_header),
            60,
        ),
        response_idle: limit(own.and_then(|t| t.response_idle), inherited.and_then(|t| t.response_idle), 60),
        stream_idle: limit(own.and_then(|t| t.stream_idle), inherited.and_then(|t| t.stream_idle), 3600),
    }
}

fn pool(own: Option<&RawPool>, inherited: Option<&RawPool>) -> Pool {
    let max_idle = own.and_then(|pool| pool.max_idle).or_else(|| inherited.and_then(|pool| pool.max_idle));
    let requests =
        own.and_then(|pool| pool.max_requests).or_else(|| inherited.and_then(|pool| pool.max_requests));
    Pool {
        max_idle: max_idle.map_or(100, |most| most.0 as u32),
        max_age: limit(own.and_then(|p| p.max_age), inherited.and_then(|p| p.max_age), 3600),
        max_requests: requests
            .map_or(NonZeroU64::new(100_000), |most| most.0.and_then(|most| NonZeroU64::new(most.0))),
        idle: limit(own.and_then(|p| p.idle), inherited.and_then(|p| p.idle), 55),
    }
}

fn balance(raw: RawBalance, context: &mut Context<'_>) -> Option<Balance> {
    let (policy, key) = match raw {
        RawBalance::Short(policy) => (policy.0, None),
        RawBalance::Long(long) => (long.policy?.0, long.key),
    };
    let hashed = |key: Option<At<String>>, context: &mut Context<'_>| match key {
        None => Some(HashKey::Source),
        Some(key) => hash_key(&key, context),
    };
    match policy {
        Policy::Ring => return hashed(key, context).map(Balance::Ring),
        Policy::Maglev => return hashed(key, context).map(Balance::Maglev),
        _ => {}
    }
    if let Some(key) = key {
        context.problems.add(Code::Conflict, key.place, "`key` means something only to `ring` and `maglev`");
    }
    match policy {
        Policy::RoundRobin => Some(Balance::RoundRobin),
        Policy::Random => Some(Balance::Random),
        _ => Some(Balance::LeastRequest),
    }
}

/// `source`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`.
fn hash_key(key: &At<String>, context: &mut Context<'_>) -> Option<HashKey> {
    let mut refuse = |message: String| {
        context
            .problems
            .add(Code::HashKey, key.place, message)
            .note("allowed here: source, path, header:NAME, cookie:NAME, query:NAME");
        None
    };
    let text = key.value.as_str();
    match text.split_once(':') {
        None if text == "source" => Some(HashKey::Source),
        None if text == "path" => Some(HashKey::Path),
        Some(("query", name)) if !name.is_empty() => Some(HashKey::Query(name.to_owned())),
        Some((kind @ ("header" | "cookie"), name)) => match not_token(name) {
            Some(why) => refuse(format!("{} names no {kind}: {why}", quote(text))),
            None if kind == "header" => Some(HashKey::Header(name.to_ascii_lowercase())),
            None => Some(HashKey::Cookie(name.to_owned())),
        },
        _ => {
            let guess = did_you_mean(text, ["source", "path"]);
            refuse(format!("{} is nothing to hash by{guess}", quote(text)))
        }
    }
}
