//! The routes of one host by path: exact, regular expressions in file order, longest segment prefix, none.

use std::cmp::Reverse;
use std::collections::HashMap;

use fulcrum_config::{PathPattern, Route};
use regex::Regex;

use super::condition::is_match;
use super::lengths::Lengths;

/// The routes of one host. A few are tried in order of precedence; beyond that, paths are looked up.
#[derive(Debug)]
pub(super) enum Paths {
    /// Most hosts have one route: it is held without an allocation of its own.
    One(Rule),
    Few(Box<[Rule]>),
    Many(Box<Table>),
}

/// Routes that share a path.
#[derive(Debug)]
pub(super) struct Rule {
    path: Pattern,
    routes: Routes,
}

/// Route numbers in order of precedence.
#[derive(Debug)]
enum Routes {
    One(u32),
    Several(Box<[u32]>),
}

#[derive(Debug)]
enum Pattern {
    Exact(Box<[u8]>),
    Regex(Box<Regex>),
    /// Without a final slash: empty for the root.
    Prefix(Box<[u8]>),
    Any,
}

#[derive(Debug)]
pub(super) struct Table {
    exact: HashMap<Box<[u8]>, Routes>,
    regexes: Box<[Rule]>,
    prefixes: HashMap<Box<[u8]>, Routes>,
    prefix_lengths: Lengths,
    any: Option<Routes>,
}

/// Paths in order of precedence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    Exact(&'a str),
    /// The first route that has this expression: routes may share one and differ in their matchers.
    Regex(usize),
    Prefix(Reverse<usize>, &'a str),
    Any,
}

impl Paths {
    /// Of the routes with these indices, which are in file order.
    pub(super) fn new(routes: &[Route], indices: &[usize]) -> Self {
        let mut first_use = HashMap::new();
        let mut ranked: Vec<(Rank<'_>, Reverse<usize>, usize)> = indices
            .iter()
            .map(|&index| {
                let rank = match &routes[index].path {
                    Some(PathPattern::Exact(path)) => Rank::Exact(path),
                    Some(PathPattern::Regex(regex)) => {
                        Rank::Regex(*first_use.entry(regex.as_str()).or_insert(index))
                    }
                    Some(PathPattern::Prefix(path)) => Rank::Prefix(Reverse(path.len()), path),
                    None => Rank::Any,
                };
                (rank, Reverse(routes[index].matchers.count()), index)
            })
            .collect();
        ranked.sort_unstable();
        let mut rules: Vec<Rule> = ranked
            .chunk_by(|a, b| a.0 == b.0)
            .map(|same| Rule {
                path: Pattern::new(routes[same[0].2].path.as_ref()),
                routes: same.iter().map(|&(_, _, index)| index as u32).collect(),
            })
            .collect();
        match rules.len() {
            1 => Paths::One(rules.remove(0)),
            0..=FEW => Paths::Few(rules.into()),
            _ => Paths::Many(Box::new(Table::new(rules))),
        }
    }

    /// The first route of this path, in order of precedence, that holds.
    pub(super) fn find(&self, path: &[u8], holds: impl Fn(u32) -> bool, work: &mut u32) -> Option<u32> {
        match self {
            Paths::One(rule) => rule.find(path, &holds, work),
            Paths::Few(rules) => rules.iter().find_map(|rule| rule.find(path, &holds, work)),
            Paths::Many(table) => table.find(path, &holds, work),
        }
    }
}

impl Table {
    fn new(rules: Vec<Rule>) -> Self {
        let mut exact = HashMap::new();
        let mut prefixes: HashMap<Box<[u8]>, Routes> = HashMap::new();
        let (mut regexes, mut any) = (Vec::new(), None);
        for Rule { path, routes } in rules {
            match path {
                Pattern::Exact(path) => drop(exact.insert(path, routes)),
                Pattern::Regex(_) => regexes.push(Rule { path, routes }),
                Pattern::Prefix(path) => drop(prefixes.insert(path, routes)),
                Pattern::Any => any = Some(routes),
            }
        }
        let prefix_lengths = prefixes.keys().map(|path| path.len()).collect();
        Self { exact, regexes: regexes.into(), prefixes, prefix_lengths, any }
    }

    fn find(&self, path: &[u8], holds: &impl Fn(u32) -> bool, work: &mut u32) -> Option<u32> {
        *work += 1;
        self.exact
            .get(path)
            .and_then(|routes| routes.find(holds, work))
            .or_else(|| self.regexes.iter().find_map(|rule| rule.find(path, holds, work)))
            .or_else(|| {
                self.prefix_lengths.prefixes(path).find_map(|parent| {
                    *work += 1;
                    self.prefixes.get(parent)?.find(holds, work)
                })
            })
            .or_else(|| self.any.as_ref()?.find(holds, work))
    }
}

impl Rule {
    fn find(&self, path: &[u8], holds: &impl Fn(u32) -> bool, work: &mut u32) -> Option<u32> {
        *work += 1;
        if self.path.matches(path) { self.routes.find(holds, work) } else { None }
    }
}

impl Routes {
    fn find(&self, holds: &impl Fn(u32) -> bool, work: &mut u32) -> Option<u32> {
        let routes = match self {
            Routes::One(route) => std::slice::from_ref(route),
            Routes::Several(routes) => routes,
        };
        routes.iter().copied().find(|&route| {
            *work += 1;
            holds(route)
        })
    }
}

impl FromIterator<u32> for Routes {
    fn from_iter<I: IntoIterator<Item = u32>>(routes: I) -> Self {
        let routes: Box<[u32]> = routes.into_iter().collect();
        match *routes {
            [route] => Routes::One(route),
            _ => Routes::Several(routes),
        }
    }
}

impl Pattern {
    fn new(pattern: Option<&PathPattern>) -> Self {
        match pattern {
            None => Pattern::Any,
            Some(PathPattern::Exact(path)) => Pattern::Exact(path.as_bytes().into()),
            Some(PathPattern::Regex(regex)) => Pattern::Regex(Box::new(regex.clone())),
            Some(PathPattern::Prefix(path)) => {
                Pattern::Prefix(path.strip_suffix('/').unwrap_or(path).as_bytes().into())
            }
        }
    }

    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Pattern::Exact(exact) => path == &**exact,
            Pattern::Regex(regex) => is_match(regex, path),
            Pattern::Prefix(prefix) => {
                path.strip_prefix(&**prefix).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
            }
            Pattern::Any => true,
        }
    }
}

/// Paths that are tried in turn before they are looked up: comparing this many costs about as much as two hashes.
const FEW: usize = 6;
