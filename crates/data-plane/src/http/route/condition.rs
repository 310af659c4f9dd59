//! Conditions of a route beyond host and path. All of them must hold.

use fulcrum_config::{Matchers, ValueMatch};
use regex::Regex;

use super::address_set::AddressSet;
use super::{Attributes, query};

/// The matchers of one route.
#[derive(Debug)]
pub(super) struct Conditions {
    matchers: Matchers,
    source: AddressSet,
}

impl Conditions {
    /// `None` when there is nothing to check.
    pub(super) fn new(matchers: &Matchers) -> Option<Self> {
        if matchers.count() == 0 {
            return None;
        }
        let source = matchers.source.iter().collect();
        Some(Self { matchers: Matchers { source: Vec::new(), ..matchers.clone() }, source })
    }

    /// Whether all conditions hold for the request.
    pub(super) fn hold<R: Attributes>(&self, request: &R) -> bool {
        let Matchers { methods, headers, query, cookies, source: _ } = &self.matchers;
        (methods.is_empty() || methods.iter().any(|method| method.as_bytes() == request.method()))
            && (self.source.is_empty() || self.source.contains(request.source()))
            && headers.iter().all(|(name, value)| value_holds(value, |test| request.any_header(name, test)))
            && cookies.iter().all(|(name, value)| value_holds(value, |test| request.any_cookie(name, test)))
            && query.iter().all(|(name, value)| query_holds(request.query(), name.as_bytes(), value))
    }
}

/// Found in what may not be UTF-8: bytes that are not count as one unknown character.
pub(super) fn is_match(regex: &Regex, bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(text) => regex.is_match(text),
        Err(_) => regex.is_match(&String::from_utf8_lossy(bytes)),
    }
}

fn value_holds(value: &ValueMatch, any: impl Fn(&mut dyn FnMut(&[u8]) -> bool) -> bool) -> bool {
    match value {
        ValueMatch::Exact(exact) => any(&mut |value| value == exact.as_bytes()),
        ValueMatch::Regex(regex) => any(&mut |value| is_match(regex, value)),
        ValueMatch::Present(present) => any(&mut |_| true) == *present,
    }
}

fn query_holds(query: &[u8], name: &[u8], value: &ValueMatch) -> bool {
    let mut values = query::values(query, name);
    match value {
        ValueMatch::Exact(exact) => values.any(|value| query::decode(value).eq(exact.bytes())),
        ValueMatch::Regex(regex) => values.any(|value| is_match(regex, &query::decoded(value))),
        ValueMatch::Present(present) => values.next().is_some() == *present,
    }
}
