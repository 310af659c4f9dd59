//! Smooth weighted turns.
//!
//! Members of the same weight form a class. A class of `m` members of weight `w` has `m × w` turns in a cycle, evenly
//! spread (turn `t` is due at `(2t + 1) / 2mw` of the cycle), and its members take them in rotation. The earliest turn
//! due is next: a heavy member's turns never bunch together, light ones fall evenly between them, and a whole cycle
//! gives each member exactly its weight. Equal weights are one class, which is a rotating counter; otherwise a turn costs
//! the logarithm of the number of *different* weights.
//!
//! A member that may not be picked loses its turn. So it comes back to its own share without a burst, and the others keep
//! their order among themselves. A member with a part of its share loses the rest of its turns by the dice.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::{Rng, Share, scale};

/// The immutable part: who belongs to which class.
#[derive(Debug)]
pub(crate) struct Turns {
    classes: Box<[Class]>,
    /// Member indices, class by class.
    members: Box<[u32]>,
}

/// The moving part, per worker.
#[derive(Clone, Debug)]
pub(crate) struct TurnState {
    /// The next turn of each class, the earliest on top. Empty for a single class.
    due: BinaryHeap<Turn>,
    /// Where in its rotation each class is.
    cursors: Box<[u32]>,
}

/// A range of `members` with the same weight.
#[derive(Debug)]
struct Class {
    start: u32,
    len: u32,
    /// Turns in a cycle, members × weight: at most 2^32 × 2^16.
    rate: u64,
}

/// One turn of a class: number `turn` of `rate` in cycle `cycle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    cycle: u64,
    turn: u64,
    rate: u64,
    class: u32,
}

impl Turns {
    /// Classes in order of falling weight; within a class the order of `weights`.
    pub(crate) fn new(weights: &[u16]) -> Self {
        let mut members: Vec<u32> = (0..weights.len() as u32).collect();
        members.sort_by_key(|&index| std::cmp::Reverse(weights[index as usize]));
        let mut start = 0;
        let classes = members
            .chunk_by(|&a, &b| weights[a as usize] == weights[b as usize])
            .map(|class| {
                let len = class.len() as u32;
                let rate = u64::from(len) * u64::from(weights[class[0] as usize]);
                start += len;
                Class { start: start - len, len, rate }
            })
            .collect();
        Self { classes, members: members.into() }
    }

    /// The beginning of a cycle.
    pub(crate) fn first(&self) -> TurnState {
        self.state_at(0, |_| 0)
    }

    /// Any place in a cycle.
    pub(crate) fn random(&self, rng: &mut Rng) -> TurnState {
        let phase = rng.next_u64();
        self.state_at(phase, |len| rng.below(len))
    }

    /// The member whose turn it is. There must be one.
    pub(crate) fn next(&self, state: &mut TurnState) -> usize {
        let class = match state.due.peek_mut() {
            None => 0,
            Some(mut earliest) => {
                let class = earliest.class;
                *earliest = earliest.later(1);
                class as usize
            }
        };
        let Class { start, len, .. } = self.classes[class];
        let cursor = state.cursors[class];
        state.cursors[class] = if cursor + 1 == len { 0 } else { cursor + 1 };
        self.members[(start + cursor) as usize] as usize
    }

    /// The next eligible member that accepts its turn, or one that did not when many have refused; `None` when none is
    /// eligible.
    pub(crate) fn next_admitted(
        &self,
        state: &mut TurnState,
        share: impl Fn(usize) -> Share,
        rng: &mut Rng,
    ) -> Option<usize> {
        let asked = Cell::new(0);
        let share = |index| {
            asked.set(asked.get() + 1);
            share(index)
        };
        loop {
            let (index, part) = self.next_eligible(state, share)?;
            if asked.get() > self.members.len().max(QUESTIONS) || part.is_admitted(rng) {
                return Some(index);
            }
        }
    }

    /// The next eligible member and its share; `None` when there is none.
    fn next_eligible(&self, state: &mut TurnState, share: impl Fn(usize) -> Share) -> Option<(usize, Share)> {
        // A single class has seen everybody after one rotation. Among several, a heavy member that is out could take
        // thousands of turns in a row: those are counted, not taken.
        let patience = if state.due.is_empty() { self.members.len() } else { PATIENCE };
        for _ in 0..patience {
            let index = self.next(state);
            let part = share(index);
            if part.is_some() {
                return Some((index, part));
            }
        }
        if state.due.is_empty() { None } else { self.jump(state, share) }
    }

