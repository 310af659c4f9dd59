//! From files as they are written to one configuration that cannot be wrong.

mod access_log;
mod header;
mod listener;
mod matchers;
mod overlap;
mod process;
mod route;
mod route_name;
mod service;
mod shadow;

pub use access_log::ACCESS_LOG_FIELDS;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::rc::Rc;

use crate::Config;
use crate::code::Code;
use crate::decode::{Named, NamedEntry};
use crate::listener::ListenerAction;
use crate::raw::RawConfig;
use crate::report::Problems;
use crate::source::{Place, Sources};

/// What validation reads and writes besides the raw configuration.
pub(crate) struct Context<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) problems: &'a mut Problems,
    /// Every file could be read, so what is missing is missing.
    pub(crate) complete: bool,
}

/// One configuration out of the main file (the first) and those it includes. The result counts only if no error was
/// recorded.
pub(crate) fn validate(mut files: Vec<RawConfig>, context: &mut Context<'_>) -> Option<Config> {
    refuse_second_sections(&files, context);
    let names = Names::of(&files, context);
    let defaults = files.iter_mut().find_map(|file| file.defaults.take());
    let defaults = defaults.as_ref();
    let admin = files.iter_mut().find_map(|file| file.admin.take());
    let log = files.iter_mut().find_map(|file| file.log.take());

    let listeners = take_named(&mut files, |file| file.listeners.take());
    overlap::check(&listeners, admin.as_ref(), context);
    let listeners = listener::all(listeners, defaults, context);
    let services = service::all(take_named(&mut files, |file| file.services.take()), defaults, context);
    let raw_routes: Vec<_> = files.iter_mut().filter_map(|file| file.routes.take()).flatten().collect();
    let routes = route::all(raw_routes, &names, context);

    let config = Config {
        workers: find(&mut files, |file| file.workers.take())
            .and_then(|workers| NonZeroUsize::new(workers.0 as usize)),
        trusted_proxies: process::trusted_proxies(
            find(&mut files, |file| file.trusted_proxies.take()),
            context,
        ),
        metrics: process::metrics(find(&mut files, |file| file.metrics.take())),
        shutdown: process::shutdown(find(&mut files, |file| file.shutdown.take())),
        admin: process::admin(admin, context),
        log: process::log(log, context),
        listeners,
        routes,
        services,
    };
    if context.problems.errors() > 0 {
        return None;
    }
    names.warn_of_unused(&config, context);
    Some(config)
}

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
    fn of(files: &[RawConfig], context: &mut Context<'_>) -> Self {
        let listeners = unique(files.iter().filter_map(|file| file.listeners.as_ref()), "listener", context);
        let listener_section = files.iter().any(|file| file.keys.place("listeners").is_some());
        if listeners.is_empty()
            && context.complete
            && (!listener_section || files.iter().any(has_empty_listeners))
        {
            let place = files.iter().find_map(|file| file.keys.place("listeners"));
            let place =
                place.unwrap_or_else(|| files.first().map_or(Place::whole(0), |file| file.keys.whole()));
            context
                .problems
                .add(Code::NoListener, place, "there is no listener, so nothing would be served")
                .note("like `listeners: { web: { bind: \":8080\" } }`");
        }
        let services = unique(files.iter().filter_map(|file| file.services.as_ref()), "service", context);
        let unread = |file: &RawConfig| file.keys.place("services").is_some() && file.services.is_none();
        let routes = files.iter().find_map(|file| file.keys.place("routes").or(file.keys.place("listeners")));
        let routes = routes.unwrap_or(Place::whole(0));
        let known = services.iter().map(|(name, _)| Rc::clone(name)).collect();
        Names { services, known, routes, services_known: context.complete && !files.iter().any(unread) }
    }

    /// All services, in file order.
    pub(crate) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|(name, _)| &**name)
    }

    /// False for a service that surely does not exist.
    pub(crate) fn may_exist(&self, service: &str) -> bool {
        !self.services_known || self.known.contains(service)
    }

    fn warn_of_unused(&self, config: &Config, context: &mut Context<'_>) {
        if config.routes.is_empty()
            && config.listeners.iter().any(|listener| listener.action == ListenerAction::Route)
        {
            context.problems.add(
                Code::NoRoutes,
                self.routes,
                "there are no routes: every request is answered 404",
            );
            return;
        }
        let used: HashSet<&str> =
            config.routes.iter().filter_map(|route| route.service()).map(|name| name.as_str()).collect();
        for (name, place) in &self.services {
            if !used.contains(&**name) {
                context.problems.add(
                    Code::UnusedService,
                    *place,
                    format!("no route uses the service `{name}`"),
                );
            }
        }
    }
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

fn refuse_second(what: &str, place: Place, other: Place, context: &mut Context<'_>) {
    context
        .problems
        .add(Code::DuplicateName, place, format!("{what} is given in two files"))
        .note(format!("first in {}", context.sources.label(other)));
}

/// Sections that are one thing cannot be put together out of several files.
fn refuse_second_sections(files: &[RawConfig], context: &mut Context<'_>) {
    for section in ["workers", "trusted_proxies", "defaults", "metrics", "shutdown", "admin", "log"] {
        let mut places = files.iter().filter_map(|file: &RawConfig| file.keys.place(section));
        let Some(first) = places.next() else { continue };
        for place in places {
            refuse_second(&format!("`{section}`"), place, first, context);
        }
    }
}

fn find<T>(files: &mut [RawConfig], take: impl Fn(&mut RawConfig) -> Option<T>) -> Option<T> {
    files.iter_mut().find_map(take)
}

fn take_named<T>(
    files: &mut [RawConfig],
    take: impl Fn(&mut RawConfig) -> Option<Named<T>>,
) -> Vec<NamedEntry<T>> {
    files.iter_mut().filter_map(take).flat_map(|named| named.0).collect()
}

/// Records a text that is no name; `None` then.
pub(crate) fn name<T: std::str::FromStr<Err = fulcrum_model::NameError>>(
    text: &str,
    place: Place,
    context: &mut Context<'_>,
) -> Option<T> {
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let quoted = crate::node::quote(text);
            context.problems.add(Code::Name, place, format!("{quoted} is not a name: {error}"));
            None
        }
    }
}
