//! Regions by their place in the configured order, and sets of them.

use std::fmt;

/// Regions that one configuration can have: a set of them is one word.
pub const MAX_REGIONS: usize = 64;

/// A region, by its place in the configured order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(u8);

impl Region {
    /// The region at this place in the configured order, of at most [`MAX_REGIONS`].
    pub fn new(index: usize) -> Option<Region> {
        u8::try_from(index).ok().filter(|_| index < MAX_REGIONS).map(Region)
    }

    /// Its place in the configured order.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Some regions of one configuration.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RegionSet(u64);

impl RegionSet {
    /// Whether a region is one of them.
    pub fn contains(self, region: Region) -> bool {
        self.0 & (1 << region.0) != 0
    }

    /// Adds a region; tells whether it was not one of them before.
    pub fn insert(&mut self, region: Region) -> bool {
        let before = self.0;
        self.0 |= 1 << region.0;
        self.0 != before
    }

    /// How many there are.
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
        let mut set = RegionSet::default();
        for region in regions {
            set.insert(region);
        }
        set
    }
}

impl fmt::Debug for RegionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Region::index)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_the_configured_order() {
        let region = |index| Region::new(index).expect("a region");
        let mut set: RegionSet = [63, 0, 5].into_iter().map(region).collect();
        assert_eq!(set.iter().map(Region::index).collect::<Vec<_>>(), [0, 5, 63]);
        assert!(!set.insert(region(5)) && set.insert(region(6)));
        assert_eq!((set.len(), set.is_empty(), set.contains(region(7))), (4, false, false));
        assert_eq!(Region::new(64), None);
    }
}
