//! Consistent hashing on a ring: a key belongs to the next point clockwise, a member has points in proportion to its
//! weight. The points of a member depend on its own id and weight alone, so that when a member leaves only its keys move,
//! each to the next member on the ring.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{Member, Share, hash_key, mix};

/// Points in order of their place on the ring.
#[derive(Debug)]
pub(crate) struct Ring {
    places: Box<[u64]>,
    /// Whose point `places[i]` is.
    owners: Box<[u32]>,
    /// By member: tells which keys it accepts with a part of its share. From the id, so that nodes agree.
    salts: Box<[u64]>,
}

impl Ring {
    /// Any order of the same members gives the same ring.
    pub(crate) fn new(members: &[Member<'_>]) -> Self {
        let count = PointCount::new(members);
        let mut points: Vec<(u64, u32)> = members
            .iter()
            .enumerate()
            .flat_map(|(index, member)| {
                let id = member.id.as_bytes();
                (0..count.of(member)).map(move |point| (xxh3_64_with_seed(id, point), index as u32))
            })
            .collect();
        // Two points on the same place are next to impossible, but even then nodes must agree.
        points.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| members[a.1 as usize].id.cmp(members[b.1 as usize].id))
        });
        let (places, owners): (Vec<u64>, Vec<u32>) = points.into_iter().unzip();
        let salts = members.iter().map(|member| hash_key(member.id.as_bytes())).collect();
        Self { places: places.into(), owners: owners.into(), salts }
    }

    /// The first member clockwise from the key that is eligible and accepts it, or that is merely eligible if none accepts;
    /// `None` when none is eligible.
    pub(crate) fn pick(&self, key: u64, share: impl Fn(usize) -> Share) -> Option<usize> {
        let accepts = |member: usize| share(member).admits_key(key, self.salts[member]);
        self.first(key, accepts).or_else(|| self.first(key, |member| share(member).is_some()))
    }

    /// The first member clockwise from the key that fits.
    fn first(&self, key: u64, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let start = self.places.partition_point(|&place| place < key);
        let mut walk = self.owners[start..].iter().chain(&self.owners[..start]).map(|&owner| owner as usize);
        if let Some(owner) = walk.by_ref().take(NEAR).find(|&owner| fits(owner)) {
            return Some(owner);
        }
        // Every member has a point, so the rest of the walk finds one that fits if there is one. It is long, though: find
        // out first whether there is.
        if (0..self.salts.len()).any(&fits) { walk.find(|&owner| fits(owner)) } else { None }
    }

    #[cfg(test)]
    fn points_of(&self, member: usize) -> usize {
        self.owners.iter().filter(|&&owner| owner as usize == member).count()
    }
}

/// How many points members have: 160 per unit of weight, and proportionally fewer when that would be too many in all.
struct PointCount {
    /// Points per unit of weight as a fraction, 160 / 1 if they fit.
    points: u128,
    weights: u128,
}

