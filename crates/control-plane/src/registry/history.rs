//! The last events, for watchers who come back or are slow: bounded by their number and by the memory that they keep.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use fulcrum_model::{ServiceName, TEXT, Traits};

use super::watch::Event;
use crate::state::{Instance, Sequence};

/// The last events, in their order.
#[derive(Debug)]
pub(super) struct History {
    events: VecDeque<Arc<Event>>,
    /// The same by service: those who follow a few services do not go through those of all others.
    by_service: HashMap<ServiceName, VecDeque<Arc<Event>>>,
    /// Events up to this one are not here any more.
    forgotten: Sequence,
    /// What they keep in memory together.
    bytes: usize,
    most: Bound,
}

/// How much is remembered.
#[derive(Debug)]
struct Bound {
    events: usize,
    bytes: usize,
}

impl History {
    /// Nothing is remembered of what was before.
    pub(super) fn after(sequence: Sequence) -> Self {
        History {
            events: VecDeque::new(),
            by_service: HashMap::new(),
            forgotten: sequence,
            bytes: 0,
            most: Bound { events: EVENTS, bytes: BYTES },
        }
    }

    /// The last event that is forgotten.
    pub(super) fn forgotten(&self) -> Sequence {
        self.forgotten
    }

    pub(super) fn add(&mut self, events: Vec<Event>) {
        for event in events.into_iter().map(Arc::new) {
            self.bytes += kept_by(&event);
            // Room is made first, so that the list does not grow beyond it.
            while self.events.len() >= self.most.events {
                self.forget_first();
            }
            self.by_service.entry(event.key().service.clone()).or_default().push_back(Arc::clone(&event));
            self.events.push_back(event);
        }
        while self.bytes > self.most.bytes {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let forgotten = self.events.pop_front().expect("none keep nothing");
        self.bytes -= kept_by(&forgotten);
        self.forgotten = forgotten.sequence;
        self.forget_first_of(&forgotten.key().service);
    }

    /// The first event of all is the first of its service, too.
    fn forget_first_of(&mut self, service: &ServiceName) {
        let events = self.by_service.get_mut(service).expect("each event is here, too");
        events.pop_front();
        if events.is_empty() {
            self.by_service.remove(service);
        } else if events.len() < events.capacity() / 4 {
            events.shrink_to(events.len() * 2);
        }
    }

    /// The events of these services, or of all, after this one: the first ones, so many at most.
    pub(super) fn since(
        &self,
        sequence: Sequence,
        of: Option<&BTreeSet<ServiceName>>,
        most: usize,
    ) -> Vec<Arc<Event>> {
        let is_wanted =
            |event: &Arc<Event>| of.is_none_or(|services| services.contains(&event.key().service));
        let Some(services) = of.filter(|services| services.len() <= FEW) else {
            return since(&self.events, sequence).filter(is_wanted).take(most).collect();
        };
        let of_service = services.iter().filter_map(|service| self.by_service.get(service));
        let mut events: Vec<Arc<Event>> =
            of_service.flat_map(|events| since(events, sequence).take(most)).collect();
        events.sort_by_key(|event| event.sequence);
        events.truncate(most);
        events
    }
}

fn since(events: &VecDeque<Arc<Event>>, sequence: Sequence) -> impl Iterator<Item = Arc<Event>> {
    let start = events.partition_point(|event| event.sequence <= sequence);
    events.range(start..).cloned()
}

/// What an event keeps in memory, about: itself, and what was. What is, is kept by the next event or by the registry.
fn kept_by(event: &Event) -> usize {
    let before = event.before.as_deref().map_or(0, |before| {
        let after = event.after.as_deref().map(|after| &*after.registration.traits);
        size_of::<Instance>() + kept_by_traits(&before.registration.traits, after)
    });
    size_of::<Event>() + before
}

/// What they take that those after them do not share: that is in memory once.
fn kept_by_traits(traits: &Traits, after: Option<&Traits>) -> usize {
    if after.is_some_and(|after| std::ptr::eq(traits, after)) {
        return 0;
    }
    let Traits { ports, tags, meta, .. } = traits;
    let mut bytes = size_of::<Traits>();
    if !after.is_some_and(|after| Arc::ptr_eq(&after.tags, tags)) {
        bytes += tags.iter().map(|tag| TEXT + tag.len()).sum::<usize>();
    }
    if !after.is_some_and(|after| after.meta.shares_with(meta)) {
        bytes += meta.iter().map(|(key, value)| 2 * TEXT + key.len() + value.len()).sum::<usize>();
    }
    if !after.is_some_and(|after| after.ports.shares_with(ports)) {
        bytes += ports.iter().map(|(name, _)| TEXT + name.len()).sum::<usize>();
    }
    bytes
}

/// Who follows more services than these goes through the events of all.
const FEW: usize = 32;

/// Events that are remembered.
const EVENTS: usize = 65_536;

/// And what they may keep in memory: whoever registers again and again with much to say shortens what is remembered, and
/// takes no more.
const BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Cause, Key, testing};

    fn instance(sequence: u64, meta: &str) -> Instance {
        let registration = testing::with(|traits| traits.meta = [("k", meta.into())].into_iter().collect());
        Instance { registration, sequence: Sequence(sequence), ..testing::instance(key()) }
    }

    fn key() -> Key {
        testing::key("web", "a")
    }

    /// An instance changes so often, from and to what `meta` tells for each number.
    fn after_changes(most: Bound, count: u64, meta: impl Fn(u64) -> String) -> History {
        let mut history = History { most, ..History::after(Sequence(0)) };
        let mut before: Option<Arc<Instance>> = None;
        for number in 1..=count {
            let mut after = instance(number, &meta(number));
            if let Some(before) = &before {
                Traits::share(&mut after.registration.traits, &before.registration.traits);
            }
            let after = Arc::new(after);
            let event = Event {
                sequence: Sequence(number),
                before: before.replace(Arc::clone(&after)),
                after: Some(after),
                cause: Cause::Registered { by: "t".into() },
            };
            history.add(vec![event]);
        }
        history
    }

    #[test]
    fn large_events_shorten_the_history() {
        let large = |number: u64| format!("{number}").repeat(10_000);
        let history = after_changes(Bound { events: 1000, bytes: 100_000 }, 9, large);
        let rest = history.events.len();
        assert!((5..=9).contains(&rest), "{rest} events");
        assert!(history.bytes <= 100_000);
        assert_eq!(history.forgotten, Sequence(9 - rest as u64));
        let of = BTreeSet::from([key().service]);
        assert_eq!(
            history.since(Sequence(0), Some(&of), 1000).len(),
            rest,
            "those of the service are bounded alike"
        );
        let history = after_changes(Bound { events: 1000, bytes: 100_000 }, 99, large);
        assert!(history.events.len() < 10 && history.forgotten > Sequence(89));
        let history = after_changes(Bound { events: 1000, bytes: 10 }, 9, large);
        assert_eq!((history.events.len(), history.bytes, history.forgotten), (0, 0, Sequence(9)));
    }

    #[test]
    fn what_stays_the_same_counts_once() {
        let same = |_| "x".repeat(50_000);
        let history = after_changes(Bound { events: 50, bytes: 100_000 }, 60, same);
        assert_eq!((history.events.len(), history.forgotten), (50, Sequence(10)));
    }
}
