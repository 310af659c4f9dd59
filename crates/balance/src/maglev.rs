//! Consistent hashing by a table (Eisenbud et al., "Maglev", NSDI 2016, §3.4): members take turns, by weight, to claim
//! the next free slot of a permutation of their own. Shares are almost exactly by weight and a look-up is one memory access;
//! when a member leaves, its slots are shared out and a few others move too.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::round_robin::Turns;
use crate::{Member, Share, hash_key, mix, scale};

/// Who owns which slot.
#[derive(Debug)]
pub(crate) struct Maglev {
    slots: Box<[u32]>,
    /// Members in order of their ids: the same walk on every node.
    by_id: Box<[u32]>,
    /// By member: tells which keys it accepts with a part of its share. From the id, so that nodes agree.
    salts: Box<[u64]>,
}

impl Maglev {
    /// Any order of the same members gives the same mapping.
    pub(crate) fn new(members: &[Member<'_>]) -> Self {
        let mut by_id: Vec<u32> = (0..members.len() as u32).collect();
        by_id.sort_unstable_by_key(|&index| members[index as usize].id);
        let salts = members.iter().map(|member| hash_key(member.id.as_bytes())).collect();
        Self { slots: fill(members, &by_id), by_id: by_id.into(), salts }
    }

    /// The owner of the key's slot or, when that is not eligible or does not accept the key, another that depends on the
    /// key alone; one that is merely eligible if none accepts; `None` when none is eligible.
    pub(crate) fn pick(&self, key: u64, share: impl Fn(usize) -> Share) -> Option<usize> {
        let accepts = |member: usize| share(member).admits_key(key, self.salts[member]);
        self.first(key, accepts).or_else(|| self.first(key, |member| share(member).is_some()))
    }

    /// The first in the key's own order of members that fits.
    fn first(&self, key: u64, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let mut probe = mix(key);
        for _ in 0..PROBES {
            let owner = *self.slots.get(scale(probe, self.slots.len() as u64) as usize)? as usize;
            if fits(owner) {
                return Some(owner);
            }
            probe = mix(probe.wrapping_add(PROBE_STEP));
        }
        let start = scale(probe, self.by_id.len() as u64) as usize;
        let mut walk = self.by_id[start..].iter().chain(&self.by_id[..start]).map(|&index| index as usize);
        walk.find(|&index| fits(index))
    }

    #[cfg(test)]
    fn slots_of(&self, member: usize) -> usize {
        self.slots.iter().filter(|&&owner| owner as usize == member).count()
    }
}

fn fill(members: &[Member<'_>], by_id: &[u32]) -> Box<[u32]> {
    if members.is_empty() {
        return Box::default();
    }
    let size = table_size(members.len());
    let mut slots = vec![0; size as usize];
    let mut taken = vec![0u64; (size as usize).div_ceil(64)];
    let is_free = |taken: &[u64], slot: u32| taken[slot as usize / 64] & (1 << (slot % 64)) == 0;
    let mut permutations: Vec<Permutation> =
        by_id.iter().map(|&index| Permutation::new(members[index as usize].id, size)).collect();
    let weights: Vec<u16> = by_id.iter().map(|&index| members[index as usize].weight).collect();
    let turns = Turns::new(&weights);
    let mut state = turns.first();
    for _ in 0..size {
        let rank = turns.next(&mut state);
        let slot = permutations[rank].find(|&slot| is_free(&taken, slot));
        let slot = slot.expect("a permutation reaches every slot, and one is free in each turn");
        taken[slot as usize / 64] |= 1 << (slot % 64);
        slots[slot as usize] = by_id[rank];
    }
    slots.into()
}

/// `offset + i × skip` modulo a prime passes every slot once, then again.
struct Permutation {
    slot: u32,
    skip: u32,
    size: u32,
}

impl Permutation {
    fn new(id: &str, size: u32) -> Self {
        let part = |seed, n: u32| scale(xxh3_64_with_seed(id.as_bytes(), seed), u64::from(n)) as u32;
        Self { slot: part(OFFSET_SEED, size), skip: 1 + part(SKIP_SEED, size - 1), size }
    }
}

impl Iterator for Permutation {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let slot = self.slot;
        // Both are below size, and size is below 2^31.
        let next = slot + self.skip;
        self.slot = if next >= self.size { next - self.size } else { next };
        Some(slot)
    }
}

/// At least a hundred slots per member, in steps of two so that a membership change rarely changes the size (which would
/// move every key).
fn table_size(members: usize) -> u32 {
    let least = members as u64 * SLOTS_PER_MEMBER;
    let fits = |&size: &u32| u64::from(size) >= least;
    SIZES.into_iter().find(fits).unwrap_or(LARGEST)
}

/// Shares are then within about 1 % of their weights.
const SLOTS_PER_MEMBER: u64 = 100;

/// Primes: the customary size for up to 655 members, then each about twice the one before; four bytes per slot.
const SIZES: [u32; 8] = [65_537, 131_101, 262_147, 524_309, 1_048_583, 2_097_169, 4_194_319, LARGEST];

/// 34 MB. Beyond 83,886 members there are fewer slots per member.
const LARGEST: u32 = 8_388_617;

/// Draws before the members are walked one by one.
const PROBES: usize = 16;

/// Any odd number: keeps `mix` from staying at its fixed point 0.
const PROBE_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Part of the mapping: never to be changed, else every key moves at an upgrade.
const OFFSET_SEED: u64 = 1;
const SKIP_SEED: u64 = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    use super::*;

