//! Stickiness: the cookie's name, and the keys that sign it.

use crate::code::Code;
use crate::raw::RawSticky;
use crate::sticky::Sticky;

use super::{Context, secret};

/// How clients of a service are brought back.
pub(crate) fn sticky(raw: &RawSticky, service: &str, context: &mut Context<'_>) -> Sticky {
    let raw = raw.cookie();
    let keys = raw.and_then(|raw| raw.keys.as_ref()).map(|keys| keys.0.as_slice()).unwrap_or_default();
    if let Some(third) = keys.get(MOST_KEYS) {
        context
            .problems
            .add(Code::Range, third.place, format!("there are more than {MOST_KEYS} keys"))
            .note("the first one signs, the second one is the previous one");
    }
    let name = raw.and_then(|raw| raw.name.as_ref()).map(|name| name.0.clone());
    Sticky {
        cookie: name.unwrap_or_else(|| format!("fulcrum_{service}")),
        keys: keys.iter().filter_map(|key| secret::cookie_key(key, context)).collect(),
        max_idle: raw.and_then(|raw| raw.max_idle).and_then(|limit| limit.0).map(|timeout| timeout.0),
        max_life: raw.and_then(|raw| raw.max_life).and_then(|limit| limit.0).map(|timeout| timeout.0),
    }
}

/// The current key and the previous one: enough to change keys without losing a client.
const MOST_KEYS: usize = 2;
