//! What the tests stand on: the real daemon, an upstream that records every byte, a client that sends any.
//!
//! ```text
//!   Client ── bytes ──► Fulcrum (the built binary, port 0) ── bytes ──► Upstream (a script, a record)
//!                          └── metrics(), records(), status() over its own sockets and files
//! ```
//!
//! Everything waits for what it needs, with a deadline; nothing sleeps in the hope that it will be there.

mod child;
mod client;
mod command;
mod daemon;
mod descriptors;
mod dig;
mod head;
mod metrics;
mod pattern;
mod registry;
mod reload;
mod setup;
mod socket;
mod upstream;
mod wait;
mod wire;

pub(crate) use child::Child;
pub(crate) use client::{Client, Response};
pub(crate) use command::{Output, fulcrum, fulcrum_with_environment};
pub(crate) use daemon::Fulcrum;
pub(crate) use descriptors::raise_descriptors;
pub(crate) use dig::Dig;
pub(crate) use metrics::Metrics;
pub(crate) use pattern::{chunked, pattern};
pub(crate) use registry::{path_of, registration};
pub(crate) use setup::{REFUSED, Setup};
pub(crate) use socket::Socket;
pub(crate) use upstream::{Conversation, Upstream, ok};
pub(crate) use wait::{DEADLINE, eventually, hold};
pub(crate) use wire::{Failure, Wire};
