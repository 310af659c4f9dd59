//! What is known of sources: told of what they say, and nothing else.
//!
//! A source keeps the last good list that it has told, whatever happens: one that is silent, broken or suddenly gone is a
//! mistake far more often than it is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fulcrum_model::Source;

use super::list::Entry;
use super::trouble::Trouble;

/// What a source has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) list: Arc<[Entry]>,
    /// What could not be found out besides.
    pub(super) missing: Option<Trouble>,
}

/// The followed sources. `now` is the time since some start, and never goes back.
#[derive(Debug, Default)]
pub(super) struct Progress {
    sources: BTreeMap<Source, Known>,
    counters: Counters,
}

/// What sources have done since the start: by their kind, and by what was heard of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Looks at sources that have ended: `ok`, or the token of a [`Trouble`].
    pub looks: BTreeMap<(&'static str, &'static str), u64>,
    /// Lists that were other ones than before.
    pub changes: BTreeMap<&'static str, u64>,
}

/// One followed source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// Where it is.
    pub source: Source,
    /// Endpoints of its last good list.
    pub endpoints: usize,
    /// How long ago it was last heard to be good; `None` before that.
    pub last_good: Option<Duration>,
    /// What was wrong with the last look at it, or with a part of what it told.
    pub last_trouble: Option<Trouble>,
    /// Looks in a row that gave nothing.
    pub failures: u32,
}

#[derive(Clone, Debug, Default)]
struct Known {
    list: Option<Arc<[Entry]>>,
    good: Option<Duration>,
    last_trouble: Option<Trouble>,
    failures: u32,
    /// What was published of the list.
    published: Option<Arc<[Entry]>>,
}

/// What a look at a source has led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing that anybody has to be told.
    Same,
    /// Another list, or the first one.
    Changed(Arc<[Entry]>),
    /// Something is wrong that was not before.
    Worse,
}

impl Progress {
    /// Follows exactly these from now on, and says which of them are new. What is known of the others is forgotten, but a
    /// URL that is asked otherwise from now on keeps its list.
    pub(super) fn follow(&mut self, sources: &BTreeSet<Source>) -> Vec<Source> {
        let new: Vec<Source> =
            sources.iter().filter(|source| !self.sources.contains_key(source)).cloned().collect();
        let known: Vec<Known> = new.iter().map(|source| self.known_otherwise(source)).collect();
        self.sources.retain(|source, _| sources.contains(source));
        self.sources.extend(new.iter().cloned().zip(known));
        new
    }

    /// What is known of the same URL, asked in another rhythm.
    fn known_otherwise(&self, source: &Source) -> Known {
        let Source::Http(pull) = source else { return Known::default() };
        let is_same = |other: &Source| matches!(other, Source::Http(other) if other.url == pull.url);
        let mut same = self.sources.iter().filter(|(other, known)| is_same(other) && known.list.is_some());
        same.next().map(|(_, known)| known.clone()).unwrap_or_default()
    }

    /// The last good list of a source.
    pub(super) fn list(&self, source: &Source) -> Option<Arc<[Entry]>> {
        self.sources.get(source)?.list.clone()
    }

    /// This is published of a source from now on: whether it is something else than before.
    pub(super) fn publishes(&mut self, source: &Source, usable: &Arc<[Entry]>) -> bool {
        let Some(known) = self.sources.get_mut(source) else { return false };
        let is_it = |before: &Arc<[Entry]>| Arc::ptr_eq(before, usable) || before == usable;
        let is_new = !known.published.as_ref().is_some_and(is_it);
        known.published = Some(Arc::clone(usable));
        is_new
    }

    /// A source was looked at. Of one that is not followed nobody wants to know.
    pub(super) fn heard(&mut self, source: &Source, heard: Result<Told, Trouble>, now: Duration) -> Outcome {
        let Some(known) = self.sources.get_mut(source) else { return Outcome::Same };
        let kind = source.kind();
        let result = heard.as_ref().map_or_else(Trouble::as_str, |_| "ok");
        *self.counters.looks.entry((kind, result)).or_default() += 1;
        match heard {
            Ok(told) => {
                known.good = Some(now);
                known.failures = 0;
                known.last_trouble = told.missing;
                if known.list.as_ref() == Some(&told.list) {
                    return Outcome::Same;
                }
                known.list = Some(Arc::clone(&told.list));
                *self.counters.changes.entry(kind).or_default() += 1;
                Outcome::Changed(told.list)
            }
            Err(trouble) => {
                known.failures = known.failures.saturating_add(1);
                let before = known.last_trouble.replace(trouble);
                if before == known.last_trouble { Outcome::Same } else { Outcome::Worse }
            }
        }
    }

    /// Looks in a row that gave nothing; none for a source that is not followed.
    pub(super) fn failures(&self, source: &Source) -> u32 {
        self.sources.get(source).map_or(0, |known| known.failures)
    }

