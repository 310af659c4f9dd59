//! Routes that can never be chosen, and routes that match what another one matches.
//!
//! Precedence is host (exact, longest wildcard, any), then path (exact, regular expressions in the order of their first use,
//! longest prefix, none), then more matchers before fewer, then file order. Only a route with the same host pattern can come
//! before another one and match everything that it matches: a more specific host matches less, a less specific one
//! comes later.

use std::collections::HashMap;

use crate::code::Code;
use crate::route::{HostPattern, Matchers, PathPattern, ValueMatch};

use super::{Context, route::Candidate};

/// Records every such route and says of each candidate whether it is one.
pub(crate) fn check(candidates: &[Candidate], context: &mut Context<'_>) -> Vec<bool> {
    let index = Index::of(candidates);
    let mut shadowed = vec![false; candidates.len()];
    for (number, candidate) in candidates.iter().enumerate() {
        let covers: Vec<Option<Cover>> =
            hosts(candidate).map(|host| index.cover(candidates, number, host)).collect();
        shadowed[number] = report(candidate, candidates, &covers, context);
    }
    shadowed
}

/// Why a route never wins for one of its hosts.
#[derive(Clone, Copy)]
struct Cover {
    /// The route that wins instead.
    by: usize,
    /// Both match the same requests.
    identical: bool,
}

fn report(
    candidate: &Candidate,
    candidates: &[Candidate],
    covers: &[Option<Cover>],
    context: &mut Context<'_>,
) -> bool {
    let identical = covers.iter().zip(hosts(candidate)).find_map(|(cover, host)| match cover {
        Some(Cover { by, identical: true }) => Some((*by, host)),
        _ => None,
    });
    if let Some((by, host)) = identical {
        let host = host.map_or("every host".to_owned(), |host| format!("host `{}`", show_host(host)));
        let path =
            candidate.path.as_ref().map_or(String::new(), |path| format!(", path `{}`", show_path(path)));
        let same = if candidate.matchers.count() > 0 { " and these matchers" } else { "" };
        context
            .problems
            .add(Code::DuplicateRoute, candidate.place, format!("another route has {host}{path}{same}"))
            .note(format!("the other one: {}", context.sources.label(candidates[by].place)));
        return true;
    }
    let all: Option<Vec<Cover>> = covers.iter().copied().collect();
    let Some(first) = all.as_ref().and_then(|all| all.first()) else { return false };
    let by = candidates[first.by].place;
    context
        .problems
        .add(Code::Shadowed, candidate.place, "this route is never chosen: an earlier one matches all its requests")
        .note(format!("the earlier one: {}", context.sources.label(by)))
        .note("earlier is: host (exact, longest wildcard, any), path (exact, regex in file order, longest prefix), more matchers, file order");
    true
}

/// Candidates by host and path.
struct Index<'a> {
    /// Numbers in order of precedence.
    buckets: HashMap<(Option<&'a HostPattern>, PathKey<'a>), Vec<usize>>,
    /// For each host, regular expressions that match every path, in file order.
    match_all: HashMap<Option<&'a HostPattern>, Vec<usize>>,
}

