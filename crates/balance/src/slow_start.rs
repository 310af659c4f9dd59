//! The share of a member that has just become healthy: it grows, so that caches, pools and just-in-time compilers warm up
//! before the full load arrives.

use std::time::Duration;

use crate::Share;

/// The share of a member that became healthy `since` ago and starts slowly for `window`: linear from a tenth to
/// [`Share::FULL`]. A window of zero is no slow start.
///
/// It begins with a tenth, not with nothing: what is sent nothing stays cold, and would meet the full load as cold.
pub fn ramp(since: Duration, window: Duration) -> Share {
    if since >= window {
        return Share::FULL;
    }
    Share::of(FLOOR + (1.0 - FLOOR) * since.div_duration_f64(window))
}

/// The share at the beginning.
const FLOOR: f64 = 0.1;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};
    use proptest::test_runner::Config;

    use super::*;
    use crate::{Member, Members, PickState, Picker, Policy, Rng, hash_key};

    const POLICIES: [Policy; 5] =
        [Policy::RoundRobin, Policy::LeastRequest, Policy::Random, Policy::Ring, Policy::Maglev];

    /// Members with the same number of requests in flight.
    struct Even<'a> {
        shares: &'a [Share],
        load: u32,
        questions: Cell<usize>,
    }

    impl<'a> Even<'a> {
        fn new(shares: &'a [Share], load: u32) -> Self {
            Self { shares, load, questions: Cell::new(0) }
        }
    }

    impl Members for Even<'_> {
        fn load(&self, _: usize) -> u32 {
            self.load
        }

        fn share(&self, index: usize) -> Share {
            self.questions.set(self.questions.get() + 1);
            self.shares[index]
        }
    }

    fn picker(policy: Policy, weights: &[u16]) -> Picker {
        let ids: Vec<String> = (0..weights.len()).map(|number| format!("endpoint-{number}")).collect();
        let members: Vec<_> = ids.iter().zip(weights).map(|(id, &weight)| Member { id, weight }).collect();
        Picker::new(policy, &members)
    }

    /// One member with this share among `count` of them, the others full.
    fn one_of(count: usize, share: Share) -> Vec<Share> {
        let mut shares = vec![Share::FULL; count];
        shares[0] = share;
        shares
    }

    #[test]
    fn the_ramp_is_a_line() {
        let check = |since: u64, window: u64, expected: Share| {
            let share = ramp(Duration::from_millis(since), Duration::from_millis(window));
            assert_eq!(share, expected, "{since} of {window} ms");
        };
        check(0, 10_000, Share::of(0.1));
        check(1_000, 10_000, Share::of(0.19));
        check(5_000, 10_000, Share::of(0.55));
        check(9_000, 10_000, Share::of(0.91));
        check(10_000, 10_000, Share::FULL);
        check(u64::MAX, 10_000, Share::FULL);
        check(0, 0, Share::FULL);
    }

    /// How often the first member is picked of so many requests, each with a key of its own.
    fn part_of_first(picker: &Picker, members: &Even<'_>, requests: u32, seed: u64) -> f64 {
        let mut rng = Rng::from_seed(seed);
        let mut state = PickState::new(picker, &mut rng);
        let picks = (0..requests).filter(|_| {
            let key = Some(rng.next_u64());
            picker.pick(&mut state, members, key, &mut rng) == Some(0)
        });
        picks.count() as f64 / f64::from(requests)
    }

    proptest! {
        #![proptest_config(Config::with_cases(48))]

        #[test]
        fn a_part_of_a_share_gets_that_part(count in 2usize..20, fraction in 0.05..1.0f64, load in 0u32..9, seed: u64) {
            let shares = one_of(count, Share::of(fraction));
            let due = fraction / (count as f64 - 1.0 + fraction);
            for policy in [Policy::RoundRobin, Policy::LeastRequest, Policy::Random] {
                let picker = picker(policy, &vec![3; count]);
                let part = part_of_first(&picker, &Even::new(&shares, load), 10_000, seed);
                // Four standard deviations are at most 0.02.
                prop_assert!((part - due).abs() < 0.025, "{policy:?}: {part} of {due} with {load} in flight");
            }
        }

        #[test]
        fn weights_and_shares_multiply(weights in prop::collection::vec(1u16..9, 2..6), fraction in 0.1..1.0f64, seed: u64) {
            let shares = one_of(weights.len(), Share::of(fraction));
            let others: f64 = weights[1..].iter().map(|&weight| f64::from(weight)).sum();
            let due = f64::from(weights[0]) * fraction / (f64::from(weights[0]) * fraction + others);
            for policy in [Policy::RoundRobin, Policy::LeastRequest, Policy::Random] {
                let part = part_of_first(&picker(policy, &weights), &Even::new(&shares, 0), 10_000, seed);
                prop_assert!((part - due).abs() < 0.025, "{policy:?}: {part} of {due}");
            }
        }

        #[test]
        fn only_eligible_members_are_picked(
            shares in prop::collection::vec(any_share(), 1..30), load in 0u32..3, seed: u64, keyed: bool,
        ) {
            let mut rng = Rng::from_seed(seed);
            let any = shares.iter().any(|share| share.is_some());
            let weights: Vec<u16> = shares.iter().map(|_| 1 + rng.below(900) as u16).collect();
            // Maglev's table takes longest to build; its own tests cover it.
            for policy in [Policy::RoundRobin, Policy::LeastRequest, Policy::Random, Policy::Ring] {
                let picker = picker(policy, &weights);
                let mut state = PickState::new(&picker, &mut rng);
                for _ in 0..20 {
                    let key = keyed.then(|| rng.next_u64());
                    let picked = picker.pick(&mut state, &Even::new(&shares, load), key, &mut rng);
                    prop_assert_eq!(picked.is_some(), any, "{:?}", policy);
                    prop_assert!(picked.is_none_or(|index| shares[index].is_some()), "{:?}", policy);
                }
            }
        }
    }

    fn any_share() -> impl Strategy<Value = Share> {
        prop::sample::select(vec![Share::NONE, Share::NONE, Share::of(0.0), Share::of(0.1), Share::FULL])
    }

    #[test]
    fn keys_come_to_a_growing_share_exactly_once() {
        const KEYS: u64 = 20_000;
        for policy in [Policy::Ring, Policy::Maglev] {
            let picker = picker(policy, &[1; 8]);
            let mut rng = Rng::from_seed(4);
            let mut state = PickState::new(&picker, &mut rng);
            let mut owners = |share| -> Vec<usize> {
                let shares = one_of(8, share);
                let members = Even::new(&shares, 0);
                (0..KEYS)
                    .map(|number| {
                        let key = hash_key(&number.to_be_bytes());
                        let picked = picker.pick(&mut state, &members, Some(key), &mut rng);
                        picked.expect("the others are eligible")
                    })
                    .collect()
            };
            let whole = owners(Share::FULL);
            let owned = whole.iter().filter(|&&owner| owner == 0).count() as f64;
            let mut before = owners(Share::NONE);
            for step in 0..=20 {
                let fraction = 0.1 + 0.045 * f64::from(step);
                let after = owners(Share::of(fraction));
                for ((&was, &is), &at_last) in before.iter().zip(&after).zip(&whole) {
                    // From where it was without the member to where it stays.
                    assert!(was == is || is == 0, "{policy:?}: from {was} to {is}");
                    assert!(is != 0 || at_last == 0, "{policy:?}: a key that is not its own");
                }
                let part = after.iter().filter(|&&owner| owner == 0).count() as f64 / owned;
                assert!((part - fraction).abs() < 0.04, "{policy:?}: {part} at {fraction}");
                before = after;
            }
            assert_eq!(before, whole, "{policy:?}");
        }
    }

    #[test]
    fn all_in_slow_start_serve_all() {
        let shares = [Share::of(0.1), Share::of(0.1), Share::of(0.2), Share::NONE];
        for policy in POLICIES {
            let picker = picker(policy, &[1; 4]);
            let members = Even::new(&shares, 0);
            let mut rng = Rng::from_seed(8);
            let mut state = PickState::new(&picker, &mut rng);
            let mut counts = [0; 4];
            for _ in 0..4_000 {
                let key = Some(rng.next_u64());
                counts[picker.pick(&mut state, &members, key, &mut rng).expect("three are eligible")] += 1;
            }
            assert!(counts[..3].iter().all(|&count| count > 700) && counts[3] == 0, "{policy:?}: {counts:?}");
            if !matches!(policy, Policy::Ring | Policy::Maglev) {
                assert!((1_800..2_200).contains(&counts[2]), "{policy:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn full_shares_cost_no_dice() {
        for policy in [Policy::RoundRobin, Policy::Ring, Policy::Maglev] {
            let picker = picker(policy, &[1, 2, 3]);
            let mut rng = Rng::from_seed(2);
            let mut state = PickState::new(&picker, &mut rng);
            let mut untouched = rng.clone();
            for key in 0..100 {
                let picked = picker.pick(&mut state, &Even::new(&[Share::FULL; 3], 0), Some(key), &mut rng);
                assert!(picked.is_some());
            }
            assert_eq!(rng.next_u64(), untouched.next_u64(), "{policy:?}");
        }
    }

    #[test]
    fn few_questions_while_a_tenth_of_very_many_start() {
        const COUNT: usize = 20_000;
        let shares: Vec<Share> =
            (0..COUNT).map(|number| if number % 10 == 0 { Share::of(0.1) } else { Share::FULL }).collect();
        for policy in POLICIES {
            let picker = picker(policy, &vec![1; COUNT]);
            let members = Even::new(&shares, 0);
            let mut rng = Rng::from_seed(3);
            let mut state = PickState::new(&picker, &mut rng);
            for _ in 0..10_000 {
                let key = Some(rng.next_u64());
                assert!(picker.pick(&mut state, &members, key, &mut rng).is_some());
            }
            let questions = members.questions.get() as f64 / 10_000.0;
            assert!(questions < 2.5, "{policy:?}: {questions} questions per pick");
        }
    }
}