    /// Every last good list.
    #[cfg(test)]
    pub(super) fn lists(&self) -> impl Iterator<Item = (&Source, &Arc<[Entry]>)> {
        self.sources.iter().filter_map(|(source, known)| Some((source, known.list.as_ref()?)))
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Every followed source, sorted.
    pub(super) fn status(&self, now: Duration) -> Vec<SourceStatus> {
        let status = |(source, known): (&Source, &Known)| SourceStatus {
            source: source.clone(),
            endpoints: known.list.as_ref().map_or(0, |list| list.len()),
            last_good: known.good.map(|then| now.saturating_sub(then)),
            last_trouble: known.last_trouble.clone(),
            failures: known.failures,
        };
        self.sources.iter().map(status).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use fulcrum_model::Weight;

    use super::*;
    use crate::state::Stage;

    fn source(path: &str) -> Source {
        Source::File(path.into())
    }

    pub(in crate::discovery) fn told(addresses: &[&str]) -> Result<Told, Trouble> {
        let entry = |text: &&str| Entry {
            id: text.parse().expect("an id"),
            address: text.parse().expect("an address"),
            weight: Weight::ONE,
            stage: Stage::Up,
        };
        Ok(Told { list: addresses.iter().map(entry).collect(), missing: None })
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_last_good_list_stays() {
        let mut progress = Progress::default();
        let a = source("/a");
        assert_eq!(progress.follow(&BTreeSet::from([a.clone()])), std::slice::from_ref(&a));
        let list = told(&["10.0.0.1:80"]).expect("it is a list").list;
        let changed = Outcome::Changed(Arc::clone(&list));
        assert_eq!(progress.heard(&a, told(&["10.0.0.1:80"]), at(1)), changed);
        assert_eq!(progress.heard(&a, told(&["10.0.0.1:80"]), at(2)), Outcome::Same);
        assert_eq!(progress.heard(&a, Err(Trouble::Missing), at(3)), Outcome::Worse);
        // Told once, not with every look.
        assert_eq!(progress.heard(&a, Err(Trouble::Missing), at(4)), Outcome::Same);
        assert_eq!(progress.heard(&a, Err(Trouble::TooLarge), at(5)), Outcome::Worse);
        assert_eq!(progress.lists().collect::<Vec<_>>(), [(&a, &list)]);
        assert_eq!(progress.failures(&a), 3);
        let status = progress.status(at(6)).remove(0);
        assert_eq!((status.endpoints, status.failures, status.last_good), (1, 3, Some(at(4))));
        assert_eq!(status.last_trouble, Some(Trouble::TooLarge));
        let Outcome::Changed(empty) = progress.heard(&a, told(&[]), at(7)) else { panic!("a new list") };
        assert!(empty.is_empty());
        assert_eq!((progress.failures(&a), progress.status(at(7))[0].last_trouble.clone()), (0, None));
        let counters = progress.counters();
        let looks: Vec<_> = counters.looks.into_iter().map(|((_, result), count)| (result, count)).collect();
        assert_eq!(looks, [("missing", 2), ("ok", 3), ("too_large", 1)]);
        assert_eq!(counters.changes, BTreeMap::from([("file", 2)]));
    }

    #[test]
    fn the_first_list_is_told_although_it_is_empty() {
        let mut progress = Progress::default();
        progress.follow(&BTreeSet::from([source("/a")]));
        assert!(matches!(progress.heard(&source("/a"), told(&[]), at(1)), Outcome::Changed(_)));
    }

    #[test]
    fn what_is_let_go_is_forgotten() {
        let mut progress = Progress::default();
        let both = BTreeSet::from([source("/a"), source("/b")]);
        assert_eq!(progress.follow(&both).len(), 2);
        progress.heard(&source("/a"), told(&["10.0.0.1:80"]), at(1));
        progress.heard(&source("/b"), told(&["10.0.0.1:80"]), at(1));
        assert_eq!(progress.follow(&BTreeSet::from([source("/a"), source("/c")])), [source("/c")]);
        assert_eq!(progress.lists().map(|(source, _)| source.to_string()).collect::<Vec<_>>(), ["/a"]);
        assert_eq!(progress.heard(&source("/b"), told(&[]), at(2)), Outcome::Same);
        assert_eq!(progress.follow(&both), [source("/b")]);
        assert_eq!(progress.lists().count(), 1);
    }

    #[test]
    fn a_url_that_is_asked_otherwise_keeps_its_list() {
        let pull = |url: &str, seconds| {
            let (interval, timeout) = (Duration::from_secs(seconds), Duration::from_secs(1));
            Source::Http(fulcrum_model::Pull { url: url.parse().expect("a URL"), interval, timeout })
        };
        let (slow, fast, other) = (pull("http://sd/a", 10), pull("http://sd/a", 1), pull("http://sd/b", 1));
        let mut progress = Progress::default();
        progress.follow(&BTreeSet::from([slow.clone()]));
        progress.heard(&slow, told(&["10.0.0.1:80"]), at(1));
        assert_eq!(progress.follow(&BTreeSet::from([fast.clone(), other.clone()])).len(), 2);
        assert_eq!(progress.list(&fast).map(|list| list.len()), Some(1));
        assert_eq!((progress.list(&slow), progress.list(&other)), (None, None));
    }
}
