//! From files as they are written to one configuration that cannot be wrong.

mod access_log;
mod discovery;
mod endpoint;
mod gslb;
mod header;
mod health;
mod layers;
mod limits;
mod listener;
mod matchers;
mod names;
mod overlap;
mod process;
mod registry;
mod retry;
mod route;
mod route_name;
mod secret;
mod service;
mod shadow;
mod sticky;
mod usage;

pub use access_log::ACCESS_LOG_FIELDS;
pub(crate) use names::Names;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::Config;
use crate::code::Code;
use crate::decode::{Named, NamedEntry};
use crate::raw::RawConfig;
use crate::report::Problems;
use crate::source::{Place, Sources};

use usage::Usage;

/// What validation reads and writes besides the raw configuration.
pub(crate) struct Context<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) problems: &'a mut Problems,
    /// Every file could be read, so what is missing is missing.
    pub(crate) complete: bool,
    /// Files that were read besides: secrets.
    pub(crate) files: Vec<PathBuf>,
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
    let has_registry = !context.complete || files.iter().any(|file| file.given.place("registry").is_some());
    let raw_registry = files.iter_mut().find_map(|file| file.registry.take());
    let raw_gslb = files.iter_mut().find_map(|file| file.gslb.take());
    let state_dir = process::state_dir(find(&mut files, |file| file.state_dir.take()));

    let listeners = take_named(&mut files, |file| file.listeners.take());
    let sections = (admin.as_ref(), raw_registry.as_ref(), raw_gslb.as_ref());
    overlap::check(&listeners, sections, context);
    let raw_routes: Vec<_> = files.iter_mut().filter_map(|file| file.routes.take()).flatten().collect();
    let usage = Usage::of(&listeners, &raw_routes, context);
    let services = take_named(&mut files, |file| file.services.take());
    let services = service::all(services, defaults, (&usage, has_registry), context);
    let registry = raw_registry.and_then(|raw| registry::registry(raw, &state_dir, context));
    let gslb = raw_gslb.and_then(|raw| gslb::gslb(raw, &names, context));
    let listeners = listener::all(listeners, defaults, &names, context);
    let routes = route::all(raw_routes, &names, context);

    let config = Config {
        workers: find(&mut files, |file| file.workers.take())
            .and_then(|workers| NonZeroUsize::new(workers.0 as usize)),
        trusted_proxies: process::trusted_proxies(
            find(&mut files, |file| file.trusted_proxies.take()),
            context,
        ),
        state_dir,
        overload: process::overload(find(&mut files, |file| file.overload.take())),
        metrics: process::metrics(find(&mut files, |file| file.metrics.take())),
        shutdown: process::shutdown(find(&mut files, |file| file.shutdown.take())),
        admin: process::admin(admin, context),
        log: process::log(log, context),
        listeners,
        routes,
        services,
        registry,
        gslb,
    };
    if context.problems.errors() > 0 {
        return None;
    }
    names.warn_of_unused(&config, context);
    Some(config)
}

fn refuse_second(what: &str, place: Place, other: Place, context: &mut Context<'_>) {
    context
        .problems
        .add(Code::DuplicateName, place, format!("{what} is given in two files"))
        .note(format!("first in {}", context.sources.label(other)));
}

/// Sections that are one thing cannot be put together out of several files.
fn refuse_second_sections(files: &[RawConfig], context: &mut Context<'_>) {
    for section in [
        "workers",
        "trusted_proxies",
        "defaults",
        "state_dir",
        "overload",
        "metrics",
        "shutdown",
        "admin",
        "log",
        "registry",
        "gslb",
    ] {
        let mut places = files.iter().filter_map(|file: &RawConfig| file.given.place(section));
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