    fn members<'a>(ids: &'a [String], weights: &[u16]) -> Vec<Member<'a>> {
        ids.iter().zip(weights.iter().cycle()).map(|(id, &weight)| Member { id, weight }).collect()
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("10.0.{}.{}:8080", number / 256, number % 256)).collect()
    }

    fn owner<'a>(maglev: &Maglev, members: &[Member<'a>], key: u64) -> &'a str {
        members[maglev.first(key, |_| true).expect("all are eligible")].id
    }

    fn keys(count: usize) -> impl Iterator<Item = u64> {
        (0..count).map(|number| hash_key(format!("192.0.2.{number}").as_bytes()))
    }

    #[test]
    fn the_mapping_never_changes() {
        let ids = ["blue", "green", "red"].map(String::from);
        let members = members(&ids, &[1, 2]);
        let maglev = Maglev::new(&members);
        let owners: Vec<_> = keys(12).map(|key| owner(&maglev, &members, key)).collect();
        assert_eq!(owners, GOLDEN);
    }

    const GOLDEN: [&str; 12] =
        ["green", "blue", "red", "red", "green", "red", "green", "red", "blue", "red", "green", "green"];

    #[test]
    fn sizes_are_prime_and_large_enough() {
        for size in SIZES {
            assert!(
                (2..).take_while(|divisor| divisor * divisor <= size).all(|divisor| size % divisor != 0),
                "{size}"
            );
        }
        let check = |members, expected| assert_eq!(table_size(members), expected, "{members} members");
        check(1, 65_537);
        check(655, 65_537);
        check(656, 131_101);
        check(50_000, LARGEST);
        check(1_000_000, LARGEST);
    }

    #[test]
    fn slots_follow_weights() {
        let check = |weights: &[u16]| {
            let ids = ids(weights.len());
            let maglev = Maglev::new(&members(&ids, weights));
            let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
            for (member, &weight) in weights.iter().enumerate() {
                let due = 65_537.0 * f64::from(weight) / total;
                let slots = maglev.slots_of(member) as f64;
                assert!((slots - due).abs() <= 3.0, "{weights:?}: {slots} slots, {due} due");
            }
        };
        check(&[1]);
        check(&[1; 7]);
        check(&[1, 2, 3, 4, 5]);
        check(&[1000, 1, 1]);
        check(&[u16::MAX, 30_000, 1]);
    }

    #[test]
    fn little_moves_when_a_member_goes_or_comes() {
        for (count, weights) in [(5, &[1u16][..]), (20, &[1]), (20, &[1, 5, 3]), (100, &[1])] {
            let ids = ids(count);
            let before = members(&ids, weights);
            for removed in [0, count / 2, count - 1] {
                let mut after = before.clone();
                let gone = after.remove(removed);
                let (old, new) = (Maglev::new(&before), Maglev::new(&after));
                let total: f64 = before.iter().map(|member| f64::from(member.weight)).sum();
                let share = f64::from(gone.weight) / total;
                let moved =
                    keys(20_000).filter(|&key| owner(&old, &before, key) != owner(&new, &after, key)).count();
                let moved = moved as f64 / 20_000.0;
                assert!(
                    moved >= share * 0.8 && moved <= share * 1.2 + 0.03,
                    "{count} of {weights:?}: {moved} moved"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(16))]

        #[test]
        fn order_of_members_is_of_no_matter(weights in prop::collection::vec(1u16..4, 1..20), rotate in 0usize..20) {
            let ids = ids(weights.len());
            let before = members(&ids, &weights);
            let mut after = before.clone();
            after.rotate_left(rotate % weights.len());
            after.reverse();
            let (old, new) = (Maglev::new(&before), Maglev::new(&after));
            for key in keys(400) {
                prop_assert_eq!(owner(&old, &before, key), owner(&new, &after, key));
                let picked = |maglev: &Maglev, members: &[Member<'_>]| {
                    let share = |index: usize| match members[index].id == ids[0] {
                        true => Share::NONE,
                        false => Share::of(f64::from(members[index].weight) / 4.0),
                    };
                    maglev.pick(key, share).map(|index| members[index].id.to_owned())
                };
                prop_assert_eq!(picked(&old, &before), picked(&new, &after));
            }
        }
    }

    #[test]
    fn keys_of_an_excluded_member_spread_evenly() {
        let ids = ids(10);
        let maglev = Maglev::new(&members(&ids, &[1]));
        let mut counts = [0u32; 10];
        for key in keys(30_000).filter(|&key| maglev.first(key, |_| true) == Some(3)) {
            counts[maglev.first(key, |index| index != 3).expect("nine are eligible")] += 1;
        }
        assert_eq!(counts[3], 0);
        assert!(
            counts.iter().enumerate().all(|(index, count)| index == 3 || (240..430).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn finds_the_only_eligible_one_and_none() {
        let ids = ids(300);
        let maglev = Maglev::new(&members(&ids, &[1]));
        for key in keys(50) {
            let share = |index| if index == 137 { Share::of(0.01) } else { Share::NONE };
            assert_eq!(maglev.pick(key, share), Some(137));
            assert_eq!(maglev.pick(key, |_| Share::NONE), None);
        }
        assert_eq!(Maglev::new(&[]).pick(1, |_| Share::FULL), None);
    }
}
