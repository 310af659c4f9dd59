//! How many equal answers a network gets over UDP: whoever sends queries in another's name gets no more than that out of us.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use fulcrum_config::gslb::ResponseRate;

use crate::answer::Answered;
use crate::query::NXDOMAIN;

/// Limits of responses, shared by all workers.
#[derive(Debug)]
pub struct Rate {
    /// In microseconds: the time at which a network has used up what it may have (GCRA), and 16 bits of whose it is.
    slots: Box<[AtomicU64]>,
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
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            interval: SECOND / u64::from(rate.responses_per_second.max(NonZeroU32::MIN).get()),
            slip: rate.slip,
            slipped: AtomicU32::new(0),
        }
    }

    /// What becomes of an answer to this client; `now` is microseconds since some start.
    pub(crate) fn pass(&self, client: IpAddr, name: &[u8], answered: &Answered, now: u64) -> Pass {
        if answered.is_known {
            return Pass::Send;
        }
        let hash = hash(client, name, answered);
        let (slot, tag) = (&self.slots[hash as usize % SLOTS], hash >> 48 << 48);
        let mut before = slot.load(Ordering::Relaxed);
        loop {
            // Somebody else's: what they used is forgotten, so that nobody is limited for another.
            let used = if before & TAG == tag { before & !TAG } else { 0 };
            let next = used.max(now) + self.interval;
            if next > now + SECOND {
                return self.limited();
            }
            match slot.compare_exchange_weak(before, tag | next & !TAG, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Pass::Send,
                Err(other) => before = other,
            }
        }
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

/// Of the client's network and of what it was told. Names that are not there are one: there are too many of them.
fn hash(client: IpAddr, name: &[u8], answered: &Answered) -> u64 {
    let network = match client {
        IpAddr::V4(address) => u64::from(address.to_bits() >> 8) | 1 << 60,
        IpAddr::V6(address) => (address.to_bits() >> 72) as u64,
    };
    let what = match answered.code {
        0 => name.iter().fold(u64::from(answered.record_type), |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3)
        }),
        NXDOMAIN => u64::from(answered.zone.unwrap_or(u32::MAX)) | 1 << 61,
        code => u64::from(code) | 1 << 62,
    };
    crate::choice::mix(network ^ crate::choice::mix(what))
}

const SECOND: u64 = 1_000_000;
/// Half a megabyte.
const SLOTS: usize = 1 << 16;
const TAG: u64 = 0xffff << 48;

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, zone: u32) -> Answered {
        Answered {
            length: 100,
            opt_length: 0,
            code,
            zone: Some(zone),
            record_type: 1,
            choice: None,
            is_truncated: false,
            is_known: false,
        }
    }

    fn rate(responses: u32, slip: u8) -> Rate {
        Rate::new(ResponseRate { responses_per_second: responses.try_into().expect("a rate"), slip })
    }

    /// How many of a hundred pass within a moment.
    fn passed(
        rate: &Rate,
        client: &str,
        names: impl Fn(usize) -> String,
        answered: &Answered,
        now: u64,
    ) -> usize {
        let client = client.parse().expect("an address");
        let pass = |number: &usize| rate.pass(client, names(*number).as_bytes(), answered, now) == Pass::Send;
        (0..100).filter(pass).count()
    }

    #[test]
    fn a_network_gets_so_many_equal_answers() {
        let rate = rate(10, 0);
        let same = |_| "www".to_owned();
        let ok = answered(0, 0);
        assert_eq!(passed(&rate, "192.0.2.1", same, &ok, 5_000_000), 10);
        assert_eq!(passed(&rate, "192.0.2.200", same, &ok, 5_000_000), 0, "the network counts");
        assert_eq!(passed(&rate, "192.0.3.1", same, &ok, 5_000_000), 10);
        assert_eq!(passed(&rate, "192.0.2.1", |_| "other".to_owned(), &ok, 5_000_000), 10);
        assert_eq!(passed(&rate, "192.0.2.1", same, &ok, 5_500_000), 5, "half a second later");
        assert_eq!(passed(&rate, "2001:db8::1", same, &ok, 5_000_000), 10);
        assert_eq!(passed(&rate, "2001:db8::ffff", same, &ok, 5_000_000), 0);
    }

    #[test]
    fn names_that_are_not_there_are_one() {
        let rate = rate(10, 0);
        let random = |number: usize| format!("x{number}");
        assert_eq!(passed(&rate, "192.0.2.1", random, &answered(3, 0), 5_000_000), 10);
        assert_eq!(passed(&rate, "192.0.2.1", random, &answered(3, 1), 5_000_000), 10, "of another zone");
        assert_eq!(passed(&rate, "192.0.2.1", random, &answered(5, 0), 5_000_000), 10);
        assert_eq!(passed(&rate, "192.0.2.1", random, &answered(0, 0), 5_000_000), 100);
    }

    #[test]
    fn some_come_truncated_and_those_who_are_known_come_whole() {
        let rate = rate(10, 2);
        let client: IpAddr = "192.0.2.1".parse().expect("an address");
        let passes: Vec<Pass> =
            (0..100).map(|_| rate.pass(client, b"www", &answered(0, 0), 5_000_000)).collect();
        let count = |wanted| passes.iter().filter(|pass| **pass == wanted).count();
        assert_eq!([Pass::Send, Pass::Slip, Pass::Drop].map(count), [10, 45, 45]);
        let known = Answered { is_known: true, ..answered(0, 0) };
        assert_eq!(rate.pass(client, b"www", &known, 5_000_000), Pass::Send);
    }
}
