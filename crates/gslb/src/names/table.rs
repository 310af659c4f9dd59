//! From a name to its node: an open table of hashes, and the nodes one behind the other.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::Node;

/// Nodes by name.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The lower half of a name's hash and the place of its node; a power of two of them, at most half of them taken.
    slots: Vec<(u32, u32)>,
    nodes: Vec<Node>,
}

impl Table {
    /// With room for so many names.
    pub(super) fn with_capacity(names: usize) -> Self {
        let mut table = Table { slots: Vec::new(), nodes: Vec::with_capacity(names) };
        table.resize(names);
        table
    }

    /// The nodes by place.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes by place, to be changed but for their names.
    pub(super) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// The node of a name in wire form and lower case.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Node> {
        self.place(name).map(|place| &self.nodes[place as usize])
    }

    /// The place of a name's node.
    pub(super) fn place(&self, name: &[u8]) -> Option<u32> {
        let hash = hash(name);
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = hash as usize & mask;
        loop {
            // A table without slots has none here.
            let &(known, place) = self.slots.get(slot)?;
            if place == VACANT {
                return None;
            }
            if known == hash && self.nodes[place as usize].name.as_slice() == name {
                return Some(place);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a node, whose name is not there yet, and tells its place.
    pub(super) fn insert(&mut self, node: Node) -> u32 {
        if (self.nodes.len() + 1) * 2 > self.slots.len() {
            self.resize(2 * self.nodes.len() + 8);
        }
        let place = self.nodes.len() as u32;
        self.settle(hash(&node.name), place);
        self.nodes.push(node);
        place
    }

    fn resize(&mut self, names: usize) {
        let taken = std::mem::take(&mut self.slots);
        self.slots = vec![(0, VACANT); (2 * names).next_power_of_two()];
        for (hash, place) in taken.into_iter().filter(|(_, place)| *place != VACANT) {
            self.settle(hash, place);
        }
    }

    fn settle(&mut self, hash: u32, place: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot].1 != VACANT {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = (hash, place);
    }
}

fn hash(name: &[u8]) -> u32 {
    FixedState::default().hash_one(name) as u32
}

/// No node.
const VACANT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use fulcrum_model::DnsName;

    use super::*;

    #[test]
    fn names_are_found_however_many_there_are() {
        let name = |number: u32| format!("h{number}.example.com").parse::<DnsName>().expect("a name");
        let mut table = Table::with_capacity(0);
        assert!(table.find(name(0).as_wire()).is_none());
        for number in 0..3000 {
            let place = table.insert(super::super::build::empty(name(number).as_wire(), number));
            assert_eq!(place, number);
        }
        for number in 0..3000 {
            assert_eq!(table.find(name(number).as_wire()).map(|node| node.zone), Some(number));
        }
        assert!((3000..6000).all(|number| table.place(name(number).as_wire()).is_none()));
        assert!(table.slots.len() >= 2 * table.nodes.len());
    }
}
