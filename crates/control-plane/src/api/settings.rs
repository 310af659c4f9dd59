//! What can be configured of the API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::address::AllowAddresses;
use super::auth::Token;

/// What of the API is configured, and can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which of several nodes this is: places in the order of events of one say nothing to another.
    pub node: u32,
    /// How long an instance stays without heartbeats, when it does not say so itself.
    pub ttl: Duration,
    /// Registrations in a second.
    pub register_rate: u32,
    /// Who may do what; without any, only clients of this host are served.
    pub tokens: Vec<Arc<Token>>,
    /// Where instances may point.
    pub allow_addresses: AllowAddresses,
    /// Where we listen ourselves: no instance may point there.
    pub own: Vec<SocketAddr>,
}

/// How much the API takes on at once, for as long as it runs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections, without those that watch.
    pub connections: usize,
    /// Clients that watch, or wait for a list to change.
    pub watchers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            node: 0,
            ttl: Duration::from_secs(30),
            register_rate: 1000,
            tokens: Vec::new(),
            allow_addresses: AllowAddresses::default(),
            own: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 1000, watchers: 4096 }
    }
}
