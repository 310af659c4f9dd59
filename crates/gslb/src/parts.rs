//! How often each target answered, and to which kind of clients.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use fulcrum_config::gslb::TargetAnswer;

use crate::region::Region;

/// The counts of a name. Whoever answers adds one to one cell of its own row: rows share no cache lines, for a name that many
/// ask for would otherwise be passed to and fro between the workers.
#[derive(Debug)]
pub struct Parts {
    /// By row, then by kind of clients, then by target; the last of each kind is what is no target of the name.
    lines: Box<[CachePadded<[AtomicU64; LINE]>]>,
    /// How many there are: one for all, or one for each worker.
    rows: usize,
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
        Parts { lines: lines((kinds * width).div_ceil(LINE)), rows: 1, targets, kinds, all_kinds }
    }

    /// The same with so many rows, one for each who answers, where that does not take more than 4096 cells.
    #[must_use]
    pub(crate) fn with_rows(self, rows: usize) -> Self {
        if rows <= 1 || rows * self.lines.len() * LINE > MOST_CELLS {
            return self;
        }
        Parts { lines: lines(rows * self.lines.len()), rows, ..self }
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

    /// Counts an answer of a worker.
    pub(crate) fn count(&self, worker: usize, cell: u16) {
        let last = self.kinds * self.width() - 1;
        self.at(worker % self.rows, usize::from(cell).min(last)).fetch_add(1, Ordering::Relaxed);
    }

    fn at(&self, row: usize, cell: usize) -> &AtomicU64 {
        let of_row = self.lines.len() / self.rows;
        &self.lines[row * of_row + cell / LINE][cell % LINE]
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
        (0..self.kinds * self.width()).map(|cell| self.read(cell)).sum()
    }

    fn read(&self, cell: usize) -> u64 {
        (0..self.rows).map(|row| self.at(row, cell).load(Ordering::Relaxed)).sum()
    }

    fn width(&self) -> usize {
        self.targets.len() + 1
    }
}

fn lines(count: usize) -> Box<[CachePadded<[AtomicU64; LINE]>]> {
    (0..count).map(|_| CachePadded::default()).collect()
}

/// 32 KiB a name at most; a usual one has a dozen.
const MOST_CELLS: usize = 4096;

/// Cells that stand together: what a processor fetches at once.
const LINE: usize = 16;

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
        let count = |kind, region, text: &str| parts.count(0, parts.cell(kind, region, &address(text)));
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
    fn each_worker_counts_in_lines_of_its_own() {
        let targets: Box<[_]> = (0..20).map(|last| (None, address(&format!("192.0.2.{last}")))).collect();
        let parts = Parts::new(targets.clone(), 2).with_rows(3);
        // The fourth shares with the first.
        for (worker, times) in [(0, 1), (1, 10), (2, 100), (3, 1000)] {
            (0..times).for_each(|_| parts.count(worker, 41));
        }
        assert_eq!((parts.total(), parts.kinds()), (1111, Some(vec![0, 1111])));
        let line = |row| std::ptr::from_ref(parts.at(row, 41)).addr() / 64;
        assert_eq!([0, 1, 2].map(|row| parts.at(row, 41).load(Ordering::Relaxed)), [1001, 10, 100]);
        assert!(line(0) != line(1) && line(1) != line(2));
        let last_of_first = std::ptr::from_ref(parts.at(0, 41)).addr() / 64;
        assert_ne!(last_of_first, std::ptr::from_ref(parts.at(1, 0)).addr() / 64);
        // Rows that would take too much are one, and a name is the same whoever counts.
        assert_eq!(Parts::new(targets.clone(), 2).with_rows(1000).rows, 1);
        assert!(parts.is_like(&Parts::new(targets, 2)));
    }

    #[test]
    fn too_many_kinds_are_counted_as_one() {
        let parts = Parts::new(Box::default(), 5000);
        parts.count(0, parts.cell(4999, None, &address("192.0.2.1")));
        parts.count(0, u16::MAX);
        assert_eq!((parts.kinds(), parts.total()), (None, 2));
    }
}
