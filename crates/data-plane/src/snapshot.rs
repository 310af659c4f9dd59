//! The immutable configuration that requests are served by, built once per generation.

use std::collections::HashMap;
use std::sync::Arc;

use fulcrum_config::{self as config, Config};
use fulcrum_model::ServiceName;

use crate::http::route::{AddressSet, Router};
use crate::listener::{BindId, Listener};
use crate::service::Service;

/// Everything a request needs to know, in one value. The default one is of the time before the first.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) router: Router,
    pub(crate) routes: Vec<Route>,
    /// In configured order.
    pub(crate) services: Vec<Arc<Service>>,
    /// In configured order.
    pub(crate) listeners: Vec<Arc<Listener>>,
    /// Which of the listeners an address belongs to.
    pub(crate) binds: HashMap<BindId, usize>,
    /// Where the services of tcp listeners stand.
    pub(crate) streams: HashMap<ServiceName, usize>,
    pub(crate) trusted_proxies: AddressSet,
}

/// What happens to requests that match a route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    pub(crate) action: Action,
    /// Most routes change nothing.
    pub(crate) changes: Option<Arc<Changes>>,
}

/// Changes to what is forwarded.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) rewrite: config::Rewrite,
    pub(crate) request: config::HeaderEdits,
    pub(crate) response: config::HeaderEdits,
}

/// What a route does.
#[derive(Debug)]
pub(crate) enum Action {
    /// Forwards to the service at this place of [`Snapshot::services`].
    To(usize),
    Redirect(config::Redirect),
    Respond(Box<config::FixedResponse>),
}

impl Default for Snapshot {
    fn default() -> Self {
        Snapshot {
            generation: 0,
            router: Router::new(&[]),
            routes: Vec::new(),
            services: Vec::new(),
            listeners: Vec::new(),
            binds: HashMap::new(),
            streams: HashMap::new(),
            trusted_proxies: std::iter::empty::<&ipnet::IpNet>().collect(),
        }
    }
}

impl Snapshot {
    /// Builds a generation around the services and listeners that live on.
    pub(crate) fn new(
        config: &Config,
        generation: u64,
        services: Vec<Arc<Service>>,
        listeners: Vec<Arc<Listener>>,
        binds: HashMap<BindId, usize>,
    ) -> Self {
        let places: HashMap<&str, usize> =
            services.iter().enumerate().map(|(place, service)| (service.name().as_str(), place)).collect();
        Snapshot {
            generation,
            router: Router::new(&config.routes),
            routes: config.routes.iter().map(|route| Route::new(route, &places)).collect(),
            streams: listeners
                .iter()
                .filter_map(|listener| listener.stream_service())
                .filter_map(|name| Some((name.clone(), *places.get(name.as_str())?)))
                .collect(),
            services,
            listeners,
            binds,
            trusted_proxies: config.trusted_proxies.iter().collect(),
        }
    }

    /// Where the service of this name stands, if there is one.
    pub(crate) fn stream_service(&self, name: &ServiceName) -> Option<usize> {
        let place = self.streams.get(name).copied();
        // Its listener is gone, but not everyone whom it has accepted.
        place.or_else(|| self.services.iter().position(|service| service.name() == name))
    }

    pub(crate) fn trusts(&self, peer: std::net::IpAddr) -> bool {
        self.trusted_proxies.contains(peer)
    }
}

impl Route {
    fn new(route: &config::Route, services: &HashMap<&str, usize>) -> Self {
        let action = match &route.action {
            config::Action::To(name) => {
                Action::To(*services.get(name.as_str()).expect("a valid configuration has every service"))
            }
            config::Action::Redirect(redirect) => Action::Redirect(redirect.clone()),
            config::Action::Respond(response) => Action::Respond(Box::new(response.clone())),
        };
        let unchanged = route.rewrite == config::Rewrite::default()
            && route.request_headers.is_empty()
            && route.response_headers.is_empty();
        let changes = (!unchanged).then(|| {
            Arc::new(Changes {
                rewrite: route.rewrite.clone(),
                request: route.request_headers.clone(),
                response: route.response_headers.clone(),
            })
        });
        Route { name: Arc::from(route.name.as_str()), action, changes }
    }
}