impl PointCount {
    fn new(members: &[Member<'_>]) -> Self {
        let weights: u128 = members.iter().map(|member| u128::from(member.weight)).sum();
        let most = MOST_POINTS + MORE_PER_MEMBER * members.len() as u128;
        if weights * POINTS_PER_WEIGHT <= most {
            Self { points: POINTS_PER_WEIGHT, weights: 1 }
        } else {
            Self { points: most, weights }
        }
    }

    /// At least 1. Fractions are rounded up for as many members as they say, by hash of the id: so a change of the sum
    /// adds or removes a point here and there, not one of every member at once.
    fn of(&self, member: &Member<'_>) -> u64 {
        let exact = u128::from(member.weight) * self.points;
        let (whole, part) = (exact / self.weights, exact % self.weights);
        let dice = u128::from(mix(xxh3_64_with_seed(member.id.as_bytes(), 0)) >> 32);
        let rounded = whole + u128::from(dice * self.weights < part << 32);
        rounded.max(1) as u64
    }
}

/// The usual figure of ketama: shares are within about ± 8 % (one standard deviation) for equal weights.
const POINTS_PER_WEIGHT: u128 = 160;

/// 12 bytes each: 3 MiB.
const MOST_POINTS: u128 = 1 << 18;

/// Keeps the shares of very many members from becoming too uneven: 50,000 have 21 points each, 13 MB.
const MORE_PER_MEMBER: u128 = 16;

/// Points to walk before asking whether any member fits at all.
const NEAR: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn members<'a>(ids: &'a [String], weights: &[u16]) -> Vec<Member<'a>> {
        ids.iter().zip(weights.iter().cycle()).map(|(id, &weight)| Member { id, weight }).collect()
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("10.0.{}.{}:8080", number / 256, number % 256)).collect()
    }

    fn owner<'a>(ring: &Ring, members: &[Member<'a>], key: u64) -> &'a str {
        members[ring.first(key, |_| true).expect("all are eligible")].id
    }

    fn keys(count: usize) -> impl Iterator<Item = u64> {
        (0..count).map(|number| hash_key(format!("192.0.2.{number}").as_bytes()))
    }

    #[test]
    fn the_mapping_never_changes() {
        let ids = ["blue", "green", "red"].map(String::from);
        let members = members(&ids, &[1, 2]);
        let ring = Ring::new(&members);
        let owners: Vec<_> = keys(12).map(|key| owner(&ring, &members, key)).collect();
        assert_eq!(owners, GOLDEN);
    }

    const GOLDEN: [&str; 12] =
        ["red", "green", "green", "blue", "green", "red", "blue", "red", "green", "green", "green", "green"];

    #[test]
    fn points_follow_weights() {
        let check = |count: usize, weights: &[u16], expected: std::ops::RangeInclusive<usize>| {
            let ids = ids(count);
            let ring = Ring::new(&members(&ids, weights));
            for member in [0, count / 2, count - 1] {
                let weight = usize::from(weights[member % weights.len()]);
                assert!(expected.contains(&(ring.points_of(member) / weight)), "{count} of {weights:?}");
            }
        };
        check(1, &[1], 160..=160);
        check(3, &[1, 2, 7], 160..=160);
        check(1_600, &[1], 160..=160);
        check(64, &[100], 40..=42);
        check(50_000, &[1], 21..=22);
    }

    #[test]
    fn a_member_too_light_for_a_point_has_one() {
        let ids = ids(200);
        let mut weights = vec![u16::MAX; 199];
        weights.push(1);
        let ring = Ring::new(&members(&ids, &weights));
        assert_eq!(ring.points_of(199), 1);
        assert_eq!(ring.first(7, |index| index == 199), Some(199));
    }

    #[test]
    fn keys_spread_by_weight() {
        let ids = ids(10);
        let weights: [u16; 10] = [1, 1, 2, 2, 4, 4, 1, 1, 2, 2];
        let members = members(&ids, &weights);
        let ring = Ring::new(&members);
        let mut counts = [0.0; 10];
        keys(40_000).for_each(|key| counts[ring.first(key, |_| true).expect("all are eligible")] += 1.0);
        for (count, &weight) in counts.iter().zip(&weights) {
            let due = 40_000.0 * f64::from(weight) / 20.0;
            assert!((0.7..1.3).contains(&(count / due)), "{counts:?}");
        }
    }

    proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(48))]

        #[test]
        fn only_keys_of_the_removed_move(weights in prop::collection::vec(1u16..12, 2..30), removed: prop::sample::Index) {
            let ids = ids(weights.len());
            let before = members(&ids, &weights);
            let mut after = before.clone();
            let removed = after.remove(removed.index(weights.len())).id;
            let (old, new) = (Ring::new(&before), Ring::new(&after));
            for key in keys(500) {
                let was = owner(&old, &before, key);
                let is = owner(&new, &after, key);
                prop_assert!(was == is || was == removed);
                // And a member that is merely not eligible gives its keys to the same ones.
                let walked = old.first(key, |index| before[index].id != removed).expect("the others are eligible");
                prop_assert_eq!(before[walked].id, is);
            }
        }

        #[test]
        fn order_of_members_is_of_no_matter(weights in prop::collection::vec(1u16..900, 1..20), rotate in 0usize..20) {
            let ids = ids(weights.len());
            let before = members(&ids, &weights);
            let mut after = before.clone();
            after.rotate_left(rotate % weights.len());
            after.reverse();
            let (old, new) = (Ring::new(&before), Ring::new(&after));
            for key in keys(200) {
                prop_assert_eq!(owner(&old, &before, key), owner(&new, &after, key));
                let picked = |ring: &Ring, members: &[Member<'_>]| {
                    let share = |index: usize| Share::of(f64::from(members[index].weight) / 900.0);
                    ring.pick(key, share).map(|index| members[index].id.to_owned())
                };
                prop_assert_eq!(picked(&old, &before), picked(&new, &after));
            }
        }
    }

    #[test]
    fn a_scaled_ring_moves_little_more() {
        // Twice as much weight as there are points for.
        let ids = ids(33);
        let before = members(&ids, &[100, 1, 60, 300]);
        let after = &before[..32];
        let (old, new) = (Ring::new(&before), Ring::new(after));
        let moved = keys(10_000)
            .filter(|&key| {
                let was = owner(&old, &before, key);
                was != before[32].id && was != owner(&new, after, key)
            })
            .count();
        assert!(moved < 400, "{moved} of 10000 moved beside those of the removed");
    }

    #[test]
    fn finds_the_only_eligible_one_and_none() {
        let ids = ids(300);
        let ring = Ring::new(&members(&ids, &[1]));
        for key in keys(50) {
            let share = |index| if index == 137 { Share::of(0.01) } else { Share::NONE };
            assert_eq!(ring.pick(key, share), Some(137));
            assert_eq!(ring.pick(key, |_| Share::NONE), None);
        }
        assert_eq!(ring.pick(u64::MAX, |_| Share::FULL), ring.pick(0, |_| Share::FULL));
        assert_eq!(Ring::new(&[]).pick(1, |_| Share::FULL), None);
    }
}