    /// What taking turn after turn would find, in time linear in the number of members.
    fn jump(&self, state: &mut TurnState, share: impl Fn(usize) -> Share) -> Option<(usize, Share)> {
        let (found, member) = state
            .due
            .iter()
            .filter_map(|due| {
                let cursor = state.cursors[due.class as usize];
                let class = &self.classes[due.class as usize];
                let (skipped, member) = (0..class.len).find_map(|step| {
                    let index = self.at(class, cursor, step);
                    let part = share(index);
                    part.is_some().then_some((step, (index, part)))
                })?;
                Some((due.later(u64::from(skipped)), member))
            })
            .max_by_key(|&(turn, _)| turn)?;
        let cursors = &mut state.cursors;
        state.due = state
            .due
            .drain()
            .map(|due| {
                let class = due.class as usize;
                let taken = due.turns_through(&found);
                let len = u64::from(self.classes[class].len);
                cursors[class] = ((u64::from(cursors[class]) + taken) % len) as u32;
                due.later(taken)
            })
            .collect();
        Some(member)
    }

    fn at(&self, class: &Class, cursor: u32, step: u32) -> usize {
        let place = (u64::from(cursor) + u64::from(step)) % u64::from(class.len);
        self.members[class.start as usize + place as usize] as usize
    }

    /// `phase` is a fraction of a cycle in units of 2⁻⁶⁴; turns due before it are behind us.
    fn state_at(&self, phase: u64, mut cursor: impl FnMut(u32) -> u32) -> TurnState {
        let cursors = self.classes.iter().map(|class| cursor(class.len)).collect();
        let turn = |(class, &Class { rate, .. }): (usize, &Class)| {
            let half_turns = scale(phase, 2 * rate);
            Turn { cycle: 0, turn: 0, rate, class: class as u32 }.later(half_turns.div_ceil(2))
        };
        let due = match self.classes.len() {
            0 | 1 => BinaryHeap::new(),
            _ => self.classes.iter().enumerate().map(turn).collect(),
        };
        TurnState { due, cursors }
    }
}

impl Turn {
    /// The class's turn after `count` more.
    fn later(mut self, count: u64) -> Self {
        self.turn += count;
        if self.turn >= self.rate {
            self.cycle += self.turn / self.rate;
            self.turn %= self.rate;
        }
        self
    }

    /// How many turns of this class, from this one on, are not after `last`.
    fn turns_through(&self, last: &Turn) -> u64 {
        if self.is_after(last) {
            return 0;
        }
        // Turns t of a cycle with (2t + 1) / rate below (or, before `last` in a tie, up to) its (2t + 1) / rate:
        // t < (a - b) / 2b in these terms.
        let (a, b) = (last.numerator() * u128::from(self.rate), u128::from(last.rate));
        let in_last_cycle = match (a.checked_sub(b), self.class <= last.class) {
            (None, _) => 0,
            (Some(above), true) => above / (2 * b) + 1,
            (Some(above), false) => above.div_ceil(2 * b),
        };
        let cycles = u128::from(last.cycle - self.cycle) * u128::from(self.rate);
        (cycles + in_last_cycle - u128::from(self.turn)) as u64
    }

    fn is_after(&self, other: &Turn) -> bool {
        self < other
    }

    fn numerator(&self) -> u128 {
        2 * u128::from(self.turn) + 1
    }
}

/// The earlier turn is the greater (`BinaryHeap` gives the greatest). In a tie the heavier class comes first.
impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        let place = |turn: &Turn, rate| turn.numerator() * u128::from(rate);
        (other.cycle.cmp(&self.cycle))
            .then_with(|| place(other, self.rate).cmp(&place(self, other.rate)))
            .then_with(|| other.class.cmp(&self.class))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Lost turns in a row before they are counted instead of taken.
const PATIENCE: usize = 32;

