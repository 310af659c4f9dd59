//! Names answered by where clients are, and by which regions are well.
//!
//! ```text
//!   configuration, zone files ──► zone ─┐
//!   nets, databases of places ──► geo ──┼─► snapshot ──► answer ◄── query ◄── server (UDP, TCP)
//!   probes, balancer, operators ─► verdict ─┘
//! ```
//!
//! What a query costs is decided when the snapshot is built: an answer is looked up, copied and patched.

mod body;
mod cookie;
mod edns;
mod names;
mod query;
pub mod zone;

pub use cookie::CookieKeys;
pub use edns::{ClientSubnet, Edns};
pub use names::Names;
pub use query::{Head, Malformed, Query};
