//! The classes of one family of addresses, made for looking up.
//!
//! The space is cut into leaves: the largest prefixes that are of one class throughout. There is exactly one way to do
//! so, and leaves do not overlap. A prefix with several leaves in it is *mixed*; its middle is the start of a leaf, and
//! no other mixed prefix has that middle, so that what most of a mixed prefix is stands beside that leaf.

use super::steps::Steps;
use super::width::{Width, size_less_one};

/// The leaves of a family in ascending order.
#[derive(Debug)]
pub(super) struct Leaves<W> {
    /// For each part of the crowded space, the leaf of its first address; then the last leaf.
    root: Box<[u32]>,
    shift: u32,
    lowest: u32,
    highest: u32,
    starts: Box<[W]>,
    values: Box<[Leaf]>,
}

#[derive(Clone, Copy, Debug)]
struct Leaf {
    class: u16,
    /// The class of most addresses of the mixed prefix whose middle is the start of this leaf.
    majority: u16,
}

/// How many addresses of each class there are, in ascending order of classes.
pub(super) type Counts = Vec<(u16, u128)>;

/// There would be more leaves than are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyLeaves;

impl<W: Width> Leaves<W> {
    /// Compiles a class for every address. What `contents` has something to say about counts as that, not as itself.
    pub(super) fn compile(
        steps: &Steps<W>,
        contents: impl Fn(u16) -> Option<Counts>,
    ) -> Result<Leaves<W>, TooManyLeaves> {
        let (mut starts, mut values) = (Vec::new(), Vec::new());
        let mut open: Vec<Mixed> = Vec::new();
        for (first, last, value) in steps.iter() {
            for (start, length) in blocks(first, last) {
                if starts.len() == MAX_LEAVES {
                    return Err(TooManyLeaves);
                }
                let class = value as u16;
                let counts = contents(class).unwrap_or_else(|| vec![(class, size(W::LENGTH - length))]);
                open.push(Mixed { length, leaf: starts.len(), counts });
                starts.push(start);
                values.push(Leaf { class, majority: class });
                close(&mut open, &mut values, &starts);
            }
        }
        debug_assert_eq!(open.len(), 1, "the leaves cover the space");
        Ok(Leaves::with_root(starts, values))
    }

    fn with_root(starts: Vec<W>, values: Vec<Leaf>) -> Leaves<W> {
        let (crowd, crowd_length) = W::CROWD;
        let bits = (starts.len().ilog2() + 1).clamp(1, MAX_ROOT_BITS);
        let shift = u32::from(W::LENGTH - crowd_length) - bits;
        let lowest = crowd.leading(shift);
        // Beyond the crowd, if there is anything, is one more part.
        let highest = lowest + (1 << bits) - u32::from(crowd_length == 0);
        let first_leaf = |part: u32| {
            let first = W::from_bits(u128::from(part) << shift);
            starts.partition_point(|&start| start <= first) as u32 - 1
        };
        let later = (lowest + 1..=highest).map(first_leaf);
        let root = std::iter::once(0).chain(later).chain([starts.len() as u32 - 1]).collect();
        Leaves { root, shift, lowest, highest, starts: starts.into(), values: values.into() }
    }

    /// The leaf around an address: its class and its length.
    #[inline]
    pub(super) fn leaf(&self, address: W) -> (u16, u8) {
        let index = self.index(address);
        let next = self.starts.get(index + 1).copied().unwrap_or(W::from_bits(0));
        (self.values[index].class, self.starts[index].length_until(next))
    }

    /// The class that most addresses of a mixed prefix are of, the lowest one if there are several.
    #[inline]
    pub(super) fn majority(&self, address: W, length: u8) -> u16 {
        let middle = address.masked(length).middle(length);
        let index = self.index(middle);
        debug_assert_eq!(self.starts[index], middle, "the prefix is mixed");
        self.values[index].majority
    }

    #[inline]
    fn index(&self, address: W) -> usize {
        let part = address.leading(self.shift).clamp(self.lowest, self.highest) - self.lowest;
        let (from, to) = (self.root[part as usize] as usize, self.root[part as usize + 1] as usize);
        from + self.starts[from + 1..=to].partition_point(|&start| start <= address)
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }
}

/// A prefix whose sibling has not come yet.
struct Mixed {
    length: u8,
    /// Its first leaf.
    leaf: usize,
    counts: Counts,
}

/// Joins the last two prefixes as long as they are the halves of one.
fn close<W: Width>(open: &mut Vec<Mixed>, values: &mut [Leaf], starts: &[W]) {
    while let [.., left, right] = open.as_slice()
        && left.length == right.length
        && starts[left.leaf] == starts[left.leaf].masked(left.length - 1)
    {
        let counts = add(&left.counts, &right.counts);
        let most = counts.iter().copied().reduce(|best, other| if other.1 > best.1 { other } else { best });
        values[right.leaf].majority = most.map_or(0, |(class, _)| class);
        let both = Mixed { length: left.length - 1, leaf: left.leaf, counts };
        open.truncate(open.len() - 2);
        open.push(both);
    }
}

fn add(one: &[(u16, u128)], two: &[(u16, u128)]) -> Counts {
    let mut sum = Vec::with_capacity(one.len() + two.len());
    let (mut one, mut two) = (one.iter().copied().peekable(), two.iter().copied().peekable());
    loop {
        match (one.peek().copied(), two.peek().copied()) {
            // All addresses of IPv6 together are one too many for the number, but then nobody asks how many.
            (Some(here), Some(there)) if here.0 == there.0 => {
                sum.push((here.0, here.1.saturating_add(there.1)));
                one.next();
                two.next();
            }
            (Some(here), there) if there.is_none_or(|there| here.0 < there.0) => sum.extend(one.next()),
            (_, Some(_)) => sum.extend(two.next()),
            _ => return sum,
        }
    }
}

fn size(bits: u8) -> u128 {
    size_less_one(bits).saturating_add(1)
}

/// The largest prefixes that `first..=last` is made of, in ascending order.
fn blocks<W: Width>(first: W, last: W) -> impl Iterator<Item = (W, u8)> {
    let mut next = Some(first.bits());
    std::iter::from_fn(move || {
        let start = next?;
        let aligned = start.trailing_zeros().min(u32::from(W::LENGTH)) as u8;
        let mut bits = aligned;
        while size_less_one(bits) > last.bits() - start {
            bits -= 1;
        }
        let end = start + size_less_one(bits);
        next = (end < last.bits()).then(|| end + 1);
        Some((W::from_bits(start), W::LENGTH - bits))
    })
}

/// 160 MB of IPv6. A database of all the countries has a few hundred thousand.
const MAX_LEAVES: usize = 1 << 23;

/// A root of 1 MiB at most: what is left to search in a part is a handful.
const MAX_ROOT_BITS: u32 = 18;
