//! Listeners: defaults, ranges that depend on each other.

use std::time::Duration;

use crate::code::Code;
use crate::decode::{Limit, NamedEntry};
use crate::duration::Timeout;
use crate::listener::{
    DownstreamTimeouts, EncodedSlash, HttpRules, Listener, ListenerAction, Protocol, Underscores,
};
use crate::raw::{RawDefaults, RawHttp, RawListener, SpokenProtocol};

use super::limits::bound;
use super::{Context, Names, name};

/// Every listener that is well-formed by itself.
pub(crate) fn all(
    entries: Vec<NamedEntry<RawListener>>,
    defaults: Option<&RawDefaults>,
    names: &Names,
    context: &mut Context<'_>,
) -> Vec<Listener> {
    if let Some(http) = defaults.and_then(|defaults| defaults.http.as_ref()) {
        refuse_small_block(http, context);
    }
    entries.into_iter().filter_map(|entry| listener(entry, defaults, names, context)).collect()
}

fn listener(
    entry: NamedEntry<RawListener>,
    defaults: Option<&RawDefaults>,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<Listener> {
    let name = name(&entry.name, entry.place, context);
    let raw = entry.value?;
    if let Some(http) = &raw.http {
        refuse_small_block(http, context);
    }
    let protocol = protocol(&entry.name, &raw, names, context);
    let limits = raw.limits.as_ref();
    Some(Listener {
        name: name?,
        protocol: protocol?,
        max_connections: bound(limits.and_then(|limits| limits.connections)),
        connections_per_source: bound(limits.and_then(|limits| limits.connections_per_source)),
        timeouts: timeouts(&raw, defaults),
        http: http_rules(raw.http.as_ref(), defaults.and_then(|defaults| defaults.http.as_ref())),
        action: raw.redirect.map_or(ListenerAction::Route, |word| word.0),
        binds: raw.bind?.0.into_iter().map(|bind| bind.value.0).collect(),
    })
}

/// What is spoken, with the keys that belong to it and no others.
fn protocol(listener: &str, raw: &RawListener, names: &Names, context: &mut Context<'_>) -> Option<Protocol> {
    match raw.protocol.map_or(SpokenProtocol::Http, |word| word.0) {
        // A protocol that could not be read may have been meant to be TCP.
        SpokenProtocol::Http if raw.protocol.is_none() && raw.given.place("protocol").is_some() => None,
        SpokenProtocol::Http => {
            if let Some(place) = raw.given.place("to") {
                context
                    .problems
                    .add(Code::Conflict, place, "`to` means something only to tcp listeners")
                    .note("where requests go is said by `routes`; for connections add `protocol: tcp`");
            }
            Some(Protocol::Http)
        }
        SpokenProtocol::Tcp => {
            refuse_http_keys(raw, context);
            if raw.given.place("to").is_none() && !raw.given.unknown() {
                context
                    .problems
                    .add(Code::Missing, raw.given.whole(), "the key `to` is missing")
                    .note("a tcp listener sends every connection to one service");
            }
            names.service(raw.to.as_ref()?, &format!("listener `{listener}`"), context).map(Protocol::Tcp)
        }
    }
}

/// Keys that say something about requests.
fn refuse_http_keys(raw: &RawListener, context: &mut Context<'_>) {
    let timeouts = raw.timeouts.as_ref().map(|timeouts| &timeouts.given);
    let keys = [
        ("redirect", raw.given.place("redirect")),
        ("http", raw.given.place("http")),
        ("timeouts.header", timeouts.and_then(|given| given.place("header"))),
        ("timeouts.body_idle", timeouts.and_then(|given| given.place("body_idle"))),
        ("timeouts.keep_alive", timeouts.and_then(|given| given.place("keep_alive"))),
    ];
    for (key, place) in keys {
        let Some(place) = place else { continue };
        context.problems.add(
            Code::Conflict,
            place,
            format!("`{key}` means something only to http listeners"),
        );
    }
}

fn timeouts(raw: &RawListener, defaults: Option<&RawDefaults>) -> DownstreamTimeouts {
    let own = raw.timeouts.as_ref();
    let inherited = defaults.and_then(|defaults| defaults.timeouts.as_ref());
    DownstreamTimeouts {
        header: limit(own.and_then(|t| t.header), inherited.and_then(|t| t.header), 10),
        body_idle: limit(own.and_then(|t| t.body_idle), inherited.and_then(|t| t.body_idle), 60),
        keep_alive: limit(own.and_then(|t| t.keep_alive), inherited.and_then(|t| t.keep_alive), 75),
    }
}

/// What is said here, else in `defaults`, else a number of seconds.
pub(crate) fn limit(
    own: Option<Limit<Timeout>>,
    inherited: Option<Limit<Timeout>>,
    seconds: u64,
) -> Option<Duration> {
    match own.or(inherited) {
        Some(limit) => limit.0.map(|timeout| timeout.0),
        None => Some(Duration::from_secs(seconds)),
    }
}

fn http_rules(own: Option<&RawHttp>, inherited: Option<&RawHttp>) -> HttpRules {
    /// What is said here, else in `defaults`.
    fn pick<T: Copy>(
        own: Option<&RawHttp>,
        inherited: Option<&RawHttp>,
        field: impl Fn(&RawHttp) -> Option<T>,
    ) -> Option<T> {
        own.and_then(&field).or_else(|| inherited.and_then(&field))
    }
    let headers = pick(own, inherited, |http| http.headers).map_or(64 << 10, |size| narrow(size.0));
    let header_field = pick(own, inherited, |http| http.header_field).map_or(16 << 10, |size| narrow(size.0));
    HttpRules {
        request_line: pick(own, inherited, |http| http.request_line).map_or(8 << 10, |size| narrow(size.0)),
        // A field cannot be longer than the block that holds it.
        header_field: header_field.min(headers),
        headers,
        header_count: pick(own, inherited, |http| http.header_count).map_or(100, |count| count.0 as u16),
        body: pick(own, inherited, |http| http.body).and_then(|limit| limit.0).map(|size| size.0),
        underscores: pick(own, inherited, |http| http.underscores).map_or(Underscores::Reject, |word| word.0),
        encoded_slash: pick(own, inherited, |http| http.encoded_slash)
            .map_or(EncodedSlash::Keep, |word| word.0),
    }
}

/// The types of the raw values keep them far below.
fn narrow(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn refuse_small_block(http: &RawHttp, context: &mut Context<'_>) {
    let (Some(headers), Some(field)) = (http.headers, http.header_field) else { return };
    if headers.0 < field.0 {
        context.problems.add(
            Code::Conflict,
            http.given.place_or_whole("header_field"),
            "`header_field` is larger than `headers`, the block that holds all fields",
        );
    }
}
