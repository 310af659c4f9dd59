//! The HTTP/1 engine (RFC 9112).
//!
//! ```text
//!   bytes ─► scan ─► head ─► RequestHead / ResponseHead      sans-IO: decoder
//!                └─► body ─► payload                         (fuzzed, any split of the input)
//!   server (downstream), client (upstream) ─ wire ─ Stream   the IO around it
//!   encode, sender ─► bytes                                  framing is always our own
//! ```

pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod decoder;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod head;
pub(crate) mod scan;
pub(crate) mod sender;
pub(crate) mod server;
pub(crate) mod wire;
