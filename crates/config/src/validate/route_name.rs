//! Names of routes. An unnamed route is called by host and path: a number would change for all that follow whenever
//! one is inserted, and with it their metrics.

use std::collections::HashMap;
use std::fmt::Write as _;

use fulcrum_model::RouteName;

use crate::code::Code;
use crate::node::quote;
use crate::route::{HostPattern, Matchers, PathPattern, ValueMatch};
use crate::source::Place;

use super::{Context, name, route::Candidate};

/// Gives names out.
pub(crate) struct Naming {
    /// How many unnamed routes have this host and path.
    claims: HashMap<String, usize>,
    taken: HashMap<String, Place>,
}

impl Naming {
    pub(crate) fn of(candidates: &[Candidate]) -> Self {
        let mut claims = HashMap::new();
        for candidate in candidates.iter().filter(|candidate| candidate.name.is_none()) {
            *claims.entry(host_and_path(candidate)).or_default() += 1;
        }
        Naming { claims, taken: HashMap::new() }
    }

    /// The name that was given, else host and path, else these and the matchers. `None` after recording that it is
    /// taken.
    pub(crate) fn name(&mut self, candidate: &Candidate, context: &mut Context<'_>) -> Option<RouteName> {
        let (text, place) = match &candidate.name {
            Some(given) => (given.value.clone(), given.place),
            None => {
                let mut text = host_and_path(candidate);
                if self.claims.get(&text).is_some_and(|&claims| claims > 1) {
                    append_matchers(&mut text, candidate);
                }
                (text, candidate.place)
            }
        };
        if text.len() > LONGEST && candidate.name.is_none() {
            let message = format!("the name made of host, path and matchers is longer than {LONGEST} bytes");
            context
                .problems
                .add(Code::Name, place, message)
                .note("give the route a shorter one with `name: …`");
            return None;
        }
        if let Some(&other) = self.taken.get(&text) {
            let problem = context.problems.add(
                Code::DuplicateRouteName,
                place,
                format!("another route has the name {}", quote(&text)),
            );
            problem.note(format!("the other one: {}", context.sources.label(other)));
            if candidate.name.is_none() {
                problem.note("give this route one of its own with `name: …`");
            }
            return None;
        }
        self.taken.insert(text.clone(), place);
        name(&text, place, context)
    }
}

/// `shop.example.com/api`: the first host or `*`, the path or `/`.
fn host_and_path(candidate: &Candidate) -> String {
    let host = match candidate.hosts.first() {
        None => "*".to_owned(),
        Some(HostPattern::Exact(name)) => name.clone(),
        Some(HostPattern::Wildcard(below)) => format!("*.{below}"),
    };
    match &candidate.path {
        None => host + "/",
        Some(PathPattern::Exact(path) | PathPattern::Prefix(path)) => host + path,
        Some(PathPattern::Regex(regex)) => format!("{host}~{regex}"),
    }
}

/// What tells routes of one host and path apart, the same whatever their order.
fn append_matchers(text: &mut String, candidate: &Candidate) {
    if matches!(candidate.path, Some(PathPattern::Exact(_))) {
        text.push_str(" exact");
    }
    let Matchers { methods, headers, query, cookies, source } = &candidate.matchers;
    if !methods.is_empty() {
        let _ = write!(text, " method={}", methods.join(","));
    }
    for (kind, conditions) in [("header", headers), ("query", query), ("cookie", cookies)] {
        for (name, condition) in conditions {
            // Writing to a String cannot fail.
            let _ = match condition {
                ValueMatch::Exact(value) => write!(text, " {kind}:{name}={value}"),
                ValueMatch::Regex(regex) => write!(text, " {kind}:{name}~{regex}"),
                ValueMatch::Present(true) => write!(text, " {kind}:{name}"),
                ValueMatch::Present(false) => write!(text, " !{kind}:{name}"),
            };
        }
    }
    if !source.is_empty() {
        let list: Vec<String> = source.iter().map(ToString::to_string).collect();
        let _ = write!(text, " source={}", list.join(","));
    }
}

/// What a name may have, in bytes.
const LONGEST: usize = 512;
