//! The five ways to choose an endpoint, behind one `pick`.

use crate::alias::Alias;
use crate::least_request::LeastRequest;
use crate::maglev::Maglev;
use crate::ring::Ring;
use crate::round_robin::{TurnState, Turns};
use crate::{Rng, Share};

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Smooth weighted turns.
    RoundRobin,
    /// The less loaded, per weight, of two members: the next in turn and a weighted draw.
    LeastRequest,
    /// A weighted draw.
    Random,
    /// By the request's key on a ring of hashes.
    Ring,
    /// By the request's key in a Maglev table.
    Maglev,
}

/// One of those to choose from.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Unique among the members. For [`Policy::Ring`] and [`Policy::Maglev`] it decides which keys the member gets, so it
    /// must be the same on every node.
    pub id: &'a str,
    /// Its share; 0 is taken as 1.
    pub weight: u16,
}

/// What a pick may ask about a member, by its index in the list given to [`Picker::new`].
pub trait Members {
    /// Requests in flight, of all workers.
    fn load(&self, index: usize) -> u32;

    /// Whether it may be picked now, and how much of its due it accepts: [`Share::NONE`] when it is down, excluded, full
    /// or tried for this request already, a part while it [starts slowly](crate::slow_start::ramp).
    fn share(&self, index: usize) -> Share;
}

/// A built policy over a set of members. It never changes: a changed set gets a new one, which all workers share.
///
/// A pick costs at most the logarithm of the number of members, unless most of them are not eligible.
///
/// A member with a part of its share accepts a turn or a draw with that probability, else the next candidate is asked.
/// Under [`Policy::Ring`] and [`Policy::Maglev`] the key decides in place of the dice, so that a key comes to a member
/// whose share grows exactly once. If none of those with a part accepts, one of them is picked all the same.
#[derive(Debug)]
pub struct Picker {
    len: usize,
    turns: Turns,
    table: Table,
}

/// What a worker keeps between picks of one [`Picker`], of no use with another. Workers start in different places, so that
/// they do not all send to the same member at the same time.
#[derive(Clone, Debug)]
pub struct PickState {
    turns: TurnState,
}

#[derive(Debug)]
enum Table {
    RoundRobin,
    LeastRequest(LeastRequest),
    Random { alias: Alias, weights: Box<[u16]> },
    Ring(Ring),
    Maglev(Maglev),
}

impl Picker {
    /// Builds the tables: milliseconds for hundreds of members, up to seconds for tens of thousands under
    /// [`Policy::Maglev`]. Members beyond `u32::MAX` are not expected.
    pub fn new(policy: Policy, members: &[Member<'_>]) -> Picker {
        let members: Vec<Member<'_>> =
            members.iter().map(|&Member { id, weight }| Member { id, weight: weight.max(1) }).collect();
        let weights: Vec<u16> = members.iter().map(|member| member.weight).collect();
        let table = match policy {
            Policy::RoundRobin => Table::RoundRobin,
            Policy::LeastRequest => Table::LeastRequest(LeastRequest::new(&weights)),
            Policy::Random => {
                Table::Random { alias: Alias::new(&weights), weights: weights.as_slice().into() }
            }
            Policy::Ring => Table::Ring(Ring::new(&members)),
            Policy::Maglev => Table::Maglev(Maglev::new(&members)),
        };
        Picker { len: members.len(), turns: Turns::new(&weights), table }
    }

    /// What it was built for.
    pub fn policy(&self) -> Policy {
        match self.table {
            Table::RoundRobin => Policy::RoundRobin,
            Table::LeastRequest(_) => Policy::LeastRequest,
            Table::Random { .. } => Policy::Random,
            Table::Ring(_) => Policy::Ring,
            Table::Maglev(_) => Policy::Maglev,
        }
    }

    /// The index of an eligible member; `None` when there is none: when every share is [`Share::NONE`].
    ///
    /// `key` is the [`hash_key`](crate::hash_key) of what the service hashes by; only ring and maglev look at it. A request without one gets the next
    /// member in turn.
    pub fn pick<M: Members>(
        &self,
        state: &mut PickState,
        members: &M,
        key: Option<u64>,
        rng: &mut Rng,
    ) -> Option<usize> {
        let share = |index| members.share(index);
        if self.len <= 1 {
            return (0..self.len).find(|&index| share(index).is_some());
        }
        match (&self.table, key) {
            (Table::LeastRequest(table), _) => table.pick(&self.turns, &mut state.turns, members, rng),
            (Table::Random { alias, weights }, _) => alias.draw_admitted(weights, share, rng),
            (Table::Ring(ring), Some(key)) => ring.pick(key, share),
            (Table::Maglev(maglev), Some(key)) => maglev.pick(key, share),
            (Table::RoundRobin | Table::Ring(_) | Table::Maglev(_), _) => {
                self.turns.next_admitted(&mut state.turns, share, rng)
            }
        }
    }
}

impl PickState {
    /// A state for this picker with a random start.
    pub fn new(picker: &Picker, rng: &mut Rng) -> PickState {
        PickState { turns: picker.turns.random(rng) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::hash_key;

    const POLICIES: [Policy; 5] =
        [Policy::RoundRobin, Policy::LeastRequest, Policy::Random, Policy::Ring, Policy::Maglev];

    /// Idle members, some of them out; counts what it is asked.
    struct Idle<'a> {
        out: &'a [bool],
        questions: Cell<usize>,
    }

    impl Members for Idle<'_> {
        fn load(&self, _: usize) -> u32 {
            0
        }

        fn share(&self, index: usize) -> Share {
            self.questions.set(self.questions.get() + 1);
            if self.out[index] { Share::NONE } else { Share::FULL }
        }
    }