/// A path as far as it concerns precedence.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum PathKey<'a> {
    Exact(&'a str),
    Regex(&'a str),
    Prefix(&'a str),
    None,
}

impl<'a> Index<'a> {
    fn of(candidates: &'a [Candidate]) -> Self {
        let mut buckets: HashMap<_, Vec<usize>> = HashMap::new();
        let mut match_all: HashMap<_, Vec<usize>> = HashMap::new();
        for (number, candidate) in candidates.iter().enumerate() {
            let path = path_key(candidate);
            for host in hosts(candidate) {
                buckets.entry((host, path)).or_default().push(number);
                if matches!(path, PathKey::Regex(regex) if MATCH_ALL.contains(&regex)) {
                    match_all.entry(host).or_default().push(number);
                }
            }
        }
        for members in buckets.values_mut() {
            // Stable: file order stays among equals.
            members.sort_by_key(|&number| std::cmp::Reverse(candidates[number].matchers.count()));
        }
        Index { buckets, match_all }
    }

    /// What comes before a candidate and matches all that it matches with this host.
    fn cover(&self, candidates: &[Candidate], number: usize, host: Option<&'a HostPattern>) -> Option<Cover> {
        let candidate = &candidates[number];
        let path = path_key(candidate);
        let covers = |&other: &usize| candidates[other].matchers.cover(&candidate.matchers);
        let members = self.buckets.get(&(host, path)).map(Vec::as_slice).unwrap_or_default();
        let mut earlier = members.iter().take(MOST_COMPARED).take_while(|&&other| other != number);
        if let Some(&by) = earlier.find(|other| covers(other)) {
            return Some(Cover { by, identical: candidate.matchers.cover(&candidates[by].matchers) });
        }
        let by_higher_rank = match path {
            PathKey::Exact(_) => return None,
            PathKey::Regex(_) => {
                let first = self.first_use(host, path);
                let earlier = |other: &&usize| self.first_use(host, path_key(&candidates[**other])) < first;
                self.match_all(host).iter().filter(earlier).find(|other| covers(other))
            }
            PathKey::Prefix(_) => self.match_all(host).iter().find(|other| covers(other)),
            PathKey::None => {
                let root =
                    self.buckets.get(&(host, PathKey::Prefix("/"))).map(Vec::as_slice).unwrap_or_default();
                self.match_all(host).iter().chain(root.iter().take(MOST_COMPARED)).find(|other| covers(other))
            }
        };
        by_higher_rank.map(|&by| Cover { by, identical: false })
    }

    /// The first route with a path: what ranks regular expressions, of which several routes may share one.
    fn first_use(&self, host: Option<&'a HostPattern>, path: PathKey<'a>) -> Option<usize> {
        self.buckets.get(&(host, path))?.iter().copied().min()
    }

    fn match_all(&self, host: Option<&'a HostPattern>) -> &[usize] {
        self.match_all.get(&host).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The hosts of a route; `None` for every host.
fn hosts(candidate: &Candidate) -> impl Iterator<Item = Option<&HostPattern>> {
    let any = candidate.hosts.is_empty().then_some(None);
    any.into_iter().chain(candidate.hosts.iter().map(Some))
}

fn path_key(candidate: &Candidate) -> PathKey<'_> {
    match &candidate.path {
        None => PathKey::None,
        Some(PathPattern::Exact(path)) => PathKey::Exact(path),
        Some(PathPattern::Prefix(path)) => PathKey::Prefix(path),
        Some(PathPattern::Regex(regex)) => PathKey::Regex(regex.as_str()),
    }
}

fn show_host(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Wildcard(below) => format!("*.{below}"),
    }
}

fn show_path(path: &PathPattern) -> &str {
    match path {
        PathPattern::Exact(path) | PathPattern::Prefix(path) => path,
        PathPattern::Regex(regex) => regex.as_str(),
    }
}

impl Matchers {
    /// True when every request that holds `other` holds these as well, as far as that can be told.
    fn cover(&self, other: &Matchers) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|method| self.methods.contains(method)));
        let source = self.source.is_empty()
            || (!other.source.is_empty()
                && other.source.iter().all(|net| self.source.iter().any(|wide| wide.contains(net))));
        let conditions = |mine: &[(String, ValueMatch)], theirs: &[(String, ValueMatch)]| {
            mine.iter()
                .all(|(name, wide)| theirs.iter().any(|(other, narrow)| other == name && wide.covers(narrow)))
        };
        methods
            && source
            && conditions(&self.headers, &other.headers)
            && conditions(&self.query, &other.query)
            && conditions(&self.cookies, &other.cookies)
    }
}

impl ValueMatch {
    /// True when every value that holds `other` holds this as well.
    fn covers(&self, other: &ValueMatch) -> bool {
        match (self, other) {
            (ValueMatch::Present(wide), ValueMatch::Present(narrow)) => wide == narrow,
            (ValueMatch::Present(wide), _) => *wide,
            (ValueMatch::Exact(wide), ValueMatch::Exact(narrow)) => wide == narrow,
            (ValueMatch::Regex(wide), ValueMatch::Exact(narrow)) => wide.is_match(narrow),
            (ValueMatch::Regex(wide), ValueMatch::Regex(narrow)) => wide.as_str() == narrow.as_str(),
            _ => false,
        }
    }
}

/// Regular expressions that surely match every path.
const MATCH_ALL: &[&str] = &[".*", "^.*", "^.*$", ".*$", "^/", "^/.*", "^/.*$", "/", ".+", "^.+$", "^"];

/// Routes of one host and path that are compared with each other: the work stays linear in the number of routes.
const MOST_COMPARED: usize = 512;
