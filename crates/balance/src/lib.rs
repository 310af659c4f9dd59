//! Which endpoint serves the next request: pure decisions over numbers that the caller hands in.
//!
//! ```text
//!   members (id, weight) ──► Picker ───────── immutable, shared by all workers
//!                              │
//!   PickState (per worker) ──► pick ◄── Members: load, share ◄─┬─ health     passes its checks
//!   Rng       (per worker) ──►  │  ◄── key: hash_key           ├─ outlier    not ejected, not hard down
//!                               │                              ├─ panic      too few: all of them
//!                               │                              └─ slow_start a part while it warms up
//!                               ▼
//!                          index of a member ──► attempt ──► retry_budget: may there be another?
//!                               ▲
//!   session: the cookie names ──┘ the endpoint of an earlier request, in place of a pick
//! ```
//!
//! No sockets, clocks, metrics or logs; random numbers, loads and the time are arguments, so that every choice can be
//! replayed from a seed. Where nothing else is said, a time is a duration since a moment that the caller has fixed.

mod alias;
mod base64url;
pub mod health;
mod least_request;
mod maglev;
pub mod outlier;
pub mod panic;
mod picker;
pub mod retry_budget;
mod ring;
mod rng;
mod round_robin;
pub mod session;
mod share;
pub mod slow_start;

pub use alias::Alias;
pub use picker::{Member, Members, PickState, Picker, Policy};
pub use rng::Rng;
pub use share::Share;

/// The hash of a request key, for [`Picker::pick`]: xxh3 with the default seed. Every node and every version computes
/// the same, so that a client keeps its endpoint behind any of several balancers and across upgrades.
pub fn hash_key(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// A bijection that spreads every input bit over the whole word (the finisher of splitmix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Maps a uniform word onto `0..n` without a division.
fn scale(word: u64, n: u64) -> u64 {
    ((u128::from(word) * u128::from(n)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_hashes_never_change() {
        let check =
            |input: &str, expected: u64| assert_eq!(hash_key(input.as_bytes()), expected, "{input:?}");
        check("", 0x2d06_8005_38d3_94c2);
        check("192.0.2.7", 0xe2e4_f529_4e60_473d);
    }
}
