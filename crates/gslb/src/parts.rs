//! How often each target answered, and to which kind of clients.

use std::sync::atomic::{AtomicU64, Ordering};

use fulcrum_config::gslb::TargetAnswer;

use crate::region::Region;

/// The counts of a name. Whoever answers adds one to one cell.
#[derive(Debug)]
pub struct Parts {
    /// By kind of clients, then by target; the last of each kind is what is no target of the name.
    cells: Box<[AtomicU64]>,
    targets: Box<[(Option<Region>, TargetAnswer)]>,
    /// How many kinds are told apart.
    kinds: usize,
    /// How many there are.
    all_kinds: usize,
}

impl Default for Parts {
    fn default() -> Self {
        Parts::new(Box::default(), 1)
    }
}

impl Parts {
    /// For the targets of a name with their regions, and so many kinds of clients: those are told apart where that does not
    /// take more than 4096 cells.
    pub fn new(targets: Box<[(Option<Region>, TargetAnswer)]>, all_kinds: usize) -> Self {
        let width = targets.len() + 1;
        let kinds = if all_kinds.max(1) * width <= MOST_CELLS { all_kinds.max(1) } else { 1 };
        let cells = (0..kinds * width).map(|_| AtomicU64::new(0)).collect();
        Parts { cells, targets, kinds, all_kinds }
    }

    /// Whether what has been counted here means the same as there.
    pub(crate) fn is_like(&self, other: &Parts) -> bool {
        self.targets == other.targets && self.all_kinds == other.all_kinds
    }

    /// The number of the cell of a target for a kind of clients. A region is known but where several answer together.
    pub(crate) fn cell(&self, kind: usize, region: Option<Region>, answer: &TargetAnswer) -> u16 {
        let kind = if kind < self.kinds { kind } else { 0 };
        let is_it = |(of, target): &(Option<Region>, TargetAnswer)| {
            target == answer && (region.is_none() || *of == region)
        };
        let target = self.targets.iter().position(is_it).unwrap_or(self.targets.len());
        // A policy has at most 64 times 64 targets.
        (kind * self.width() + target) as u16
    }

    /// The region that is counted in a cell.
    pub(crate) fn region_of_cell(&self, cell: u16) -> Option<Region> {
        self.targets.get(usize::from(cell) % self.width()).and_then(|(region, _)| *region)
    }

    /// The region of a target.
    pub(crate) fn region_of(&self, answer: &TargetAnswer) -> Option<Region> {
        self.targets.iter().find(|(_, target)| target == answer).and_then(|(region, _)| *region)
    }

    pub(crate) fn count(&self, cell: u16) {
        let last = self.cells.len() - 1;
        self.cells[usize::from(cell).min(last)].fetch_add(1, Ordering::Relaxed);
    }

    /// Answers by target, in the order of the policy, and those that were none of them.
    pub fn targets(&self) -> impl Iterator<Item = (Option<&(Option<Region>, TargetAnswer)>, u64)> {
        let sum = |place: usize| (0..self.kinds).map(|kind| self.read(kind * self.width() + place)).sum();
        (0..self.width()).map(move |place| (self.targets.get(place), sum(place)))
    }

    /// Answers that began with a target.
    pub(crate) fn of(&self, region: Option<Region>, answer: &TargetAnswer) -> u64 {
        let place = usize::from(self.cell(0, region, answer));
        (0..self.kinds).map(|kind| self.read(kind * self.width() + place)).sum()
    }

    /// Answers by region, and those of no region in particular; one region perhaps several times.
    pub fn regions(&self) -> impl Iterator<Item = (Option<Region>, u64)> {
        self.targets()
            .map(|(target, count)| (target.and_then(|target| target.0), count))
            .filter(|(_, count)| *count > 0)
    }

    /// Answers by kind of clients; nothing where these are not told apart.
    pub fn kinds(&self) -> Option<Vec<u64>> {
        let sum = |kind: usize| (0..self.width()).map(|place| self.read(kind * self.width() + place)).sum();
        (self.kinds == self.all_kinds.max(1)).then(|| (0..self.kinds).map(sum).collect())
    }

    /// All answers.
    pub fn total(&self) -> u64 {
        (0..self.cells.len()).map(|cell| self.read(cell)).sum()
    }

    fn read(&self, cell: usize) -> u64 {
        self.cells[cell].load(Ordering::Relaxed)
    }

    fn width(&self) -> usize {
        self.targets.len() + 1
    }
}

/// 32 KiB a name at most; a usual one has a dozen.
const MOST_CELLS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> TargetAnswer {
        TargetAnswer::Address(text.parse().expect("an address"))
    }

    #[test]
    fn answers_are_counted_by_target_and_by_kind() {
        let (eu, us) = (Some(Region(0)), Some(Region(1)));
        let targets = [(eu, address("192.0.2.1")), (us, address("192.0.2.1")), (us, address("192.0.2.2"))];
        let parts = Parts::new(targets.clone().into(), 2);
        let count = |kind, region, text: &str| parts.count(parts.cell(kind, region, &address(text)));
        count(0, eu, "192.0.2.1");
        count(1, us, "192.0.2.1");
        count(1, us, "192.0.2.2");
        count(1, None, "192.0.2.2");
        count(1, None, "192.0.2.99");
        let counts: Vec<u64> = parts.targets().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 2, 1]);
        assert_eq!((parts.kinds(), parts.total()), (Some(vec![1, 4]), 5));
        let regions: Vec<_> = parts.regions().collect();
        assert_eq!(regions, [(eu, 1), (us, 1), (us, 2), (None, 1)]);
        assert!(parts.is_like(&Parts::new(targets.clone().into(), 2)));
        assert!(!parts.is_like(&Parts::new(targets[1..].into(), 2)));
        assert!(!parts.is_like(&Parts::new(targets.into(), 3)));
    }

    #[test]
    fn too_many_kinds_are_counted_as_one() {
        let parts = Parts::new(Box::default(), 5000);
        parts.count(parts.cell(4999, None, &address("192.0.2.1")));
        parts.count(u16::MAX);
        assert_eq!((parts.kinds(), parts.total()), (None, 2));
    }
}
