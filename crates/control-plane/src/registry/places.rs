//! The instances of a service by the hash of their id, so that a heartbeat costs the same among ten and among a million.
//!
//! One table that is changed in its place: it grows by a quarter, and is never less than two thirds full for long.

use std::hash::{BuildHasher, RandomState};

use fulcrum_model::InstanceId;

use crate::state::Entry;

/// Entries, each at the first free place from that of its hash (linear probing).
#[derive(Debug, Default)]
pub(super) struct Places {
    /// What ids hash to: most of those that are not looked for are known by it.
    hashes: Box<[u32]>,
    entries: Box<[Option<Entry>]>,
    len: usize,
    /// Nobody who chooses ids knows their hashes.
    hasher: RandomState,
}

impl Places {
    /// The one of this id.
    pub(super) fn find(&self, id: &InstanceId) -> Option<&Entry> {
        let place = self.place(self.hash(id), id)?;
        self.entries[place].as_ref()
    }

    /// Puts one in, in the place of the one with its id.
    pub(super) fn insert(&mut self, entry: Entry) {
        let id = &entry.instance.key.id;
        let hash = self.hash(id);
        if let Some(place) = self.place(hash, id) {
            self.entries[place] = Some(entry);
            return;
        }
        if (self.len + 1) * 8 > self.room() * 7 {
            self.make_room(self.room() + self.room() / 4 + SOME);
        }
        self.put(hash, entry);
        self.len += 1;
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: &InstanceId) {
        let Some(mut free) = self.place(self.hash(id), id) else { return };
        self.entries[free] = None;
        self.len -= 1;
        // Who stands behind because this place was taken comes up to it.
        for place in self.from(free).skip(1) {
            if self.entries[place].is_none() {
                break;
            }
            let home = self.home(self.hashes[place]);
            if self.distance(home, place) >= self.distance(free, place) {
                self.hashes[free] = self.hashes[place];
                self.entries[free] = self.entries[place].take();
                free = place;
            }
        }
        if self.room() > SOME && self.len * 2 < self.room() {
            self.make_room(self.len + self.len / 3 + SOME);
        }
    }

    fn room(&self) -> usize {
        self.entries.len()
    }

    fn hash(&self, id: &InstanceId) -> u32 {
        (self.hasher.hash_one(id.as_str()) >> 32) as u32
    }

    /// Where a hash belongs: the part of all places that the hash is of all hashes.
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.room() as u64) >> 32) as usize
    }

    /// How far it is from one place to another one, always forward.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.room() - from }
    }

    /// All places, beginning with this one.
    fn from(&self, place: usize) -> impl Iterator<Item = usize> + use<> {
        (place..self.room()).chain(0..place)
    }

    fn place(&self, hash: u32, id: &InstanceId) -> Option<usize> {
        for place in self.from(self.home(hash)) {
            let entry = self.entries[place].as_ref()?;
            if self.hashes[place] == hash && entry.instance.key.id == *id {
                return Some(place);
            }
        }
        None
    }

    /// Nobody of its id is there, and a place is free.
    fn put(&mut self, hash: u32, entry: Entry) {
        let place = self.from(self.home(hash)).find(|place| self.entries[*place].is_none());
        let place = place.expect("there are more places than entries");
        self.hashes[place] = hash;
        self.entries[place] = Some(entry);
    }

    /// As many places as this. Hashes are not computed again, and come nearly in their order.
    fn make_room(&mut self, room: usize) {
        let hashes = std::mem::replace(&mut self.hashes, vec![0; room].into());
        let entries = std::mem::replace(&mut self.entries, (0..room).map(|_| None).collect());
        for (hash, entry) in hashes.into_iter().zip(entries) {
            if let Some(entry) = entry {
                self.put(hash, entry);
            }
        }
    }
}

/// Places of a table that is as good as empty.
const SOME: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use fulcrum_balance::Rng;

    use super::*;
    use crate::lease::Lease;
    use crate::state::{Instance, Sequence, testing};

    fn entry(id: &InstanceId, number: u64) -> Entry {
        let instance = testing::instance(testing::key("web", id.as_str()));
        let lease = Lease::new(1, Duration::from_secs(30), Duration::ZERO);
        Entry {
            instance: Arc::new(Instance { sequence: Sequence(number), ..instance }),
            lease: Arc::new(lease),
        }
    }

    #[test]
    fn finds_those_who_are_there_and_nobody_else() {
        for seed in 0..64 {
            let mut rng = Rng::from_seed(seed);
            let (mut places, mut model) = (Places::default(), BTreeMap::new());
            let count = 1 + rng.below(300);
            let ids: Vec<InstanceId> =
                (0..count).map(|number| format!("i{number}").parse().expect("an id")).collect();
            for step in 0..1500 {
                let id = &ids[rng.below(count) as usize];
                // It grows, and becomes small again.
                if rng.below(5) < (if step < 750 { 4 } else { 1 }) {
                    places.insert(entry(id, step));
                    model.insert(id, step);
                } else {
                    places.remove(id);
                    model.remove(id);
                }
                assert_eq!(places.len, model.len());
                assert!(places.len * 8 <= places.room() * 7 && places.room() <= places.len * 2 + 2 * SOME);
            }
            for id in &ids {
                let found = places.find(id).map(|entry| entry.instance.sequence.0);
                assert_eq!(found, model.get(id).copied(), "seed {seed}");
            }
        }
    }
}
