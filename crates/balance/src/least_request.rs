//! The less loaded of two candidates, by requests in flight per weight.
//!
//! The first candidate is the next in smooth weighted turns, the second a weighted draw. The first is taken unless the
//! second is better by at least one request: unless serving one more would still leave the second at or below what the
//! first carries already. So idle and evenly loaded members are taken in turns, by weight, and any real difference in
//! load decides. (Comparing `load / weight` alone sends every second of a few requests to a member of a hundredth of the
//! weight; comparing `(load + 1) / weight` alone never sends an idle light member any.)
//!
//! A member with a part of its share becomes a candidate that much less often, by turn and by draw; among candidates it is
//! like the others.

use crate::alias::Alias;
use crate::round_robin::{TurnState, Turns};
use crate::{Members, Rng};

/// Weights, and how to draw by them.
#[derive(Debug)]
pub(crate) struct LeastRequest {
    weights: Box<[u16]>,
    alias: Alias,
}

impl LeastRequest {
    pub(crate) fn new(weights: &[u16]) -> Self {
        Self { weights: weights.into(), alias: Alias::new(weights) }
    }

    /// An eligible member; `None` when there is none.
    pub(crate) fn pick<M: Members>(
        &self,
        turns: &Turns,
        state: &mut TurnState,
        members: &M,
        rng: &mut Rng,
    ) -> Option<usize> {
        let first = turns.next_admitted(state, |index| members.share(index), rng)?;
        let Some(second) = self.second(first, members, rng) else { return Some(first) };
        let relieved = self.is_relieved_by(members.load(first), first, members.load(second), second);
        Some(if relieved { second } else { first })
    }

    /// An eligible member other than `first`, drawn by weight and share as long as draws succeed.
    fn second<M: Members>(&self, first: usize, members: &M, rng: &mut Rng) -> Option<usize> {
        let fits = |index, rng: &mut Rng| index != first && members.share(index).is_admitted(rng);
        if self.weights.len() == 2 {
            return Some(1 - first).filter(|&index| fits(index, rng));
        }
        for _ in 0..DRAWS {
            let index = self.alias.draw(rng);
            if fits(index, rng) {
                return Some(index);
            }
        }
        let count = self.weights.len();
        let start = rng.below(count as u32) as usize;
        (start..count).chain(0..start).find(|&index| fits(index, rng))
    }

    /// `load(first) / weight(first) >= (load(second) + 1) / weight(second)`
    fn is_relieved_by(&self, load: u32, first: usize, other_load: u32, second: usize) -> bool {
        let (weight, other_weight) = (u64::from(self.weights[first]), u64::from(self.weights[second]));
        u64::from(load) * other_weight >= (u64::from(other_load) + 1) * weight
    }
}

