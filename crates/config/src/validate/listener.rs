//! Listeners: defaults, ranges that depend on each other.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::code::Code;
use crate::decode::{Limit, NamedEntry};
use crate::duration::Timeout;
use crate::listener::{DownstreamTimeouts, EncodedSlash, HttpRules, Listener, ListenerAction, Underscores};
use crate::raw::{RawDefaults, RawHttp, RawListener};

use super::{Context, name};

/// Every listener that is well-formed by itself.
pub(crate) fn all(
    entries: Vec<NamedEntry<RawListener>>,
    defaults: Option<&RawDefaults>,
    context: &mut Context<'_>,
) -> Vec<Listener> {
    if let Some(http) = defaults.and_then(|defaults| defaults.http.as_ref()) {
        refuse_small_block(http, context);
    }
    entries.into_iter().filter_map(|entry| listener(entry, defaults, context)).collect()
}

fn listener(
    entry: NamedEntry<RawListener>,
    defaults: Option<&RawDefaults>,
    context: &mut Context<'_>,
) -> Option<Listener> {
    let name = name(&entry.name, entry.place, context);
    let raw = entry.value?;
    if let Some(http) = &raw.http {
        refuse_small_block(http, context);
    }
    let connections = raw.limits.as_ref().and_then(|limits| limits.connections).and_then(|limit| limit.0);
    Some(Listener {
        name: name?,
        max_connections: connections
            .and_then(|most| NonZeroU32::new(u32::try_from(most.0).unwrap_or(u32::MAX))),
        timeouts: timeouts(&raw, defaults),
        http: http_rules(raw.http.as_ref(), defaults.and_then(|defaults| defaults.http.as_ref())),
        action: raw.redirect.map_or(ListenerAction::Route, |word| word.0),
        binds: raw.bind?.0.into_iter().map(|bind| bind.value.0).collect(),
    })
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
            http.keys.place_or_whole("header_field"),
            "`header_field` is larger than `headers`, the block that holds all fields",
        );
    }
}
