//! From a name to its node in one of many zones: one look, however many there are.

use super::{Node, ZoneEntry};
use crate::table::{Named, Slots, hash};

/// The nodes of all zones by name.
#[derive(Debug)]
pub(super) struct Index {
    slots: Slots,
    /// A place is the number of a piece, and a place in it: for each piece its zone, and its first node there.
    pieces: Vec<(u32, u32)>,
}

impl Index {
    pub(super) fn new(zones: &[ZoneEntry]) -> Self {
        let count = zones.iter().map(|zone| zone.of.nodes.len()).sum();
        let mut index = Index { slots: Slots::with_capacity(count), pieces: Vec::new() };
        for (number, zone) in (0..).zip(zones) {
            for (first, hashes) in (0..).step_by(PIECE).zip(zone.of.hashes.chunks(PIECE)) {
                let start = (index.pieces.len() * PIECE) as u32;
                index.pieces.push((number, first));
                for (place, hash) in (start..).zip(hashes) {
                    index.slots.settle(*hash, place);
                }
            }
        }
        index
    }

    /// The zone of a name in wire form and lower case, the place of its node there, and the node.
    #[inline]
    pub(super) fn find<'a>(&self, zones: &'a [ZoneEntry], name: &[u8]) -> Option<(u32, u32, &'a Node)> {
        let node = |place: u32| {
            let (zone, first) = self.pieces[place as usize / PIECE];
            let place = first + place % PIECE as u32;
            (zone, place, &zones[zone as usize].of.nodes[place as usize])
        };
        self.slots.find(hash(name), |place| node(place).2.name() == name).map(node)
    }
}

/// Nodes that are looked up as one: few enough that zones of few names waste no places, so many that the list of pieces stays
/// in the nearest cache.
const PIECE: usize = 256;
