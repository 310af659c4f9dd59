//! A request that is allowed: what it needed, and what the audit says of it.

use std::sync::Arc;

use hyper::Method;
use hyper::http::request::Parts;

use super::audit::Act;
use super::auth::{Caller, Need};
use super::route::Route;
use super::{Peer, Settings};

/// A request that is allowed.
pub(super) struct Call<'a> {
    pub(super) route: &'a Route,
    pub(super) head: &'a Parts,
    pub(super) peer: Peer,
    pub(super) caller: Caller,
    pub(super) settings: Arc<Settings>,
}

impl Route {
    /// What a caller has to be allowed.
    pub(super) fn need(&self, method: &Method) -> Need<'_> {
        match self {
            Route::Instance(key) if reads(method) => Need::Look(&key.service),
            Route::Health | Route::OpenApi => Need::Nothing,
            Route::Services | Route::Instances(_) | Route::Watch | Route::PrometheusSd => Need::Read,
            Route::Instance(key) | Route::Lease(key) => Need::Register(&key.service),
            Route::Override(_) if method == Method::PUT => Need::Order,
            Route::Override(_) => Need::Drain,
            Route::Heartbeats => Need::Anything,
            Route::Audit => Need::Admin,
        }
    }
}

impl Call<'_> {
    pub(super) fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    /// What the audit says of it, before anything has come of it.
    pub(super) fn act(&self) -> Act {
        act(self.route, self.head, self.peer, Some(&self.caller))
    }
}

fn act(route: &Route, head: &Parts, peer: Peer, caller: Option<&Caller>) -> Act {
    let key = match route {
        Route::Instance(key) | Route::Lease(key) | Route::Override(key) => Some(key),
        _ => None,
    };
    Act {
        principal: caller.map(|caller| caller.name.to_string()),
        peer: peer.remote.ip().to_canonical(),
        action: format!("{} {}", head.method, route.template().path()),
        service: key.map(|key| key.service.to_string()),
        instance: key.map(|key| key.id.to_string()),
        reason: None,
        outcome: "",
        sequence: None,
    }
}

/// Of what would have changed something.
pub(super) fn refused_act(route: &Route, head: &Parts, peer: Peer, caller: Option<&Caller>) -> Option<Act> {
    (!reads(&head.method)).then(|| act(route, head, peer, caller))
}

fn reads(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}
