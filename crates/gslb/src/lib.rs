//! Names answered by where clients are, and by which regions are well.
//!
//! ```text
//!   configuration, zone files ──► zone ─┐
//!   nets, databases of places ──► geo ──┼─► snapshot ──► answer ◄── query ◄── server (UDP, TCP)
//!   probes, balancer, operators ─► verdict ─┘
//! ```
//!
//! What a query costs is decided when the snapshot is built: an answer is looked up, copied and patched.

mod answer;
pub mod ask;
mod body;
mod choice;
mod choices;
pub mod compiled;
mod cookie;
mod counters;
pub mod directory;
mod edns;
pub mod explain;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod geo;
pub mod headroom;
pub mod hosts;
mod names;
mod parts;
pub mod policy;
mod query;
mod query_log;
mod rate;
mod region;
pub mod responder;
pub mod server;
mod snapshot;
mod table;
pub mod target;
mod tsig;
pub mod verdict;
pub mod zone;

pub use answer::{ANSWER_MAX, Answered, Client, DATAGRAM_MAX, Transport, answer};
pub use choice::{Choice, Manner, Places, Whom};
pub use choices::Choices;
pub use cookie::CookieKeys;
pub use counters::{Counters, Drop, ZoneCells, ZoneCounts};
pub use names::Names;
pub use parts::Parts;
pub use query_log::LogCounts;
pub use rate::Rate;
pub use region::{MAX_REGIONS, Region, RegionSet};
pub use snapshot::{IDENTITY_MAX, Named, Snapshot};
