//! The tree behind a roster. Nodes that somebody else holds are copied before they change.

use std::sync::Arc;

use fulcrum_model::InstanceId;

use super::Entry;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Leaf(Vec<Entry>),
    /// None of them is empty, and all are equally high.
    Branch(Vec<Child>),
}

#[derive(Clone, Debug)]
pub(super) struct Child {
    /// No entry of it comes before this id, and none of those before it after.
    first: InstanceId,
    count: usize,
    pub(super) node: Arc<Node>,
}

impl Default for Node {
    fn default() -> Self {
        Node::Leaf(Vec::new())
    }
}

impl Node {
    /// Above two of equal height, in order.
    pub(super) fn above(one: Arc<Node>, other: Child) -> Self {
        let one = Child::of(one).expect("what is split is not empty");
        Node::Branch(vec![one, other])
    }

    /// Entries of it.
    pub(super) fn count(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Branch(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    pub(super) fn find(&self, id: &InstanceId) -> Option<&Entry> {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(entries) => return entries.get(search(entries, id).ok()?),
                Node::Branch(children) => node = &children[child_of(children, id)].node,
            }
        }
    }

    pub(super) fn at(&self, mut place: usize) -> Option<&Entry> {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(entries) => return entries.get(place),
                Node::Branch(children) => {
                    let child = children.iter().find(|child| {
                        let is_in = place < child.count;
                        place -= if is_in { 0 } else { child.count };
                        is_in
                    })?;
                    node = &child.node;
                }
            }
        }
    }

    /// The node below, where there is one and no other.
    pub(super) fn only_child(&self) -> Option<Arc<Node>> {
        match self {
            Node::Branch(children) if children.len() == 1 => Some(Arc::clone(&children[0].node)),
            _ => None,
        }
    }

    /// Entries or children.
    fn width(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Branch(children) => children.len(),
        }
    }

    /// Takes in the one after it, of the same height.
    fn append(&mut self, next: Node) {
        match (self, next) {
            (Node::Leaf(entries), Node::Leaf(next)) => append(entries, next),
            (Node::Branch(children), Node::Branch(next)) => append(children, next),
            _ => unreachable!("children are equally high"),
        }
    }
}

impl Child {
    /// `None` of an empty node.
    fn of(node: Arc<Node>) -> Option<Self> {
        let first = match &*node {
            Node::Leaf(entries) => entries.first()?.id().clone(),
            Node::Branch(children) => children.first()?.first.clone(),
        };
        Some(Child { first, count: node.count(), node })
    }
}

impl Entry {
    fn id(&self) -> &InstanceId {
        &self.instance.key.id
    }
}

/// Puts an entry in. Returns the one that was in its place, and what has become too much for the node.
pub(super) fn insert(node: &mut Arc<Node>, entry: Entry) -> (Option<Entry>, Option<Child>) {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => match search(entries, entry.id()) {
            Ok(place) => (Some(std::mem::replace(&mut entries[place], entry)), None),
            Err(place) => {
                put(entries, place, entry);
                (None, split(entries, place).map(Node::Leaf).and_then(|node| Child::of(Arc::new(node))))
            }
        },
        Node::Branch(children) => {
            let place = child_of(children, entry.id());
            let child = &mut children[place];
            if *entry.id() < child.first {
                child.first = entry.id().clone();
            }
            let (before, beside) = insert(&mut child.node, entry);
            child.count += usize::from(before.is_none());
            let Some(beside) = beside else { return (before, None) };
            child.count -= beside.count;
            put(children, place + 1, beside);
            let beside = split(children, place + 1).map(Node::Branch);
            (before, beside.and_then(|node| Child::of(Arc::new(node))))
        }
    }
}

