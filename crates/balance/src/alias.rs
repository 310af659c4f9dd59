//! Weighted draws in constant time by Walker's alias method (Vose's construction), in integers.

use crate::{Rng, Share, scale};

/// A table of weights that can be drawn from.
#[derive(Debug)]
pub struct Alias {
    len: u32,
    /// Empty when all weights are equal: then every draw is uniform.
    columns: Box<[Column]>,
}

/// One of `len` equally likely columns: itself below the threshold, the other member above.
#[derive(Clone, Copy, Debug)]
struct Column {
    threshold: u32,
    other: u32,
}

impl Alias {
    /// At most `u32::MAX` weights, none of them 0.
    pub fn new(weights: &[u16]) -> Self {
        let len = weights.len() as u32;
        let equal = weights.windows(2).all(|pair| pair[0] == pair[1]);
        let columns = if equal { Box::default() } else { columns(weights) };
        Self { len, columns }
    }

    /// An index with probability in proportion to its weight. There must be one.
    pub fn draw(&self, rng: &mut Rng) -> usize {
        debug_assert!(self.len > 0);
        let word = rng.next_u64();
        // The high half chooses the column, the low half the side.
        let index = ((word >> 32) * u64::from(self.len)) >> 32;
        match self.columns.get(index as usize) {
            Some(column) if word as u32 >= column.threshold => column.other as usize,
            _ => index as usize,
        }
    }

    /// An index with probability in proportion to weight × share; `None` when every share is none. `weights` are those
    /// that the table was made of.
    pub(crate) fn draw_admitted(
        &self,
        weights: &[u16],
        share: impl Fn(usize) -> Share,
        rng: &mut Rng,
    ) -> Option<usize> {
        for _ in 0..DRAWS {
            let index = self.draw(rng);
            if share(index).is_admitted(rng) {
                return Some(index);
            }
        }
        draw_among(weights, share, rng)
    }
}

/// The same in linear time: for when redraws keep failing.
fn draw_among(weights: &[u16], share: impl Fn(usize) -> Share, rng: &mut Rng) -> Option<usize> {
    // Below 2^64: 2^32 members of less than 2^16 × 2^16 each.
    let mut total = 0u64;
    let mut chosen = None;
    for (index, &weight) in weights.iter().enumerate() {
        let part = u64::from(weight) * share(index).parts();
        total += part;
        // Each replaces those before it with probability part / total so far.
        if part > 0 && scale(rng.next_u64(), total) < part {
            chosen = Some(index);
        }
    }
    chosen
}

fn columns(weights: &[u16]) -> Box<[Column]> {
    let count = weights.len() as u64;
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    // Scaled so that a column holds `total`: under 2^16 × 2^32 each.
    let mut left: Vec<u64> = weights.iter().map(|&weight| u64::from(weight) * count).collect();
    let mut columns: Vec<Column> =
        (0..weights.len() as u32).map(|index| Column { threshold: u32::MAX, other: index }).collect();
    let (mut small, mut large): (Vec<u32>, Vec<u32>) =
        (0..weights.len() as u32).partition(|&index| left[index as usize] < total);
    while let (Some(&poor), Some(&rich)) = (small.last(), large.last()) {
        small.pop();
        let share = left[poor as usize];
        columns[poor as usize] =
            Column { threshold: ((u128::from(share) << 32) / u128::from(total)) as u32, other: rich };
        left[rich as usize] -= total - share;
        if left[rich as usize] < total {
            large.pop();
            small.push(rich);
        }
    }
    columns.into()
}

/// Draws before the members are looked through one by one.
const DRAWS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assume, proptest};

    use super::*;

    /// The exact probability of each index, in units of 1 / (columns × 2³²).
    fn shares(alias: &Alias) -> Vec<u128> {
        let mut shares = vec![0u128; alias.columns.len()];
        for (index, column) in alias.columns.iter().enumerate() {
            shares[index] += u128::from(column.threshold);
            shares[column.other as usize] += (1u128 << 32) - u128::from(column.threshold);
        }
        shares
    }

    proptest! {
        #[test]
        fn table_holds_the_weights(weights in prop::collection::vec(1u16.., 2..60)) {
            let alias = Alias::new(&weights);
            prop_assume!(!alias.columns.is_empty());
            let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
            let whole = (weights.len() as u128) << 32;
            for (share, &weight) in shares(&alias).into_iter().zip(&weights) {
                let exact = u128::from(weight) * whole / total;
                prop_assert!(share.abs_diff(exact) <= weights.len() as u128 + 1);
            }
        }
    }

    #[test]
    fn equal_weights_need_no_table() {
        let alias = Alias::new(&[3; 9]);
        assert!(alias.columns.is_empty());
        let mut rng = Rng::from_seed(1);
        let mut counts = [0u32; 9];
        (0..9_000).for_each(|_| counts[alias.draw(&mut rng)] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn draw_among_keeps_proportions() {
        let weights = [1, 9, 2, 6];
        let shares = [Share::FULL, Share::NONE, Share::FULL, Share::of(0.5)];
        let alias = Alias::new(&weights);
        let mut rng = Rng::from_seed(2);
        let (mut redrawn, mut walked) = ([0u32; 4], [0u32; 4]);
        for _ in 0..12_000 {
            let index = alias.draw_admitted(&weights, |index| shares[index], &mut rng);
            redrawn[index.expect("three are eligible")] += 1;
            let index = draw_among(&weights, |index| shares[index], &mut rng);
            walked[index.expect("three are eligible")] += 1;
        }
        for counts in [redrawn, walked] {
            assert_eq!(counts[1], 0);
            for (index, expected) in [(0, 2_000u32), (2, 4_000), (3, 6_000)] {
                assert!(counts[index].abs_diff(expected) < 250, "{counts:?}");
            }
        }
        assert_eq!(alias.draw_admitted(&weights, |_| Share::NONE, &mut rng), None);
    }
}
