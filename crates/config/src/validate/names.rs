//! Names of services and listeners: each once, at least one listener, none unused.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use fulcrum_model::ServiceName;

use crate::Config;
use crate::code::Code;
use crate::decode::{At, Named, NamedEntry};
use crate::listener::{Listener, ListenerAction, Protocol};
use crate::node::quote;
use crate::raw::RawConfig;
use crate::source::Place;
use crate::suggest::nearest;

use super::{Context, name, refuse_second};

/// The names of services and listeners, also of those that could not be read.
pub(crate) struct Names {
    /// In file order.
    services: Vec<(Rc<str>, Place)>,
    known: HashSet<Rc<str>>,
    /// All services are known, so one that is not among them does not exist.
    services_known: bool,
    /// Where routes should be: the section, or the start of the main file.
    routes: Place,
}

impl Names {
    pub(crate) fn of(files: &[RawConfig], context: &mut Context<'_>) -> Self {
        let listeners = unique(files.iter().filter_map(|file| file.listeners.as_ref()), "listener", context);
        let listener_section = files.iter().any(|file| file.given.place("listeners").is_some());
        let serves_otherwise =
            |file: &RawConfig| ["registry", "gslb"].iter().any(|section| file.given.place(section).is_some());
        if listeners.is_empty()
            && context.complete
            && !files.iter().any(serves_otherwise)
            && (!listener_section || files.iter().any(has_empty_listeners))
        {
            let place = files.iter().find_map(|file| file.given.place("listeners"));
            let place =
                place.unwrap_or_else(|| files.first().map_or(Place::whole(0), |file| file.given.whole()));
            context
                .problems
                .add(Code::NoListener, place, "there is no listener, so nothing would be served")
                .note("like `listeners: { web: { bind: \":8080\" } }`");
        }
        let services = unique(files.iter().filter_map(|file| file.services.as_ref()), "service", context);
        let unread = |file: &RawConfig| file.given.place("services").is_some() && file.services.is_none();
        let routes =
            files.iter().find_map(|file| file.given.place("routes").or(file.given.place("listeners")));
        let routes = routes.unwrap_or(Place::whole(0));
        let known = services.iter().map(|(name, _)| Rc::clone(name)).collect();
        Names { services, known, routes, services_known: context.complete && !files.iter().any(unread) }
    }

    /// All services, in file order.
    fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|(name, _)| &**name)
    }

    /// False for a service that surely does not exist.
    fn may_exist(&self, service: &str) -> bool {
        !self.services_known || self.known.contains(service)
    }

    /// The service that a route or a listener sends to, or `None` after recording that it does not exist.
    pub(crate) fn service(
        &self,
        to: &At<String>,
        sender: &str,
        context: &mut Context<'_>,
    ) -> Option<ServiceName> {
        if self.may_exist(&to.value) {
            return name(&to.value, to.place, context);
        }
        let message = format!("{sender} sends to service {}, which does not exist", quote(&to.value));
        let known: Vec<&str> = self.services().take(SHOWN + 1).collect();
        let more = if known.len() > SHOWN { ", ..." } else { "" };
        let list = known[..known.len().min(SHOWN)].join(", ");
        let guess = nearest(&to.value, self.services().take(MOST_COMPARED))
            .map(|guess| format!(" (did you mean `{guess}`?)"));
        let list = if list.is_empty() { "there are none".to_owned() } else { list + more };
        context
            .problems
            .add(Code::NoSuchService, to.place, message)
            .note(format!("services: {list}{}", guess.unwrap_or_default()));
        None
    }

    /// Records services that nobody uses, and routes that are wanting.
    pub(crate) fn warn_of_unused(&self, config: &Config, context: &mut Context<'_>) {
        if config.routes.is_empty() && config.listeners.iter().any(is_routed) {
            context.problems.add(
                Code::NoRoutes,
                self.routes,
                "there are no routes: every request is answered 404",
            );
            return;
        }
        let streams = config.listeners.iter().filter_map(|listener| match &listener.protocol {
            Protocol::Tcp(service) => Some(service),
            Protocol::Http => None,
        });
        let routed = config.routes.iter().filter_map(|route| route.service());
        let resolved = config.gslb.iter().flat_map(|gslb| gslb.services());
        let used: HashSet<&str> = routed.chain(streams).chain(resolved).map(|name| name.as_str()).collect();
        for (name, place) in &self.services {
            if !used.contains(&**name) {
                context.problems.add(
                    Code::UnusedService,
                    *place,
                    format!("nothing uses the service `{name}`"),
                );
            }
        }
    }
}

/// True where requests look for a route.
fn is_routed(listener: &Listener) -> bool {
    listener.protocol == Protocol::Http && listener.action == ListenerAction::Route
}

fn has_empty_listeners(file: &RawConfig) -> bool {
    file.listeners.as_ref().is_some_and(|listeners| listeners.0.is_empty())
}

/// All names with their places; a name in two files is recorded.
fn unique<'a, T: 'a>(
    maps: impl Iterator<Item = &'a Named<T>>,
    noun: &str,
    context: &mut Context<'_>,
) -> Vec<(Rc<str>, Place)> {
    let mut all = Vec::new();
    let mut first: HashMap<Rc<str>, Place> = HashMap::new();
    for NamedEntry { name, place, .. } in maps.flat_map(|map| &map.0) {
        match first.get(name) {
            Some(&other) => refuse_second(&format!("the {noun} `{name}`"), *place, other, context),
            None => {
                first.insert(Rc::clone(name), *place);
                all.push((Rc::clone(name), *place));
            }
        }
    }
    all
}

/// How many services are compared with a misspelt one.
const MOST_COMPARED: usize = 1000;

/// How many services an error lists.
const SHOWN: usize = 12;
