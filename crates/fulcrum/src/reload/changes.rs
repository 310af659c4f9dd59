//! What differs between two configurations, for people who want to know what a reload did.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;
use std::path::PathBuf;

use fulcrum_config::{Config, Endpoint, Route};
use fulcrum_model::{EndpointId, ServiceName};
use serde::{Deserialize, Serialize};

/// Everything that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changes {
    pub(crate) listeners: Change,
    pub(crate) routes: Change,
    /// A service has changed also when only its endpoints have.
    pub(crate) services: Change,
    /// Named `SERVICE/ENDPOINT`.
    pub(crate) endpoints: Change,
    /// Files that the configuration names and that hold something else: zones, networks, databases.
    #[serde(default)]
    pub(crate) files: Names,
    /// Everything else, by its keys in the file.
    pub(crate) settings: Vec<String>,
}

/// What became of one kind of things.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) added: Names,
    pub(crate) removed: Names,
    /// There before and after, and not the same.
    pub(crate) changed: Names,
}

/// How many there are, and the first few of them in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Names {
    pub(crate) count: usize,
    /// At most eight.
    pub(crate) first: Vec<String>,
}

/// Compares. The files `data` have changed beside them. Things are the same by name; everything but `workers` is looked at, which cannot change.
pub(crate) fn diff(before: &Config, after: &Config, data: BTreeSet<PathBuf>) -> Changes {
    let mut files = Names::default();
    data.iter().for_each(|path| files.add(&path.display()));
    Changes {
        files,
        listeners: change(&before.listeners, &after.listeners, |listener| &listener.name, PartialEq::eq),
        routes: change(&before.routes, &after.routes, |route| &route.name, same_route),
        services: change(&before.services, &after.services, |service| &service.name, PartialEq::eq),
        endpoints: change(&endpoints(before), &endpoints(after), |found| found.key, |a, b| a.what == b.what),
        settings: settings(before, after),
    }
}

/// An endpoint and the service it is in.
struct Found<'a> {
    key: EndpointKey<'a>,
    what: &'a Endpoint,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct EndpointKey<'a>(&'a ServiceName, &'a EndpointId);

fn endpoints(config: &Config) -> Vec<Found<'_>> {
    let services = config.services.iter();
    let of_all =
        services.flat_map(|service| service.endpoints.iter().map(move |endpoint| (service, endpoint)));
    of_all
        .map(|(service, endpoint)| Found { key: EndpointKey(&service.name, &endpoint.id), what: endpoint })
        .collect()
}

fn change<'a, T, K: Eq + Hash + fmt::Display>(
    before: &'a [T],
    after: &'a [T],
    key: impl Fn(&'a T) -> K,
    same: impl Fn(&T, &T) -> bool,
) -> Change {
    let mut gone: HashMap<K, &T> = before.iter().map(|thing| (key(thing), thing)).collect();
    let mut change = Change::default();
    for thing in after {
        let name = key(thing);
        match gone.remove(&name) {
            None => change.added.add(&name),
            Some(old) if !same(old, thing) => change.changed.add(&name),
            Some(_) => {}
        }
    }
    // In file order, which the map does not know.
    before.iter().map(key).filter(|name| gone.contains_key(name)).for_each(|name| change.removed.add(&name));
    change
}

/// Regular expressions know no equality, but everything prints as it was written.
fn same_route(before: &Route, after: &Route) -> bool {
    format!("{before:?}") == format!("{after:?}")
}

fn settings(before: &Config, after: &Config) -> Vec<String> {
    let pairs = [
        ("order of routes", is_reordered(&before.routes, &after.routes)),
        ("trusted_proxies", before.trusted_proxies != after.trusted_proxies),
        ("state_dir", before.state_dir != after.state_dir),
        ("overload", before.overload != after.overload),
        ("metrics", before.metrics != after.metrics),
        ("shutdown", before.shutdown != after.shutdown),
        ("admin.socket", before.admin.socket != after.admin.socket),
        ("admin.bind", before.admin.bind != after.admin.bind),
        ("admin.token", before.admin.token != after.admin.token),
        ("log.level", before.log.level != after.log.level),
        ("log.access", before.log.access != after.log.access),
        ("registry", before.registry != after.registry),
        ("gslb", before.gslb != after.gslb),
    ];
    pairs.iter().filter(|(_, differs)| *differs).map(|(name, _)| (*name).to_owned()).collect()
}

/// Whether routes that are in both files come in another order: where precedence says nothing else, it counts.
fn is_reordered(before: &[Route], after: &[Route]) -> bool {
    let names = |routes: &[Route]| -> HashMap<_, usize> {
        routes.iter().enumerate().map(|(place, route)| (route.name.clone(), place)).collect()
    };
    let before = names(before);
    let places: Vec<usize> = after.iter().filter_map(|route| before.get(&route.name).copied()).collect();
    !places.is_sorted()
}

impl Changes {
    /// Whether nothing differs.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Changes::default()
    }
}

impl Names {
    fn add(&mut self, name: &impl fmt::Display) {
        self.count += 1;
        if self.first.len() < MOST_NAMES {
            self.first.push(name.to_string());
        }
    }
}

impl fmt::Display for EndpointKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

