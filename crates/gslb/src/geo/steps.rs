//! A value for every address of a family: a new one begins at each step.

use super::width::{Width, largest_prefix, last_of, size_less_one};

/// A step function over all addresses of a family. The first step is at zero; neighbours differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Steps<W> {
    starts: Vec<W>,
    values: Vec<u32>,
}

/// A prefix and what holds in it, where no longer one says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Valued<W> {
    pub(super) first: W,
    pub(super) length: u8,
    pub(super) value: u32,
}

impl<W: Width> Steps<W> {
    /// One value for all.
    pub(super) fn flat(value: u32) -> Steps<W> {
        Steps { starts: vec![W::from_bits(0)], values: vec![value] }
    }

    /// The longest prefix around an address decides; one of two equal prefixes is kept.
    pub(super) fn from_prefixes(mut prefixes: Vec<Valued<W>>, default: u32) -> Steps<W> {
        prefixes.sort_unstable();
        let mut steps = Steps::flat(default);
        // The prefixes around the present one, each with its last address.
        let mut around: Vec<(u128, u32)> = Vec::new();
        for prefix in prefixes {
            steps.leave(&mut around, prefix.first.bits(), default);
            around.push((last_of(prefix.first.bits(), prefix.length, W::LENGTH), prefix.value));
            steps.set(prefix.first, prefix.value);
        }
        steps.leave(&mut around, u128::MAX, default);
        steps
    }

    /// Ends the prefixes that lie before an address.
    fn leave(&mut self, around: &mut Vec<(u128, u32)>, address: u128, default: u32) {
        while let Some(&(last, _)) = around.last()
            && last < address
        {
            around.pop();
            if last != size_less_one(W::LENGTH) {
                self.set(W::from_bits(last + 1), around.last().map_or(default, |&(_, value)| value));
            }
        }
    }

    /// From this address on, a value holds. Addresses come in ascending order; the later of two at one place stands.
    pub(super) fn set(&mut self, start: W, value: u32) {
        debug_assert!(self.starts.last().is_none_or(|&last| last <= start), "steps ascend");
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// What holds at an address, and the length of the largest prefix in which it holds throughout.
    pub(super) fn at(&self, address: W) -> (u32, u8) {
        let index = self.starts.partition_point(|&start| start <= address) - 1;
        let (first, last, value) = self.step(index);
        (value, largest_prefix(address, first, last))
    }

    fn step(&self, index: usize) -> (W, W, u32) {
        let next = self.starts.get(index + 1);
        let last = next.map_or(size_less_one(W::LENGTH), |next| next.bits() - 1);
        (self.starts[index], W::from_bits(last), self.values[index])
    }

    /// First and last address and value of every step.
    pub(super) fn iter(&self) -> impl Iterator<Item = (W, W, u32)> {
        (0..self.len()).map(|index| self.step(index))
    }

    /// The same steps with other values.
    pub(super) fn map(&self, mut value: impl FnMut(u32) -> u32) -> Steps<W> {
        let mut steps = Steps { starts: Vec::new(), values: Vec::new() };
        for (&start, &old) in self.starts.iter().zip(&self.values) {
            steps.set(start, value(old));
        }
        steps
    }

    /// One value out of both at every address.
    pub(super) fn join(&self, other: &Steps<W>, mut value: impl FnMut(u32, u32) -> u32) -> Steps<W> {
        let mut steps = Steps { starts: Vec::new(), values: Vec::new() };
        let (mut here, mut there) = (0, 0);
        let mut start = W::from_bits(0);
        loop {
            steps.set(start, value(self.values[here], other.values[there]));
            let next = match (self.starts.get(here + 1), other.starts.get(there + 1)) {
                (Some(&one), Some(&two)) => one.min(two),
                (Some(&one), None) | (None, Some(&one)) => one,
                (None, None) => return steps,
            };
            here += usize::from(self.starts.get(here + 1) == Some(&next));
            there += usize::from(other.starts.get(there + 1) == Some(&next));
            start = next;
        }
    }
}