/// Takes out an entry that is there. Afterwards the node may be empty.
pub(super) fn remove(node: &mut Arc<Node>, id: &InstanceId) -> Option<Entry> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let place = search(entries, id).ok()?;
            let removed = entries.remove(place);
            entries.shrink_to(entries.len() + STEP);
            Some(removed)
        }
        Node::Branch(children) => {
            let place = child_of(children, id);
            let child = &mut children[place];
            let removed = remove(&mut child.node, id)?;
            child.count -= 1;
            if child.node.width() < LEAST {
                unite(children, place);
            }
            Some(removed)
        }
    }
}

/// A child has become small: it and one beside it become one, where that one has room.
fn unite(children: &mut Vec<Child>, place: usize) {
    let first = place.saturating_sub(1);
    let [one, other, ..] = &mut children[first..] else {
        children.retain(|child| child.count > 0);
        return;
    };
    let together = one.node.width() + other.node.width();
    if together > UNITED && one.count > 0 && other.count > 0 {
        return;
    }
    let next = Arc::unwrap_or_clone(std::mem::take(&mut other.node));
    Arc::make_mut(&mut one.node).append(next);
    one.count += other.count;
    children.remove(first + 1);
}

fn search(entries: &[Entry], id: &InstanceId) -> Result<usize, usize> {
    entries.binary_search_by(|entry| entry.id().cmp(id))
}

/// The child that has the id, if any has.
fn child_of(children: &[Child], id: &InstanceId) -> usize {
    children.partition_point(|child| child.first <= *id).saturating_sub(1)
}

/// What is put in takes little more room than it needs: there are many of these lists, and they are short.
fn put<T>(items: &mut Vec<T>, place: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(STEP);
    }
    items.insert(place, item);
}

fn append<T>(items: &mut Vec<T>, next: Vec<T>) {
    items.reserve_exact(next.len());
    items.extend(next);
}

/// The second half of what has become too much. Where ids ascend, the first part stays whole.
fn split<T>(items: &mut Vec<T>, put_at: usize) -> Option<Vec<T>> {
    if items.len() <= MOST {
        return None;
    }
    let is_last = put_at + 1 == items.len();
    let mut second = items.split_off(if is_last { put_at } else { items.len() / 2 });
    items.shrink_to_fit();
    second.shrink_to_fit();
    Some(second)
}

/// A node has so many entries or children. A change copies so many at each height, and that many pointers are shared by
/// those who read.
const MOST: usize = 32;

/// One with fewer is united with another one, when they are not more than this together.
const LEAST: usize = MOST / 4;
const UNITED: usize = MOST / 4 * 3;

/// Room is made for so many at once.
const STEP: usize = 4;

#[cfg(test)]
impl Node {
    pub(super) fn check_invariants(&self) {
        assert!(self.width() <= MOST);
        let Node::Branch(children) = self else { return };
        assert!(!children.is_empty());
        assert!(children.windows(2).all(|pair| pair[0].first < pair[1].first));
        for (place, child) in children.iter().enumerate() {
            assert!(child.count > 0 && child.count == child.node.count());
            assert_eq!(child.node.height(), children[0].node.height());
            let ids: Vec<_> = (0..child.count).filter_map(|at| child.node.at(at)).map(Entry::id).collect();
            assert!(ids.iter().all(|id| **id >= child.first));
            let next = children.get(place + 1);
            assert!(next.is_none_or(|next| ids.iter().all(|id| **id < next.first)));
            child.node.check_invariants();
        }
    }

    fn height(&self) -> usize {
        match self {
            Node::Leaf(_) => 0,
            Node::Branch(children) => 1 + children[0].node.height(),
        }
    }

    pub(super) fn leaves(&self) -> usize {
        match self {
            Node::Leaf(_) => 1,
            Node::Branch(children) => children.iter().map(|child| child.node.leaves()).sum(),
        }
    }

    /// Where it and all below it are.
    pub(super) fn nodes(&self) -> Vec<*const Node> {
        let mut nodes = vec![std::ptr::from_ref(self)];
        if let Node::Branch(children) = self {
            nodes.extend(children.iter().flat_map(|child| child.node.nodes()));
        }
        nodes
    }
}
