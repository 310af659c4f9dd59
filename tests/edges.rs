//! Slow, large and odd requests, one test per rule.

mod identity;
mod overload;
mod paths;
mod sizes;
mod slow_client;
pub(crate) mod slow_clients;
mod time;
