//! Which route serves a request.
//!
//! ```text
//!   host: exact ─► longest wildcard ─► shorter ones ─► any        one look-up each
//!           └─────────┴──────┬─────────────┴────────────┘
//!   path: exact ─► regex in file order ─► longest prefix ─► shorter ones ─► none
//!                            └─► routes of this path: more matchers first, then file order
//! ```
//!
//! The first route on this way whose matchers all hold serves the request. What a request costs does not depend on the
//! number of routes: hosts and paths are looked up by keyed hashes (clients choose them), wildcards and prefixes only at
//! lengths that some route has. Regular expressions are tried one by one, those of the request's host alone.

mod address_set;
mod condition;
mod lengths;
mod paths;
mod query;

use std::collections::HashMap;
use std::net::IpAddr;

use fulcrum_config::{HostPattern, Route};

use condition::Conditions;
use lengths::Lengths;
use paths::Paths;

pub(crate) use address_set::AddressSet;
pub(crate) use query::first_parameter;

/// What a request shows of itself to routes.
pub(crate) trait Attributes {
    /// Lower-case, without port and final dot; empty if there is none.
    fn host(&self) -> &str;
    /// In normal form, without query.
    fn path(&self) -> &[u8];
    /// Without the question mark; empty if there is none.
    fn query(&self) -> &[u8];
    /// As received: methods are case-sensitive.
    fn method(&self) -> &[u8];
    /// The client's address.
    fn source(&self) -> IpAddr;
    /// Whether any field of this lower-case name has a value that passes the test.
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
    /// Whether any cookie of this name has a value that passes the test.
    fn any_cookie(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// All routes, arranged for look-up. Built once per configuration, never changed.
#[derive(Debug)]
pub(crate) struct Router {
    exact: HashMap<Box<str>, Paths>,
    /// By what follows the `*.`
    wildcard: HashMap<Box<str>, Paths>,
    wildcard_lengths: Lengths,
    any: Paths,
    /// By index of the route; most have none.
    conditions: Box<[Option<Box<Conditions>>]>,
}

impl Router {
    /// Routes keep their place in the list as their number.
    pub(crate) fn new(routes: &[Route]) -> Router {
        let mut exact: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut wildcard: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut any = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            for host in &route.hosts {
                match host {
                    HostPattern::Exact(name) => exact.entry(name).or_default().push(index),
                    HostPattern::Wildcard(parent) => wildcard.entry(parent).or_default().push(index),
                }
            }
            if route.hosts.is_empty() {
                any.push(index);
            }
        }
        let build = |hosts: HashMap<&str, Vec<usize>>| {
            hosts.into_iter().map(|(host, indices)| (host.into(), Paths::new(routes, &indices))).collect()
        };
        Router {
            wildcard_lengths: wildcard.keys().map(|parent| parent.len()).collect(),
            exact: build(exact),
            wildcard: build(wildcard),
            any: Paths::new(routes, &any),
            conditions: routes.iter().map(|route| Conditions::new(&route.matchers).map(Box::new)).collect(),
        }
    }

    /// The index of the route that serves the request, in the list given to [`new`](Self::new); `None` for 404.
    pub(crate) fn find<R: Attributes>(&self, request: &R) -> Option<usize> {
        self.search(request, &mut 0)
    }

    /// `work` counts look-ups and comparisons, so that a test can tell what a search costs.
    fn search<R: Attributes>(&self, request: &R, work: &mut u32) -> Option<usize> {
        let host = request.host();
        *work += 1;
        self.exact
            .get(host)
            .and_then(|paths| self.search_host(paths, request, work))
            .or_else(|| {
                self.wildcard_lengths.suffixes(host).find_map(|parent| {
                    *work += 1;
                    self.search_host(self.wildcard.get(parent)?, request, work)
                })
            })
            .or_else(|| self.search_host(&self.any, request, work))
    }

    fn search_host<R: Attributes>(&self, paths: &Paths, request: &R, work: &mut u32) -> Option<usize> {
        let holds = |route: u32| match &self.conditions[route as usize] {
            None => true,
            Some(conditions) => conditions.hold(request),
        };
        paths.find(request.path(), holds, work).map(|route| route as usize)
    }
}

#[cfg(test)]
mod tests;
