//! How much of its due a member takes: all of it, a part while it starts slowly, or nothing.

use crate::{Rng, mix};

/// The part of the picks due to a member that it accepts, in steps of 1/65535.
///
/// A part is a probability per *draw*: a member with half a share refuses every other pick that the policy would give it,
/// also when it is the idlest of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

impl Share {
    /// Not eligible: tried for this request already, down, excluded or full.
    pub const NONE: Share = Share(0);

    /// Everything that is due.
    pub const FULL: Share = Share(u16::MAX);

    /// A part of the whole. Above 1 it is [`FULL`](Self::FULL); however small, it is never [`NONE`](Self::NONE), because
    /// who may be picked at all is not for a fraction to say.
    pub fn of(fraction: f64) -> Share {
        // The conversion saturates, and takes what is not a number as 0.
        Share(((fraction * WHOLE).round() as u16).max(1))
    }

    /// Whether the member may be picked at all.
    pub fn is_some(self) -> bool {
        self != Share::NONE
    }

    /// Whether the member accepts this draw, a uniform number. What a share admits, a larger one admits too.
    pub fn admits(self, draw: u32) -> bool {
        u64::from(draw) * u64::from(u16::MAX) < u64::from(self.0) << 32
    }

    /// Whether the member accepts a draw of now. Only a part of a share costs a random number.
    pub(crate) fn is_admitted(self, rng: &mut Rng) -> bool {
        self == Share::FULL || self.is_some() && self.admits((rng.next_u64() >> 32) as u32)
    }

    /// Whether the member accepts this key, always the same for one share: so a key comes to a growing share once, and
    /// stays. `salt` belongs to the member, else all members would accept and refuse the same keys.
    pub(crate) fn admits_key(self, key: u64, salt: u64) -> bool {
        self == Share::FULL || self.is_some() && self.admits((mix(key ^ salt) >> 32) as u32)
    }

    /// The share in steps, to weigh by.
    pub(crate) fn parts(self) -> u64 {
        u64::from(self.0)
    }
}

const WHOLE: f64 = u16::MAX as f64;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    #[test]
    fn fractions_are_clamped() {
        let check = |fraction, expected| assert_eq!(Share::of(fraction), expected, "{fraction}");
        check(1.0, Share::FULL);
        check(7.5, Share::FULL);
        check(f64::INFINITY, Share::FULL);
        check(0.2, Share(13_107));
        check(1e-9, Share(1));
        check(0.0, Share(1));
        check(-3.0, Share(1));
        check(f64::NAN, Share(1));
    }

    #[test]
    fn the_ends_are_certain() {
        for draw in [0, 1, u32::MAX / 2, u32::MAX - 1, u32::MAX] {
            assert!(Share::FULL.admits(draw) && !Share::NONE.admits(draw), "{draw}");
        }
        assert!(Share::of(0.0).admits(0) && !Share::of(0.0).admits(u32::MAX));
        assert!(Share::of(0.0).is_some() && !Share::NONE.is_some());
    }

    #[test]
    fn only_a_part_costs_a_random_number() {
        let check = |share: Share, costs: bool| {
            let mut rng = Rng::from_seed(1);
            share.is_admitted(&mut rng);
            assert_eq!(rng.next_u64() != Rng::from_seed(1).next_u64(), costs, "{share:?}");
        };
        check(Share::FULL, false);
        check(Share::NONE, false);
        check(Share::of(0.5), true);
    }

    proptest! {
        #[test]
        fn a_part_is_a_probability(fraction in 0.0..1.0f64, seed: u64) {
            let share = Share::of(fraction);
            let mut rng = Rng::from_seed(seed);
            let salt = rng.next_u64();
            let (mut draws, mut keys) = (0, 0);
            for key in 0..10_000 {
                draws += u32::from(share.is_admitted(&mut rng));
                keys += u32::from(share.admits_key(key, salt));
            }
            // Four standard deviations of 10,000 draws are at most 200.
            let due = fraction * 10_000.0;
            prop_assert!((f64::from(draws) - due).abs() < 260.0, "{draws} draws of {due}");
            prop_assert!((f64::from(keys) - due).abs() < 260.0, "{keys} keys of {due}");
        }

        #[test]
        fn a_larger_share_admits_what_a_smaller_did(a: u16, b: u16, draw: u32, key: u64, salt: u64) {
            let (small, large) = (Share(a.min(b)), Share(a.max(b)));
            prop_assert!(!small.admits(draw) || large.admits(draw));
            prop_assert!(!small.admits_key(key, salt) || large.admits_key(key, salt));
        }
    }
}
