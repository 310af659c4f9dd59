//! What the first bytes of an input choose.
//!
//! - byte 0: the three rules for underscores, usual or tight limits, the method that responses answer, whether the peer
//!   is trusted, whether the route rewrites
//! - byte 1: seed of the sizes of reads; 0 (or the character `0`) is a byte at a time
//! - byte 2: seed of how much payload is taken at a time, likewise

use fulcrum_balance::Rng;
use fulcrum_config::Underscores;

use crate::http::message::Method;
use crate::http1::head::RequestRules;
use crate::http1::scan::HeadLimits;

/// How an input is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) limits: HeadLimits,
    pub(super) rules: RequestRules,
    /// Of the requests that responses answer.
    pub(super) method: Method,
    pub(super) is_trusted: bool,
    pub(super) rewrites: bool,
    read_seed: u8,
    take_seed: u8,
}

impl Plan {
    /// The plan at the start of an input, and the rest; `None` for an input that is too short to have one.
    pub(super) fn take(bytes: &[u8]) -> Option<(Plan, &[u8])> {
        let ([choices, read_seed, take_seed], stream) = bytes.split_first_chunk()?;
        let choices = choices.wrapping_sub(b'0');
        let plan = Plan {
            limits: if choices & 1 == 0 { USUAL } else { TIGHT },
            is_trusted: choices & 2 != 0,
            rewrites: choices & 4 != 0,
            method: if choices & 8 == 0 { Method::Get } else { Method::Head },
            rules: RequestRules {
                underscores: match choices >> 4 & 3 {
                    0 => Underscores::Reject,
                    1 => Underscores::Drop,
                    _ => Underscores::Allow,
                },
            },
            read_seed: *read_seed,
            take_seed: *take_seed,
        };
        Some((plan, stream))
    }

    /// The same for what we ourselves have sent, which other limits may bind.
    pub(super) fn wide(&self) -> Plan {
        Plan { limits: WIDE, rules: RequestRules { underscores: Underscores::Allow }, ..*self }
    }

    /// Sizes of reads.
    pub(super) fn reads(&self) -> Sizes {
        Sizes::seeded(self.read_seed)
    }

    /// Sizes of the pieces in which payload is taken.
    pub(super) fn takes(&self) -> Sizes {
        Sizes::seeded(self.take_seed)
    }
}

/// An endless row of sizes, none of them 0.
#[derive(Debug)]
pub(super) enum Sizes {
    Whole,
    Single,
    Random(Rng),
}

impl Sizes {
    /// All there is, at once.
    pub(super) fn whole() -> Self {
        Sizes::Whole
    }

    fn seeded(seed: u8) -> Self {
        match seed {
            0 | b'0' => Sizes::Single,
            seed => Sizes::Random(Rng::from_seed(u64::from(seed))),
        }
    }

    pub(super) fn next(&mut self) -> usize {
        match self {
            Sizes::Whole => usize::MAX,
            Sizes::Single => 1,
            // Mostly small, with a long one now and then.
            Sizes::Random(rng) => 1 << (rng.next_u64() % 10),
        }
    }
}

const USUAL: HeadLimits = HeadLimits { first_line: 8192, field: 16 * 1024, total: 64 * 1024, count: 100 };
/// Limits that small inputs reach.
const TIGHT: HeadLimits = HeadLimits { first_line: 40, field: 30, total: 80, count: 4 };
/// More than our own limits and what we add.
const WIDE: HeadLimits = HeadLimits { first_line: 100_000, field: 100_000, total: 500_000, count: 500 };
