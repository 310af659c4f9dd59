//! How many equal answers a network gets over UDP: whoever sends queries in another's name gets no more than that out of us.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use fulcrum_config::gslb::ResponseRate;

use crate::answer::Answered;
use crate::choice::mix;

/// Limits of responses, shared by all workers.
#[derive(Debug)]
pub struct Rate {
    /// In microseconds: the time at which a network has used up what it may have (GCRA), and 16 bits of whose it is. Which ways
    /// it may have depends on a secret, so that nobody can choose whom to meet there.
    slots: Box<[[AtomicU64; WAYS]]>,
    secret: u64,
    interval: u64,
    slip: u8,
    slipped: AtomicU32,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// It is sent.
    Send,
    /// A truncated one is sent: a client that is there asks again over TCP.
    Slip,
    /// Nothing is sent.
    Drop,
}

impl Rate {
    /// Of a limit.
    pub fn new(rate: ResponseRate) -> Self {
        Rate {
            slots: (0..SETS).map(|_| Default::default()).collect(),
            secret: RandomState::new().hash_one(0),
            interval: SECOND / u64::from(rate.responses_per_second.max(NonZeroU32::MIN).get()),
            slip: rate.slip,
            slipped: AtomicU32::new(0),
        }
    }

    /// What becomes of an answer to this client; `now` is microseconds since some start.
    pub(crate) fn pass(&self, client: IpAddr, answered: &Answered, now: u64) -> Pass {
        if answered.is_known {
            return Pass::Send;
        }
        let hash = self.hash(client, answered);
        let (set, tag) = (&self.slots[hash as usize % SETS], hash & TAG);
        loop {
            let (slot, before) = way(set, tag);
            let next = (before & !TAG).max(now) + self.interval;
            if next > now + SECOND {
                return self.limited();
            }
            let after = tag | next & !TAG;
            if slot.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Pass::Send;
            }
        }
    }

    /// Of the client's network and of what it was told.
    fn hash(&self, client: IpAddr, answered: &Answered) -> u64 {
        let network = match client {
            IpAddr::V4(address) => u64::from(address.to_bits() >> 8) | 1 << 60,
            IpAddr::V6(address) => (address.to_bits() >> 72) as u64,
        };
        // "No such name" and "nothing of the type" say the same of a zone, but are not equal.
        let what = mix(answered.what ^ u64::from(answered.code) << 48);
        mix(network ^ mix(what ^ self.secret))
    }

    fn limited(&self) -> Pass {
        match self.slip {
            0 => Pass::Drop,
            slip if self.slipped.fetch_add(1, Ordering::Relaxed).is_multiple_of(u32::from(slip)) => {
                Pass::Slip
            }
            _ => Pass::Drop,
        }
    }
}

/// The way of this tag, or the one that has been used up least. Who takes it goes on from what is used up there: with more of them
/// than ways nobody gets more than the ways together.
fn way(set: &[AtomicU64; WAYS], tag: u64) -> (&AtomicU64, u64) {
    let mut least = (&set[0], set[0].load(Ordering::Relaxed));
    for slot in set {
        let found = (slot, slot.load(Ordering::Relaxed));
        if found.1 & TAG == tag {
            return found;
        }
        if found.1 & !TAG < least.1 & !TAG {
            least = found;
        }
    }
    least
}

const SECOND: u64 = 1_000_000;
/// Half a megabyte.
const SETS: usize = 1 << 14;
/// As many of equal place do not disturb each other.
const WAYS: usize = 4;
const TAG: u64 = 0xffff << 48;

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, what: u64) -> Answered {
        Answered {
            length: 100,
            tail_length: 0,
            tail_records: 0,
            code,
            zone: Some(0),
            record_type: 1,
            what,
            choice: None,
            is_truncated: false,
            is_known: false,
        }
    }

    fn rate(responses: u32, slip: u8) -> Rate {
        Rate::new(ResponseRate { responses_per_second: responses.try_into().expect("a rate"), slip })
    }

    /// How many of a hundred pass within a moment.
    fn passed(rate: &Rate, client: &str, answered: &Answered, now: u64) -> usize {
        let client = client.parse().expect("an address");
        (0..100).filter(|_| rate.pass(client, answered, now) == Pass::Send).count()
    }

    #[test]
    fn a_network_gets_so_many_equal_answers() {
        let rate = rate(10, 0);
        let ok = answered(0, 7);
        assert_eq!(passed(&rate, "192.0.2.1", &ok, 5_000_000), 10);
        assert_eq!(passed(&rate, "192.0.2.200", &ok, 5_000_000), 0, "the network counts");
        assert_eq!(passed(&rate, "192.0.3.1", &ok, 5_000_000), 10);
        assert_eq!(passed(&rate, "192.0.2.1", &answered(0, 8), 5_000_000), 10, "another answer");
        assert_eq!(passed(&rate, "192.0.2.1", &answered(3, 7), 5_000_000), 10, "of another code");
        assert_eq!(passed(&rate, "192.0.2.1", &ok, 5_500_000), 5, "half a second later");
        assert_eq!(passed(&rate, "2001:db8::1", &ok, 5_000_000), 10);
        assert_eq!(passed(&rate, "2001:db8::ffff", &ok, 5_000_000), 0);
    }

    #[test]
    fn those_of_equal_place_do_not_set_each_other_free() {
        let rate = rate(10, 0);
        let client: IpAddr = "192.0.2.1".parse().expect("an address");
        let set = |what: &u64| rate.hash(client, &answered(0, *what)) as usize % SETS;
        let together: Vec<u64> = (0..).filter(|what| set(what) == 0).take(2 * WAYS).collect();
        let count = |whats: &[u64], now| {
            let pass = |what: &u64| rate.pass(client, &answered(0, *what), now) == Pass::Send;
            (0..100).map(|_| whats.iter().filter(|what| pass(what)).count()).sum::<usize>()
        };
        assert_eq!(count(&together[..WAYS], 5_000_000), 10 * WAYS, "each has its own");
        assert_eq!(count(&together, 5_000_000), 0, "others find them used up");
        assert_eq!(count(&together, 6_000_000), 10 * WAYS, "and share them");
    }

    #[test]
    fn nobody_knows_who_meets_whom() {
        let place = |rate: &Rate| rate.hash("192.0.2.1".parse().expect("an address"), &answered(0, 7));
        assert_ne!(place(&rate(10, 0)), place(&rate(10, 0)));
    }

    #[test]
    fn some_come_truncated_and_those_who_are_known_come_whole() {
        let rate = rate(10, 2);
        let client: IpAddr = "192.0.2.1".parse().expect("an address");
        let passes: Vec<Pass> = (0..100).map(|_| rate.pass(client, &answered(0, 7), 5_000_000)).collect();
        let count = |wanted| passes.iter().filter(|pass| **pass == wanted).count();
        assert_eq!([Pass::Send, Pass::Slip, Pass::Drop].map(count), [10, 45, 45]);
        let known = Answered { is_known: true, ..answered(0, 7) };
        assert_eq!(rate.pass(client, &known, 5_000_000), Pass::Send);
    }
}
