//! Which service is used by what: some settings need HTTP.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::code::Code;
use crate::decode::{Checked, NamedEntry};
use crate::node::quote;
use crate::raw::{RawBalance, RawListener, RawRoute, RawService, SpokenProtocol};

use super::Context;

/// Who sends to which service.
pub(crate) struct Usage<'a> {
    /// The first TCP listener of each service that has one.
    streams: HashMap<&'a str, Rc<str>>,
    /// Services of routes.
    routed: HashSet<&'a str>,
    /// Every route could be read, so a service that is not among those routed has no route.
    routes_known: bool,
}

impl<'a> Usage<'a> {
    pub(crate) fn of(
        listeners: &'a [NamedEntry<RawListener>],
        routes: &'a [Checked<RawRoute>],
        context: &Context<'_>,
    ) -> Self {
        let mut streams = HashMap::new();
        for entry in listeners {
            let Some(raw) = &entry.value else { continue };
            if let (Some(SpokenProtocol::Tcp), Some(to)) = (raw.protocol.map(|word| word.0), &raw.to) {
                streams.entry(to.value.as_str()).or_insert_with(|| Rc::clone(&entry.name));
            }
        }
        let routed = routes.iter().filter_map(|route| route.value.to.as_ref()).map(|to| to.value.as_str());
        Usage {
            streams,
            routed: routed.collect(),
            routes_known: context.complete && routes.iter().all(|route| route.sound),
        }
    }

    /// Records what a service says about requests although TCP connections are sent to it.
    pub(crate) fn refuse_http_settings(&self, service: &str, raw: &RawService, context: &mut Context<'_>) {
        let Some(listener) = self.streams.get(service) else { return };
        if let Some(RawBalance::Long(balance)) = &raw.balance
            && let Some(key) = balance.key.as_ref().filter(|key| key.value != "source")
        {
            let message = format!(
                "{} is part of a request, but the tcp listener `{listener}` sends to this service",
                quote(&key.value)
            );
            context.problems.add(Code::Conflict, key.place, message).note("connections have only a `source`");
        }
        let streams_only = self.routes_known && !self.routed.contains(service);
        if let Some(place) = raw.given.place("sticky").filter(|_| streams_only)
            && raw.sticky.as_ref().is_some_and(|sticky| sticky.0.is_some())
        {
            let message =
                format!("`sticky` needs HTTP, but only the tcp listener `{listener}` sends to this service");
            context
                .problems
                .add(Code::Conflict, place, message)
                .note("a connection keeps to its client with `balance: { policy: ring, key: source }`");
        }
    }
}
