//! Services: balancing, clocks, pools, and what `defaults` say about them.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::code::Code;
use crate::decode::{At, Limit, NamedEntry};
use crate::duration::Span;
use crate::field::not_token;
use crate::node::quote;
use crate::raw::{Policy, RawBalance, RawDefaults, RawPool, RawService};
use crate::service::{Balance, HashKey, Pool, Service, UpstreamTimeouts};
use crate::suggest::did_you_mean;

use super::layers::Layers;
use super::listener::limit;
use super::usage::Usage;
use super::{Context, discovery, endpoint, health, limits, name, retry, sticky};

/// Every service that is well-formed by itself.
pub(crate) fn all(
    entries: Vec<NamedEntry<RawService>>,
    defaults: Option<&RawDefaults>,
    around: (&Usage<'_>, bool),
    context: &mut Context<'_>,
) -> Vec<Service> {
    entries.into_iter().filter_map(|entry| service(entry, defaults, around, context)).collect()
}

fn service(
    entry: NamedEntry<RawService>,
    defaults: Option<&RawDefaults>,
    (usage, has_registry): (&Usage<'_>, bool),
    context: &mut Context<'_>,
) -> Option<Service> {
    let name = name(&entry.name, entry.place, context);
    let mut raw = entry.value?;
    usage.refuse_http_settings(&entry.name, &raw, context);
    let outlier = Layers::of(raw.outlier.as_ref(), defaults.and_then(|defaults| defaults.outlier.as_ref()));
    let retry = Layers::of(raw.retry.as_ref(), defaults.and_then(|defaults| defaults.retry.as_ref()));
    let health = raw.health.as_ref().and_then(|switch| switch.0.as_ref());
    let sticky = raw.sticky.as_ref().and_then(|switch| switch.0.as_ref());
    let balance = raw.balance.as_ref().map_or(Some(Balance::LeastRequest), |raw| balance(raw, context));
    refuse_without_endpoints(&raw, context);
    let discovery = raw.discovery.take().and_then(|raw| discovery::discovery(raw, has_registry, context));
    let endpoints = raw.endpoints.take().map_or_else(Vec::new, |raw| endpoint::all(raw.0, context));
    Some(Service {
        slow_start: slow_start(raw.slow_start.or(defaults.and_then(|defaults| defaults.slow_start))),
        panic: health::panic(raw.panic.as_ref()),
        health: health.and_then(|raw| health::health(raw, context.problems)),
        outlier: health::outlier(outlier, context.problems),
        retry: retry::retry(retry),
        limits: limits::limits(raw.limits.as_ref(), context.problems),
        sticky: sticky.map(|raw| sticky::sticky(raw, &entry.name, context)),
        drain: limit(raw.drain.as_ref().and_then(|drain| drain.timeout), None, 300),
        timeouts: timeouts(&raw, defaults),
        pool: pool(raw.pool.as_ref(), defaults.and_then(|defaults| defaults.pool.as_ref())),
        // Last, so that every part is looked at even if one of these is missing.
        name: name?,
        endpoints,
        discovery,
        balance: balance?,
    })
}

/// Endpoints are given, or discovered.
fn refuse_without_endpoints(raw: &RawService, context: &mut Context<'_>) {
    let is_given = |key| raw.given.place(key).is_some();
    if !is_given("endpoints") && !is_given("discovery") {
        let place = raw.given.whole();
        context.problems.add(Code::Missing, place, "the key `endpoints` is missing").note(
            "or, where they are found: `discovery: { registry: NAME }`, or `dns`, `srv`, `file` or `http`",
        );
    }
}

/// `none` is no slow start.
fn slow_start(raw: Option<Limit<Span<1, 3_600_000>>>) -> Duration {
    match raw {
        None => Duration::from_secs(10),
        Some(Limit(span)) => span.map_or(Duration::ZERO, |span| span.0),
    }
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

fn balance(raw: &RawBalance, context: &mut Context<'_>) -> Option<Balance> {
    let (policy, key) = match raw {
        RawBalance::Short(policy) => (policy.0, None),
        RawBalance::Long(long) => (long.policy?.0, long.key.as_ref()),
    };
    let hashed = |key: Option<&At<String>>, context: &mut Context<'_>| match key {
        None => Some(HashKey::Source),
        Some(key) => hash_key(key, context),
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