/// Questions, or one per member if that is more, before a turn may not be refused any more. A few members at a tenth of
/// their share refuse so many turns as good as never; among thousands that are out they do, and there it bounds the cost.
const QUESTIONS: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, prop_assume, proptest};

    use super::*;

    fn take(weights: &[u16], seed: Option<u64>, count: usize) -> Vec<usize> {
        let turns = Turns::new(weights);
        let mut state = match seed {
            None => turns.first(),
            Some(seed) => turns.random(&mut Rng::from_seed(seed)),
        };
        (0..count).map(|_| turns.next(&mut state)).collect()
    }

    fn among(eligible: impl Fn(usize) -> bool) -> impl Fn(usize) -> Share {
        move |index| if eligible(index) { Share::FULL } else { Share::NONE }
    }

    /// The next member for which `eligible` holds.
    fn next_among(turns: &Turns, state: &mut TurnState, eligible: impl Fn(usize) -> bool) -> Option<usize> {
        turns.next_admitted(state, among(eligible), &mut Rng::from_seed(0))
    }

    #[test]
    fn order_of_turns() {
        let check = |weights: &[u16], expected: &str| {
            let order: String = take(weights, None, expected.len())
                .into_iter()
                .map(|index| (b'a' + index as u8) as char)
                .collect();
            assert_eq!(order, expected, "{weights:?}");
        };
        check(&[7], "aaa");
        check(&[1, 1, 1], "abcabc");
        check(&[9, 9], "abab");
        check(&[2, 1], "abaaba");
        check(&[1, 2], "babbab");
        check(&[5, 1, 1], "abaaacaabaaaca");
        check(&[1, 2, 3], "cbcabccbcabc");
        check(&[1, 3, 3], "bcbacbcbcbacbc");
    }

    #[test]
    fn workers_start_apart() {
        let starts = |weights: &[u16]| {
            let mut starts: Vec<_> = (0..200).map(|seed| take(weights, Some(seed), 1)[0]).collect();
            starts.sort_unstable();
            starts.dedup();
            starts.len()
        };
        assert_eq!(starts(&[1; 10]), 10);
        assert_eq!(starts(&[1, 1, 1, 2, 2, 2, 4, 4]), 8);
    }

    proptest! {
        #[test]
        fn a_cycle_gives_each_its_weight(weights in prop::collection::vec(1u16..40, 1..20), seed: u64) {
            let cycle: usize = weights.iter().map(|&weight| usize::from(weight)).sum();
            let order = take(&weights, Some(seed), 3 * cycle);
            for start in [0, 1, cycle / 2, cycle, 2 * cycle] {
                let mut counts = vec![0u16; weights.len()];
                order[start..start + cycle].iter().for_each(|&index| counts[index] += 1);
                prop_assert_eq!(&counts, &weights);
            }
        }

        #[test]
        fn no_member_gets_ahead_or_behind(weights in prop::collection::vec(1u16..40, 1..20), seed: u64) {
            let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
            let slack = 1.0 + Turns::new(&weights).classes.len() as f64;
            let mut counts = vec![0.0; weights.len()];
            for (picks, index) in take(&weights, Some(seed), 300).into_iter().enumerate() {
                counts[index] += 1.0;
                for (count, &weight) in counts.iter().zip(&weights) {
                    let share = (picks + 1) as f64 * f64::from(weight) / total;
                    prop_assert!((share - count).abs() <= slack, "{count} picks, {share} due");
                }
            }
        }

        #[test]
        fn light_members_never_follow_each_other(lights in 1usize..12, weight in 1u16..4, extra in 0u16..9, seed: u64) {
            prop_assume!(lights as u16 * weight + extra > weight);
            let mut weights = vec![weight; lights];
            weights.push(lights as u16 * weight + extra);
            let order = take(&weights, Some(seed), 400);
            prop_assert!(order.windows(2).all(|pair| pair.contains(&lights)), "{:?}", order);
        }

        #[test]
        fn lost_turns_may_be_counted_or_taken(
            members in prop::collection::vec((prop::sample::select(vec![1u16, 2, 3, 7, 100, 5000]), prop::bool::weighted(0.4)), 2..12),
            seed: u64,
        ) {
            prop_assume!(members.iter().any(|member| member.1));
            let weights: Vec<u16> = members.iter().map(|member| member.0).collect();
            let eligible = |index: usize| members[index].1;
            let turns = Turns::new(&weights);
            prop_assume!(turns.classes.len() > 1);
            let mut counted = turns.random(&mut Rng::from_seed(seed));
            let mut taken = counted.clone();
            for _ in 0..60 {
                let expected = std::iter::repeat_with(|| turns.next(&mut taken)).find(|&index| eligible(index));
                let jumped = turns.jump(&mut counted, among(eligible));
                prop_assert_eq!(jumped.map(|(index, _)| index), expected);
            }
            let sorted = |state: &TurnState| state.clone().due.into_sorted_vec();
            prop_assert_eq!(sorted(&counted), sorted(&taken));
            prop_assert_eq!(counted.cursors, taken.cursors);
        }

        #[test]
        fn others_keep_their_order(weights in prop::collection::vec(1u16..9, 2..9), out in 0usize..8, seed: u64) {
            let out = out % weights.len();
            let turns = Turns::new(&weights);
            let mut state = turns.random(&mut Rng::from_seed(seed));
            let mut all = state.clone();
            let without: Vec<_> = (0..100).map(|_| next_among(&turns, &mut state, |index| index != out)).collect();
            let filtered: Vec<_> =
                std::iter::repeat_with(|| turns.next(&mut all)).filter(|&index| index != out).take(100).map(Some).collect();
            prop_assert_eq!(without, filtered);
        }
    }

    #[test]
    fn a_heavy_member_that_is_out_costs_little() {
        let turns = Turns::new(&[u16::MAX, 1, 1]);
        let mut state = turns.first();
        for _ in 0..1_000 {
            let asked = Cell::new(0);
            let found = next_among(&turns, &mut state, |index| {
                asked.set(asked.get() + 1);
                index == 2
            });
            assert_eq!(found, Some(2));
            assert!(asked.get() <= PATIENCE + 3, "{} questions", asked.get());
        }
        assert_eq!(next_among(&turns, &mut state, |_| false), None);
    }

    #[test]
    fn a_member_that_was_out_does_not_catch_up() {
        let weights = [4, 2, 1, 1];
        let turns = Turns::new(&weights);
        let mut state = turns.first();
        for _ in 0..800 {
            next_among(&turns, &mut state, |index| index != 0).expect("three are eligible");
        }
        let mut counts = [0; 4];
        (0..80).for_each(|_| counts[turns.next(&mut state)] += 1);
        assert_eq!(counts, [40, 20, 10, 10]);
    }

    #[test]
    fn a_heavy_member_with_a_part_of_its_share_leaves_light_ones_theirs() {
        // The heaviest is out, so that lost turns are counted, not taken.
        let shares = [Share::NONE, Share::of(0.1), Share::FULL, Share::FULL];
        let turns = Turns::new(&[u16::MAX, 1_000, 1, 1]);
        let mut rng = Rng::from_seed(6);
        let mut state = turns.random(&mut rng);
        let mut counts = [0; 4];
        for _ in 0..20_000 {
            let picked = turns.next_admitted(&mut state, |index| shares[index], &mut rng);
            counts[picked.expect("three are eligible")] += 1;
        }
        // The light ones have 1 turn each to 100 that the heavy one accepts.
        assert_eq!(counts[0], 0);
        assert!(counts[2..].iter().all(|count| (160..230).contains(count)), "{counts:?}");
    }

    #[test]
    fn one_that_refuses_among_many_that_are_out_costs_two_rounds() {
        const COUNT: usize = 20_000;
        let check = |weights: &[u16]| {
            let turns = Turns::new(weights);
            let mut rng = Rng::from_seed(7);
            let mut state = turns.random(&mut rng);
            for _ in 0..20 {
                let asked = Cell::new(0);
                let share = |index| {
                    asked.set(asked.get() + 1);
                    if index == 77 { Share::of(0.0) } else { Share::NONE }
                };
                assert_eq!(turns.next_admitted(&mut state, share, &mut rng), Some(77));
                assert!(asked.get() <= 2 * COUNT + PATIENCE, "{} questions", asked.get());
            }
        };
        check(&[1; COUNT]);
        check(&(0..COUNT).map(|number| 1 + (number % 7) as u16).collect::<Vec<_>>());
    }

    #[test]
    fn extreme_weights_do_not_overflow() {
        let mut weights = vec![u16::MAX; 50_000];
        weights.extend([1; 50_000]);
        let turns = Turns::new(&weights);
        let mut state = turns.random(&mut Rng::from_seed(3));
        assert!(next_among(&turns, &mut state, |index| index == 99_999).is_some());
        assert!(next_among(&turns, &mut state, |index| index == 49_999).is_some());
    }
}