    fn idle(out: &[bool]) -> Idle<'_> {
        Idle { out, questions: Cell::new(0) }
    }

    fn picker(policy: Policy, ids: &[String], weights: &[u16]) -> Picker {
        let members: Vec<_> = ids.iter().zip(weights).map(|(id, &weight)| Member { id, weight }).collect();
        Picker::new(policy, &members)
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("endpoint-{number}")).collect()
    }

    #[test]
    fn says_what_it_is() {
        for policy in POLICIES {
            let picker = picker(policy, &ids(3), &[1, 2, 3]);
            assert_eq!(picker.policy(), policy);
        }
    }

    #[test]
    fn none_and_one() {
        let mut rng = Rng::from_seed(1);
        for policy in POLICIES {
            let none = picker(policy, &[], &[]);
            assert_eq!(none.pick(&mut PickState::new(&none, &mut rng), &idle(&[]), Some(1), &mut rng), None);
            let one = picker(policy, &ids(1), &[0]);
            let mut state = PickState::new(&one, &mut rng);
            assert_eq!(one.pick(&mut state, &idle(&[false]), Some(1), &mut rng), Some(0));
            assert_eq!(one.pick(&mut state, &idle(&[true]), Some(1), &mut rng), None);
        }
    }

    #[test]
    fn idle_members_get_shares_by_weight() {
        let weights = [1, 1, 2, 4, 8];
        let mut rng = Rng::from_seed(11);
        for policy in POLICIES {
            let picker = picker(policy, &ids(5), &weights);
            let mut state = PickState::new(&picker, &mut rng);
            let members = idle(&[false; 5]);
            let mut counts = [0.0; 5];
            for request in 0..32_000u32 {
                let key = Some(hash_key(&request.to_be_bytes()));
                counts[picker.pick(&mut state, &members, key, &mut rng).expect("all are eligible")] += 1.0;
            }
            // A ring is uneven by nature: its points are random.
            let slack = if policy == Policy::Ring { 0.25 } else { 0.07 };
            for (count, weight) in counts.iter().zip(weights) {
                let due = 2_000.0 * f64::from(weight);
                assert!((count / due - 1.0).abs() < slack, "{policy:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn without_a_key_hashing_takes_turns() {
        let mut rng = Rng::from_seed(3);
        for policy in [Policy::Ring, Policy::Maglev] {
            let picker = picker(policy, &ids(4), &[1, 1, 1, 3]);
            let mut state = PickState::new(&picker, &mut rng);
            let mut counts = [0; 4];
            for _ in 0..60 {
                counts[picker
                    .pick(&mut state, &idle(&[false; 4]), None, &mut rng)
                    .expect("all are eligible")] += 1;
            }
            assert_eq!(counts, [10, 10, 10, 30], "{policy:?}");
        }
    }

    proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]

        #[test]
        fn only_eligible_members_are_picked(
            members in prop::collection::vec((1u16.., prop::bool::weighted(0.6)), 1..40),
            seed: u64,
            keyed: bool,
        ) {
            let weights: Vec<_> = members.iter().map(|member| member.0).collect();
            let out: Vec<_> = members.iter().map(|member| member.1).collect();
            let mut rng = Rng::from_seed(seed);
            // Maglev's table takes longest to build; its own tests cover it.
            for policy in [Policy::RoundRobin, Policy::LeastRequest, Policy::Random, Policy::Ring] {
                let picker = picker(policy, &ids(members.len()), &weights);
                let mut state = PickState::new(&picker, &mut rng);
                for _ in 0..10 {
                    let key = keyed.then(|| rng.next_u64());
                    let picked = picker.pick(&mut state, &idle(&out), key, &mut rng);
                    prop_assert_eq!(picked.is_none(), out.iter().all(|&out| out));
                    prop_assert!(picked.is_none_or(|index| !out[index]));
                }
            }
        }
    }

    #[test]
    fn random_reaches_a_light_member_behind_a_heavy_one_that_is_out() {
        let picker = picker(Policy::Random, &ids(3), &[u16::MAX, 1, 1]);
        let mut rng = Rng::from_seed(5);
        let mut state = PickState::new(&picker, &mut rng);
        let mut counts = [0; 3];
        for _ in 0..2_000 {
            let picked = picker.pick(&mut state, &idle(&[true, false, false]), None, &mut rng);
            counts[picked.expect("two are eligible")] += 1;
        }
        assert!(counts[0] == 0 && counts[1] > 850 && counts[2] > 850, "{counts:?}");
    }

    #[test]
    fn fifty_thousand_members() {
        const COUNT: usize = 50_000;
        let ids = ids(COUNT);
        let weights: Vec<u16> = (0..COUNT).map(|number| 1 + (number % 7) as u16).collect();
        let all = vec![false; COUNT];
        // One in ten is out.
        let most: Vec<bool> = (0..COUNT).map(|number| number % 10 == 0).collect();
        let mut rng = Rng::from_seed(13);
        for policy in POLICIES {
            let started = Instant::now();
            let picker = picker(policy, &ids, &weights);
            // A second or two for Maglev, less for the others. The bound is for a quadratic build, on a busy machine.
            assert!(started.elapsed() < Duration::from_secs(30), "{policy:?} took {:?}", started.elapsed());
            let mut state = PickState::new(&picker, &mut rng);
            for (out, most_questions) in [(&all, 2.1), (&most, 3.0)] {
                let members = idle(out);
                for _ in 0..10_000 {
                    let key = Some(rng.next_u64());
                    assert!(picker.pick(&mut state, &members, key, &mut rng).is_some());
                }
                let questions = members.questions.get() as f64 / 10_000.0;
                assert!(questions < most_questions, "{policy:?}: {questions} questions per pick");
            }
        }
    }
}
