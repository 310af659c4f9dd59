//! Regions by number: what a snapshot, a class and a verdict mean by "the third region" is one and the same.

use std::fmt;

/// The most regions of one configuration: a set of them is one machine word.
pub const MAX_REGIONS: usize = 64;

/// A region: its position in the configured order, 0 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(pub u8);

impl Region {
    /// The region at this place in the configured order, of at most [`MAX_REGIONS`].
    pub fn new(index: usize) -> Option<Region> {
        u8::try_from(index).ok().filter(|_| index < MAX_REGIONS).map(Region)
    }

    /// The position in the configured order, for looking into a list of all regions.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The regions of a configuration that has so many.
    pub fn first(count: usize) -> impl DoubleEndedIterator<Item = Region> + ExactSizeIterator {
        debug_assert!(count <= MAX_REGIONS);
        (0..count.min(MAX_REGIONS) as u8).map(Region)
    }
}

/// A set of regions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RegionSet(u64);

impl RegionSet {
    /// No region.
    pub const EMPTY: RegionSet = RegionSet(0);

    /// Whether the region is in the set.
    pub fn contains(self, region: Region) -> bool {
        self.0 & bit(region) != 0
    }

    /// Adds a region; tells whether it was not there before.
    pub fn insert(&mut self, region: Region) -> bool {
        let before = self.0;
        self.0 |= bit(region);
        self.0 != before
    }

    /// Takes a region out.
    pub fn remove(&mut self, region: Region) {
        self.0 &= !bit(region);
    }

    /// How many regions there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The regions in configured order.
    pub fn iter(self) -> impl Iterator<Item = Region> {
        (0..MAX_REGIONS as u8).map(Region).filter(move |&region| self.contains(region))
    }
}

impl FromIterator<Region> for RegionSet {
    fn from_iter<I: IntoIterator<Item = Region>>(regions: I) -> Self {
        let mut set = RegionSet::EMPTY;
        for region in regions {
            set.insert(region);
        }
        set
    }
}

impl fmt::Debug for RegionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|region| region.0)).finish()
    }
}

fn bit(region: Region) -> u64 {
    debug_assert!(region.index() < MAX_REGIONS);
    1 << (region.0 & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set: RegionSet = [Region(0), Region(63), Region(7)].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Region(0), Region(7), Region(63)]);
        assert_eq!((set.len(), set.is_empty(), set.contains(Region(8))), (3, false, false));
        set.remove(Region(63));
        assert_eq!(format!("{set:?}"), "{0, 7}");
        assert!(RegionSet::EMPTY.is_empty());
        assert_eq!(Region::first(64).collect::<RegionSet>().len(), 64);
    }
}
