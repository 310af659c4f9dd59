//! The search tree of an `.mmdb` file: a bit of the address chooses one of two records in a node.

use maxminddb::Metadata;

use crate::geo::steps::Steps;
use crate::geo::width::Width;

/// The nodes at the start of a file. That they are within it, the reader has proved.
pub(super) struct Tree<'a> {
    bytes: &'a [u8],
    nodes: u32,
    record_size: u16,
    is_v6: bool,
}

/// The record of every address: a pointer that means the same for all that have the same record.
pub(super) struct Networks {
    pub(super) v4: Steps<u32>,
    pub(super) v6: Steps<u128>,
    /// Networks that have a record.
    pub(super) count: usize,
}

impl Tree<'_> {
    pub(super) fn new<'a>(bytes: &'a [u8], metadata: &Metadata) -> Tree<'a> {
        let Metadata { node_count, record_size, ip_version, .. } = *metadata;
        Tree { bytes, nodes: node_count, record_size, is_v6: ip_version == 6 }
    }

    /// All networks, if the tree is one: of a graph with loops, or with many ways to a node, not all ways are taken.
    pub(super) fn networks(&self) -> Option<Networks> {
        let end = self.nodes as usize * self.node_size();
        if self.bytes.get(end..end + SEPARATOR) != Some(&[0; SEPARATOR]) {
            return None;
        }
        let start = self.start_of_v4();
        let mut walk = Walk { tree: self, left: u64::from(self.nodes) * 3 + 1_000, count: 0 };
        let v4 = walk.steps(start, None)?;
        let v6 = if self.is_v6 { walk.steps(0, Some(start))? } else { Steps::flat(NOTHING) };
        Some(Networks { v4, v6, count: walk.count })
    }

    /// Where 96 zeros lead to: the tree of IPv4 in one of IPv6.
    fn start_of_v4(&self) -> u32 {
        let zeros = if self.is_v6 { 96 } else { 0 };
        (0..zeros).fold(0, |node, _| if node < self.nodes { self.child(node, 0) } else { node })
    }

    fn node_size(&self) -> usize {
        usize::from(self.record_size) / 4
    }

    /// The left (0) or right (1) record of a node: another node, or a pointer.
    fn child(&self, node: u32, side: usize) -> u32 {
        let size = self.node_size();
        let at = node as usize * size;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte));
        match (&self.bytes[at..at + size], side) {
            // The middle byte has the highest four bits of both.
            ([left @ .., middle, _, _, _], 0) if size == 7 => u32::from(middle >> 4) << 24 | number(left),
            ([_, _, _, middle, right @ ..], _) if size == 7 => u32::from(middle & 15) << 24 | number(right),
            (node, 0) => number(&node[..size / 2]),
            (node, _) => number(&node[size / 2..]),
        }
    }
}

struct Walk<'a> {
    tree: &'a Tree<'a>,
    /// Visits that are left. A tree has one leaf more than it has nodes, and is walked at most twice in part.
    left: u64,
    count: usize,
}

impl Walk<'_> {
    /// The pointers below a node in order of the addresses. The tree of IPv4 within that of IPv6, and all the ways that
    /// lead to it, are left out: such addresses are looked up as IPv4.
    fn steps<W: Width>(&mut self, root: u32, left_out: Option<u32>) -> Option<Steps<W>> {
        let mut steps = Steps::flat(NOTHING);
        let mut open = vec![(root, 0u128, 0u8)];
        while let Some((node, first, depth)) = open.pop() {
            self.left = self.left.checked_sub(1)?;
            let is_left_out = left_out == Some(node) && (node < self.tree.nodes || first == 0);
            if node < self.tree.nodes && !is_left_out {
                if depth == W::LENGTH {
                    return None;
                }
                let right = first | 1 << (W::LENGTH - 1 - depth);
                open.push((self.tree.child(node, 1), right, depth + 1));
                open.push((self.tree.child(node, 0), first, depth + 1));
                continue;
            }
            let pointer = if is_left_out || node == self.tree.nodes { NOTHING } else { node };
            self.count += usize::from(pointer != NOTHING);
            steps.set(W::from_bits(first), pointer);
        }
        Some(steps)
    }
}

/// No record. Nodes come before pointers, so that there is none at 0.
pub(super) const NOTHING: u32 = 0;

/// Zeros between the tree and the records.
const SEPARATOR: usize = 16;