/// Draws before the members are looked through one by one.
const DRAWS: usize = 8;

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::Share;

    struct Fixture {
        loads: RefCell<Vec<u32>>,
        out: Vec<bool>,
        questions: Cell<usize>,
    }

    impl Fixture {
        fn new(loads: &[u32]) -> Self {
            Self {
                loads: RefCell::new(loads.to_vec()),
                out: vec![false; loads.len()],
                questions: Cell::new(0),
            }
        }
    }

    impl Members for Fixture {
        fn load(&self, index: usize) -> u32 {
            self.loads.borrow()[index]
        }

        fn share(&self, index: usize) -> Share {
            self.questions.set(self.questions.get() + 1);
            if self.out[index] { Share::NONE } else { Share::FULL }
        }
    }

    struct Subject {
        turns: Turns,
        table: LeastRequest,
        state: TurnState,
        rng: Rng,
    }

    impl Subject {
        fn new(weights: &[u16], seed: u64) -> Self {
            let turns = Turns::new(weights);
            let mut rng = Rng::from_seed(seed);
            let state = turns.random(&mut rng);
            Self { turns, table: LeastRequest::new(weights), state, rng }
        }

        fn pick(&mut self, members: &Fixture) -> Option<usize> {
            self.table.pick(&self.turns, &mut self.state, members, &mut self.rng)
        }
    }

    #[test]
    fn relief_means_a_whole_request_less() {
        let check = |weights: [u16; 2], loads: [u32; 2], expected| {
            let relieved = LeastRequest::new(&weights).is_relieved_by(loads[0], 0, loads[1], 1);
            assert_eq!(relieved, expected, "weights {weights:?}, loads {loads:?}");
        };
        check([1, 1], [0, 0], false);
        check([1, 1], [1, 0], true);
        check([1, 1], [0, 1], false);
        check([1, 1], [5, 5], false);
        check([2, 1], [1, 0], false);
        check([2, 1], [2, 0], true);
        check([1, 2], [1, 1], true);
        check([100, 1], [99, 0], false);
        check([100, 1], [100, 0], true);
        check([1, 100], [1, 0], true);
        check([u16::MAX, 1], [u32::MAX, u32::MAX], false);
        check([1, u16::MAX], [u32::MAX, u32::MAX], true);
    }

    #[test]
    fn idle_members_take_turns() {
        let mut subject = Subject::new(&[3, 1, 2], 1);
        let members = Fixture::new(&[0; 3]);
        let mut counts = [0; 3];
        (0..600).for_each(|_| counts[subject.pick(&members).expect("all are eligible")] += 1);
        assert_eq!(counts, [300, 100, 200]);
    }

    /// Keeps `concurrency` requests in flight, each ending after `concurrency` more on average, and returns the shares.
    fn closed_loop(weights: &[u16], concurrency: usize, requests: u32) -> Vec<f64> {
        let mut subject = Subject::new(weights, 5);
        let members = Fixture::new(&vec![0; weights.len()]);
        let mut flying = VecDeque::new();
        let mut counts = vec![0.0; weights.len()];
        for _ in 0..requests {
            if flying.len() == concurrency {
                let ends = subject.rng.below(concurrency as u32) as usize;
                let index: usize = flying.swap_remove_back(ends).expect("it is in range");
                members.loads.borrow_mut()[index] -= 1;
            }
            let index = subject.pick(&members).expect("all are eligible");
            members.loads.borrow_mut()[index] += 1;
            flying.push_back(index);
            counts[index] += 1.0;
        }
        counts.into_iter().map(|count| count / f64::from(requests)).collect()
    }

    #[test]
    fn shares_follow_weights_at_any_concurrency() {
        for weights in [&[1, 1][..], &[3, 1], &[10, 1], &[100, 1], &[1, 2, 3, 4], &[5, 5, 1, 1, 1, 1]] {
            let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
            for concurrency in [1, 2, 3, 8, 64, 500] {
                let shares = closed_loop(weights, concurrency, 20_000);
                for (share, &weight) in shares.iter().zip(weights) {
                    let due = f64::from(weight) / total;
                    assert!((share - due).abs() < 0.055, "{weights:?} at {concurrency}: {shares:?}");
                }
            }
        }
    }

    #[test]
    fn a_slow_member_is_given_less() {
        let mut subject = Subject::new(&[1; 5], 9);
        let members = Fixture::new(&[0, 0, 40, 0, 0]);
        let mut counts = [0; 5];
        (0..1_000).for_each(|_| counts[subject.pick(&members).expect("all are eligible")] += 1);
        assert_eq!(counts[2], 0, "{counts:?}");
    }

    proptest! {
        #[test]
        fn the_most_loaded_is_never_picked(loads in prop::collection::vec(0u32..1000, 2..20), seed: u64) {
            let most = loads.iter().copied().max().expect("there are two or more");
            let unique = loads.iter().filter(|&&load| load == most).count() == 1;
            let members = Fixture::new(&loads);
            let mut subject = Subject::new(&vec![1; loads.len()], seed);
            for _ in 0..50 {
                let index = subject.pick(&members).expect("all are eligible");
                prop_assert!(!unique || loads[index] < most);
            }
        }

        #[test]
        fn only_eligible_members_are_picked(
            members in prop::collection::vec((1u16.., 0u32..9, prop::bool::weighted(0.3)), 1..40), seed: u64,
        ) {
            let weights: Vec<u16> = members.iter().map(|member| member.0).collect();
            let mut fixture = Fixture::new(&members.iter().map(|member| member.1).collect::<Vec<_>>());
            fixture.out = members.iter().map(|member| !member.2).collect();
            let any = members.iter().any(|member| member.2);
            let mut subject = Subject::new(&weights, seed);
            for _ in 0..30 {
                let picked = subject.pick(&fixture);
                prop_assert_eq!(picked.is_some(), any);
                prop_assert!(picked.is_none_or(|index| members[index].2));
            }
        }
    }

    #[test]
    fn few_questions_among_very_many() {
        let mut subject = Subject::new(&vec![1; 50_000], 4);
        let members = Fixture::new(&vec![0; 50_000]);
        (0..1_000).for_each(|_| assert!(subject.pick(&members).is_some()));
        assert!(members.questions.get() <= 2_100, "{} questions", members.questions.get());
    }
}
