//! A worker's connections that wait for another request, longest first: those that go when there is no room for a new
//! client.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Waker;

/// Idle connections in the order in which they fell idle, by listener.
#[derive(Default)]
pub(crate) struct IdleList(RefCell<Inner>);

/// A connection's place in the list, until dropped.
pub(crate) struct Idle {
    list: Rc<IdleList>,
    node: u32,
}

/// Among whom the longest idle is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    All,
    /// The connections of the listener with this number.
    Listener(u64),
}

#[derive(Default)]
struct Inner {
    nodes: Vec<Node>,
    /// Nodes that nobody uses.
    free: Vec<u32>,
    /// Only of listeners that have idle connections.
    lists: HashMap<u64, Ends, foldhash::fast::RandomState>,
    linked: usize,
    /// Counts up: who has the lower number has been idle for longer.
    next_turn: u64,
}

struct Ends {
    first: u32,
    last: u32,
}

struct Node {
    listener: u64,
    turn: u64,
    previous: u32,
    next: u32,
    place: Place,
    waker: Waker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    InList,
    /// Out of the list: its task has been woken to end.
    Told,
    /// Nobody's.
    Free,
}

impl IdleList {
    /// A connection of this listener falls idle. `waker` wakes its task, which then asks [`Idle::is_told`].
    pub(crate) fn add(self: &Rc<Self>, listener: u64, waker: Waker) -> Idle {
        let node = self.0.borrow_mut().add(listener, waker);
        Idle { list: Rc::clone(self), node }
    }

    /// Tells the connection that has been idle for the longest time to end; false when none is idle.
    pub(crate) fn close_longest(&self, among: Among) -> bool {
        let waker = self.0.borrow_mut().tell_longest(among);
        // Not while the list is borrowed: waking may drop a task, which leaves the list.
        waker.map(Waker::wake).is_some()
    }

    /// Connections that can be told to end.
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().linked
    }
}

impl Idle {
    /// Whether the connection shall end, unless its client has sent something meanwhile.
    pub(crate) fn is_told(&self) -> bool {
        self.list.0.borrow().nodes[self.node as usize].place == Place::Told
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.list.0.borrow_mut().remove(self.node);
    }
}

impl Inner {
    fn add(&mut self, listener: u64, waker: Waker) -> u32 {
        let turn = self.next_turn;
        self.next_turn += 1;
        let node = Node { listener, turn, previous: NIL, next: NIL, place: Place::InList, waker };
        let index = match self.free.pop() {
            Some(index) => {
                self.nodes[index as usize] = node;
                index
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).expect("fewer connections than file descriptors")
            }
        };
        self.append(index);
        index
    }

    fn append(&mut self, index: u32) {
        let listener = self.nodes[index as usize].listener;
        let ends = self.lists.entry(listener).or_insert(Ends { first: index, last: NIL });
        let previous = std::mem::replace(&mut ends.last, index);
        self.nodes[index as usize].previous = previous;
        if previous != NIL {
            self.nodes[previous as usize].next = index;
        }
        self.linked += 1;
    }

    fn unlink(&mut self, index: u32) {
        let Node { listener, previous, next, .. } = self.nodes[index as usize];
        let ends = self.lists.get_mut(&listener).expect("who is in a list has one");
        match previous {
            NIL => ends.first = next,
            previous => self.nodes[previous as usize].next = next,
        }
        match next {
            NIL => ends.last = previous,
            next => self.nodes[next as usize].previous = previous,
        }
        if ends.first == NIL {
            self.lists.remove(&listener);
        }
        self.linked -= 1;
    }

    fn tell_longest(&mut self, among: Among) -> Option<Waker> {
        let index = match among {
            Among::Listener(listener) => self.lists.get(&listener)?.first,
            Among::All => {
                let firsts = self.lists.values().map(|ends| ends.first);
                firsts.min_by_key(|&first| self.nodes[first as usize].turn)?
            }
        };
        self.unlink(index);
        let node = &mut self.nodes[index as usize];
        node.place = Place::Told;
        Some(node.waker.clone())
    }

    fn remove(&mut self, index: u32) {
        if self.nodes[index as usize].place == Place::InList {
            self.unlink(index);
        }
        let node = &mut self.nodes[index as usize];
        node.place = Place::Free;
        // Not to keep the memory of a task that has ended.
        node.waker = Waker::noop().clone();
        self.free.push(index);
    }
}

/// No node.
const NIL: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use fulcrum_balance::Rng;

    use super::*;

    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection as the model knows it.
    struct Known {
        listener: u64,
        idle: Idle,
        woken: Arc<Woken>,
        is_told: bool,
    }

    impl Known {
        fn new(list: &Rc<IdleList>, listener: u64) -> Self {
            let woken = Arc::new(Woken(AtomicU32::new(0)));
            let idle = list.add(listener, Waker::from(Arc::clone(&woken)));
            Known { listener, idle, woken, is_told: false }
        }
    }

    fn check_invariants(list: &Rc<IdleList>, model: &[Known]) {
        assert_eq!(list.len(), model.iter().filter(|known| !known.is_told).count());
        for known in model {
            assert_eq!(known.idle.is_told(), known.is_told);
            assert_eq!(known.woken.0.load(Ordering::Relaxed), u32::from(known.is_told));
        }
        let inner = list.0.borrow();
        assert_eq!(inner.nodes.len(), model.len() + inner.free.len());
        for (listener, ends) in &inner.lists {
            let (mut at, mut previous, mut turns) = (ends.first, NIL, Vec::new());
            while at != NIL {
                let node = &inner.nodes[at as usize];
                assert_eq!((node.listener, node.previous, node.place), (*listener, previous, Place::InList));
                turns.push(node.turn);
                (previous, at) = (at, node.next);
            }
            assert_eq!(ends.last, previous);
            assert!(!turns.is_empty() && turns.is_sorted());
        }
    }

    #[test]
    fn the_longest_idle_goes_first_whoever_comes_and_goes() {
        let mut rng = Rng::from_seed(7);
        let list = Rc::new(IdleList::default());
        let mut model: Vec<Known> = Vec::new();
        for _ in 0..20_000 {
            match rng.below(8) {
                0..4 if model.len() < 60 => model.push(Known::new(&list, rng.below(3).into())),
                0..6 if !model.is_empty() => {
                    let gone = rng.below(u32::try_from(model.len()).expect("few"));
                    model.remove(gone as usize);
                }
                choice => {
                    let wanted = u64::from(rng.below(3));
                    let among = if choice == 7 { Among::All } else { Among::Listener(wanted) };
                    let fits = |known: &&mut Known| {
                        !known.is_told && (among == Among::All || known.listener == wanted)
                    };
                    let longest = model.iter_mut().find(fits);
                    assert_eq!(list.close_longest(among), longest.is_some());
                    if let Some(longest) = longest {
                        longest.is_told = true;
                    }
                }
            }
            check_invariants(&list, &model);
        }
        drop(model);
        assert_eq!(list.len(), 0);
        assert!(list.0.borrow().lists.is_empty());
    }
}
