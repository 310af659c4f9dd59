//! Names answered by where clients are, and by which regions are well.
//!
//! ```text
//!   configuration, zone files ──► zone ─┐
//!   nets, databases of places ──► geo ──┼─► snapshot ──► answer ◄── query ◄── server (UDP, TCP)
//!   probes, balancer, operators ─► verdict ─┘
//! ```
//!
//! What a query costs is decided when the snapshot is built: an answer is looked up, copied and patched.

pub mod headroom;
pub mod region;
pub mod verdict;
