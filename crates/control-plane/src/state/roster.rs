//! The instances of a service by id, as many hands hold them: a copy costs nothing and stays as it is, and a change makes
//! anew only the few nodes above it. Whoever reads, reads one moment; whoever changes, pays for what changes.
//!
//! ```text
//!   Branch  first ids, counts ──► Branch ──► Leaf  entries, in order
//!                             └─► …      └─► Leaf
//! ```

mod node;

use std::ops::Index;
use std::sync::Arc;

use fulcrum_model::InstanceId;

use super::instance::Instance;
use crate::lease::Lease;
use node::Node;

/// Instances in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    root: Arc<Node>,
}

/// An instance and its lease.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is known of it.
    pub instance: Arc<Instance>,
    /// How long it may stay.
    pub lease: Arc<Lease>,
}

impl Roster {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.root.count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one of this id.
    pub fn find(&self, id: &InstanceId) -> Option<&Entry> {
        self.root.find(id)
    }

    /// The one at this place.
    pub fn get(&self, place: usize) -> Option<&Entry> {
        self.root.at(place)
    }

    /// All of them, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { left: self.len(), above: Vec::new(), entries: [].iter(), root: Some(&self.root) }
    }

    /// Puts one in; returns the one that was in its place.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        let (before, split) = node::insert(&mut self.root, entry);
        if let Some(split) = split {
            let whole = std::mem::take(&mut self.root);
            self.root = Arc::new(Node::above(whole, split));
        }
        before
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: &InstanceId) -> Option<Entry> {
        self.find(id)?;
        let removed = node::remove(&mut self.root, id);
        while let Some(only) = self.root.only_child() {
            self.root = only;
        }
        removed
    }
}

impl Index<usize> for Roster {
    type Output = Entry;

    fn index(&self, place: usize) -> &Entry {
        self.get(place).expect("a place within the roster")
    }
}

impl<'a> IntoIterator for &'a Roster {
    type Item = &'a Entry;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Entries in their order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    left: usize,
    /// What comes after the entries, the next last.
    above: Vec<std::slice::Iter<'a, node::Child>>,
    entries: std::slice::Iter<'a, Entry>,
    /// Before the first.
    root: Option<&'a Node>,
}

impl<'a> Iter<'a> {
    /// Down to the first leaf.
    fn descend(&mut self, mut node: &'a Node) {
        loop {
            match node {
                Node::Leaf(entries) => return self.entries = entries.iter(),
                Node::Branch(children) => {
                    let mut children = children.iter();
                    let Some(first) = children.next() else { return };
                    node = &first.node;
                    self.above.push(children);
                }
            }
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        if let Some(root) = self.root.take() {
            self.descend(root);
        }
        loop {
            if let Some(entry) = self.entries.next() {
                self.left -= 1;
                return Some(entry);
            }
            match self.above.last_mut()?.next() {
                Some(child) => self.descend(&child.node),
                None => drop(self.above.pop()),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests;
