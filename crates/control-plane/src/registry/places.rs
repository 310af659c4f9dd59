//! Where in a list an id stands: found by its hash, so that a heartbeat costs the same among ten and among a million.

use std::hash::{BuildHasher, RandomState};

use fulcrum_model::InstanceId;

/// Positions by the hash of the id, each at the first free place from there (linear probing).
#[derive(Debug)]
pub(super) struct Places {
    /// As many as a power of two, and more than are taken.
    places: Box<[u32]>,
    /// Nobody who chooses ids knows their hashes.
    hashes: RandomState,
}

impl Places {
    /// Of a list with these ids.
    pub(super) fn of<'a>(ids: impl ExactSizeIterator<Item = &'a InstanceId>) -> Self {
        let room = (ids.len() + ids.len() / 3 + 1).next_power_of_two();
        let mut found = Places { places: vec![FREE; room].into(), hashes: RandomState::new() };
        for (position, id) in (0..FREE).zip(ids) {
            let free = found.probe(id).find(|place| found.places[*place] == FREE);
            found.places[free.expect("there are more places than ids")] = position;
        }
        found
    }

    /// The position of the id, if `is_at` says of one that it is there.
    pub(super) fn find(&self, id: &InstanceId, is_at: impl Fn(usize) -> bool) -> Option<usize> {
        let taken = self.probe(id).map(|place| self.places[place]).take_while(|position| *position != FREE);
        taken.map(|position| position as usize).find(|position| is_at(*position))
    }

    /// The places where it may be.
    fn probe(&self, id: &InstanceId) -> impl Iterator<Item = usize> + use<> {
        let (first, mask) = (self.hashes.hash_one(id.as_str()) as usize, self.places.len() - 1);
        (0..self.places.len()).map(move |step| first.wrapping_add(step) & mask)
    }
}

/// Lists are shorter than this.
const FREE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_those_who_are_there_and_nobody_else() {
        for count in [0, 1, 2, 3, 11, 12, 1000] {
            let ids: Vec<InstanceId> =
                (0..2 * count).map(|number| format!("i{number}").parse().expect("an id")).collect();
            let (there, others) = ids.split_at(count);
            let places = Places::of(there.iter());
            for (position, id) in there.iter().enumerate() {
                assert_eq!(places.find(id, |at| there[at] == *id), Some(position), "{count}");
            }
            assert!(others.iter().all(|id| places.find(id, |at| there[at] == *id).is_none()), "{count}");
        }
    }
}
