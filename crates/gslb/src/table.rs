//! From a name to what there is of it: an open table of hashes, and the things one behind the other.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// What has a name.
pub(crate) trait Named {
    /// In wire form and lower case.
    fn name(&self) -> &[u8];
}

/// Things by name, in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    slots: Slots,
    things: Vec<T>,
    /// Those of the names.
    hashes: Vec<u32>,
}

/// Places by hash.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    /// The lower half of a name's hash and a place; a power of two of them, at most half of them taken.
    slots: Vec<(u32, u32)>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { slots: Slots::with_capacity(0), things: Vec::new(), hashes: Vec::new() }
    }
}

impl<T: Named> Table<T> {
    /// With room for so many.
    pub(crate) fn with_capacity(count: usize) -> Self {
        let slots = Slots::with_capacity(count);
        Table { slots, things: Vec::with_capacity(count), hashes: Vec::with_capacity(count) }
    }

    /// All by place.
    pub(crate) fn things(&self) -> &[T] {
        &self.things
    }

    /// All by place, to be changed but for their names.
    pub(crate) fn things_mut(&mut self) -> &mut [T] {
        &mut self.things
    }

    /// All by place, and the hashes of their names.
    pub(crate) fn into_parts(mut self) -> (Vec<T>, Vec<u32>) {
        self.things.shrink_to_fit();
        self.hashes.shrink_to_fit();
        (self.things, self.hashes)
    }

    /// What has a name in wire form and lower case.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&T> {
        self.place(name).map(|place| &self.things[place as usize])
    }

    /// The place of what has a name.
    pub(crate) fn place(&self, name: &[u8]) -> Option<u32> {
        self.place_of(name, hash(name))
    }

    fn place_of(&self, name: &[u8], hash: u32) -> Option<u32> {
        self.slots.find(hash, |place| self.things[place as usize].name() == name)
    }

    /// The place of what has this name; where there is nothing, this is made.
    pub(crate) fn place_or_insert_with(&mut self, name: &[u8], made: impl FnOnce() -> T) -> u32 {
        let hash = hash(name);
        self.place_of(name, hash).unwrap_or_else(|| self.push(made(), hash))
    }

    /// Puts something in the place of what has its name, if there is that.
    pub(crate) fn put(&mut self, thing: T) {
        let hash = hash(thing.name());
        match self.place_of(thing.name(), hash) {
            Some(place) => self.things[place as usize] = thing,
            None => drop(self.push(thing, hash)),
        }
    }

    fn push(&mut self, thing: T, hash: u32) -> u32 {
        let place = self.things.len() as u32;
        if self.slots.is_full(self.things.len()) {
            self.slots = Slots::with_capacity(2 * self.things.len() + 8);
            (0..).zip(&self.hashes).for_each(|(place, hash)| self.slots.settle(*hash, place));
        }
        self.slots.settle(hash, place);
        self.things.push(thing);
        self.hashes.push(hash);
        place
    }
}

impl Slots {
    /// With room for so many places.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Slots { slots: vec![(0, VACANT); (2 * count).next_power_of_two()] }
    }

    /// Whether there is no room beside so many places.
    fn is_full(&self, taken: usize) -> bool {
        (taken + 1) * 2 > self.slots.len()
    }

    /// A place for a hash; there is room.
    pub(crate) fn settle(&mut self, hash: u32, place: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot].1 != VACANT {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = (hash, place);
    }

    /// The place for a hash that it is.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let &(known, place) = self.slots.get(slot)?;
            if place == VACANT {
                return None;
            }
            if known == hash && is_it(place) {
                return Some(place);
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// What a name in wire form and lower case is looked up by.
#[inline]
pub(crate) fn hash(name: &[u8]) -> u32 {
    FixedState::default().hash_one(name) as u32
}

/// No place.
const VACANT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use fulcrum_model::DnsName;

    use super::*;

    struct Numbered(DnsName, u32);

    impl Named for Numbered {
        fn name(&self) -> &[u8] {
            self.0.as_wire()
        }
    }

    #[test]
    fn names_are_found_however_many_there_are() {
        let name = |number: u32| format!("h{number}.example.com").parse::<DnsName>().expect("a name");
        let mut table = Table::with_capacity(0);
        assert!(table.find(name(0).as_wire()).is_none());
        for number in 0..3000 {
            let made = || Numbered(name(number), number);
            assert_eq!(table.place_or_insert_with(name(number).as_wire(), made), number);
            let again = || unreachable!("it is there");
            assert_eq!(table.place_or_insert_with(name(number).as_wire(), again), number);
        }
        for number in 0..3000 {
            assert_eq!(table.find(name(number).as_wire()).map(|found| found.1), Some(number));
        }
        assert!((3000..6000).all(|number| table.place(name(number).as_wire()).is_none()));
        assert!(table.slots.slots.len() >= 2 * table.things().len());
        table.put(Numbered(name(7), 70));
        table.put(Numbered(name(3000), 3000));
        assert_eq!((table.things()[7].1, table.things()[3000].1, table.things().len()), (70, 3000, 3001));
    }
}