/// One line: `listeners +1 (api); services ~2 (shop, web); log.level`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing has changed");
        }
        let kinds = [
            ("listeners", &self.listeners),
            ("routes", &self.routes),
            ("services", &self.services),
            ("endpoints", &self.endpoints),
        ];
        let kinds = kinds.iter().filter(|(_, change)| **change != Change::default());
        let parts = kinds.map(|(kind, change)| format!("{kind}{change}"));
        let files = Change { changed: self.files.clone(), ..Change::default() };
        let files = (self.files.count > 0).then(|| format!("files{files}"));
        let parts: Vec<String> = parts.chain(files).chain(self.settings.iter().cloned()).collect();
        f.write_str(&parts.join("; "))
    }
}

/// ` +1 (a) -1 (b) ~1 (c)`, without those of which there are none.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sign, names) in [('+', &self.added), ('-', &self.removed), ('~', &self.changed)] {
            if names.count > 0 {
                let more = if names.count > names.first.len() { ", …" } else { "" };
                write!(f, " {sign}{} ({}{more})", names.count, names.first.join(", "))?;
            }
        }
        Ok(())
    }
}

/// Enough to see which change it was, few enough for a line.
const MOST_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use fulcrum_config::load_text;

    use super::*;

    fn config(listeners: &str, routes: &str, services: &str, top: &str) -> Config {
        let text = format!(
            "version: 1\nlisteners: {{ {listeners} }}\nroutes: [{routes}]\nservices: {{ {services} }}\n{top}\n"
        );
        load_text("test.yaml", &text, &|_| None).unwrap_or_else(|report| panic!("{report}")).config
    }

    #[test]
    fn changes_read_as_one_line() {
        const WEB: &str = "web: { bind: \":80\" }";
        const TO_A: &str = "{ name: a, path: /a, to: a }";
        const TO_B: &str = "{ name: b, path: /b, to: a }";
        const A: &str = "a: { endpoints: [10.0.0.1:80] }";
        fn check(before: [&str; 4], after: [&str; 4], expected: &str) {
            let [before, after] = [before, after].map(|[l, r, s, t]| config(l, r, s, t));
            assert_eq!(diff(&before, &after, BTreeSet::new()).to_string(), expected);
        }
        let plain = [WEB, TO_A, A, ""];
        check(plain, plain, "nothing has changed");
        check(plain, ["web: { bind: \":81\" }", TO_A, A, ""], "listeners ~1 (web)");
        check(plain, ["api: { bind: \":80\" }", TO_A, A, ""], "listeners +1 (api) -1 (web)");
        check(plain, [WEB, "{ name: a, path: /x, to: a }", A, ""], "routes ~1 (a)");
        let regex = |pattern| format!("{{ name: a, path: {{ regex: {pattern} }}, to: a }}");
        check([WEB, &regex("^/a"), A, ""], [WEB, &regex("^/b"), A, ""], "routes ~1 (a)");
        check([WEB, &regex("^/a"), A, ""], [WEB, &regex("^/a"), A, ""], "nothing has changed");
        let [ab, ba] = [format!("{TO_A}, {TO_B}"), format!("{TO_B}, {TO_A}")];
        check(plain, [WEB, &ab, A, ""], "routes +1 (b)");
        check([WEB, &ab, A, ""], [WEB, &ba, A, ""], "order of routes");
        check([WEB, &ab, A, ""], plain, "routes -1 (b)");
        check(
            plain,
            [WEB, TO_A, "a: { endpoints: [10.0.0.1:80, 10.0.0.2:80] }", ""],
            "services ~1 (a); endpoints +1 (a/10.0.0.2:80)",
        );
        check(
            plain,
            [WEB, TO_A, "a: { endpoints: [{ address: 10.0.0.1:80, weight: 3 }] }", ""],
            "services ~1 (a); endpoints ~1 (a/10.0.0.1:80)",
        );
        check(plain, [WEB, TO_A, "a: { endpoints: [10.0.0.1:80], balance: random }", ""], "services ~1 (a)");
        check(
            plain,
            [WEB, TO_A, A, "log: { level: warn, access: stdout }\nadmin: { socket: none }"],
            "admin.socket; log.level; log.access",
        );
        check(plain, [WEB, TO_A, A, "shutdown: { deadline: 5s }"], "shutdown");
    }

    #[test]
    fn many_names_are_counted() {
        let routes = (0..20).map(|number| format!("{{ name: r{number}, path: /{number}, to: a }}"));
        let routes = routes.collect::<Vec<_>>().join(", ");
        let service = "a: { endpoints: [10.0.0.1:80] }";
        let [one, all] = ["{ to: a }", &format!("{routes}, {{ to: a }}")]
            .map(|routes| config("web: { bind: \":80\" }", routes, service, ""));
        let changes = diff(&one, &all, BTreeSet::new());
        assert_eq!((changes.routes.added.count, changes.routes.added.first.len()), (20, MOST_NAMES));
        assert_eq!(changes.to_string(), "routes +20 (r0, r1, r2, r3, r4, r5, r6, r7, …)");
        assert_eq!(
            diff(&all, &one, BTreeSet::new()).routes.removed,
            changes.routes.added,
            "the other way round"
        );
    }
}
