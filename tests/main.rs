//! The real daemon, end to end: raw bytes on one side, a recording upstream on the other, and its own metrics and log.

mod balancing;
mod client;
mod config_errors;
mod discovery;
mod dns;
mod edges;
mod harness;
mod lifecycle;
mod messages;
mod observability;
mod registry;
mod resilience;
mod routing;
mod smuggling;
mod soak;
mod streaming;
mod tcp;
mod transport;
mod tunnels;
mod workspace;
