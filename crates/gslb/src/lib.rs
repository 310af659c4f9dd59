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
mod body;
mod choice;
mod cookie;
mod edns;
pub mod geo;
mod names;
pub mod policy;
mod query;
mod region;
mod snapshot;
pub mod zone;

pub use answer::{ANSWER_MAX, Answered, Client, DATAGRAM_MAX, Transport, answer};
pub use choice::{Choice, Manner, Places, Whom};
pub use cookie::CookieKeys;
pub use names::Names;
pub use region::{MAX_REGIONS, Region, RegionSet};
pub use snapshot::{IDENTITY_MAX, Snapshot};
