//! How it is found out which endpoints of a service can be used, and what happens when few can.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

/// A check that asks every endpoint again and again. Equal checks give equal hashes: the hash is part of an
/// endpoint's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// The port that is asked; default that of the endpoint.
    pub port: Option<NonZeroU16>,
    /// From one check to the next. Default 2 s, 100 ms to 1 h.
    pub interval: Duration,
    /// A check that takes longer has failed. Default 1 s, 10 ms to 60 s.
    pub timeout: Duration,
    /// Good checks in a row that bring an endpoint up. Default 2.
    pub rise: NonZeroU32,
    /// Bad checks in a row that take an endpoint down. Default 3.
    pub fall: NonZeroU32,
}

/// What a check asks, and which answer is good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// A request.
    Http(HttpProbe),
    /// A connection.
    Tcp(TcpProbe),
}

/// A request, and which response is good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpProbe {
    /// Path and query; begins with `/`.
    pub path: String,
    /// GET, HEAD or OPTIONS. Default GET.
    pub method: String,
    /// The Host field; default the endpoint's address.
    pub host: Option<String>,
    /// Lower-case names, each once, and values.
    pub headers: Vec<(String, String)>,
    /// Ranges of good statuses, both ends included. Default 200 to 399.
    pub status: Vec<(u16, u16)>,
    /// Must occur in the first 64 KiB of the body.
    pub body: Option<String>,
}

/// A connection. Without anything to send or expect it is enough that it can be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpProbe {
    /// Sent first; 1 byte to 64 KiB.
    pub send: Option<Vec<u8>>,
    /// Must occur in the first 64 KiB of what comes back.
    pub expect: Option<Vec<u8>>,
}

/// Which failures of real traffic take an endpoint out for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlier {
    /// Failures in a row: connections not made, gateway errors. Default 5.
    pub consecutive_errors: NonZeroU32,
    /// The first time out; the next ones are multiples of it. Default 30 s.
    pub eject: Duration,
    /// The longest time out; not less than `eject`. Default 300 s.
    pub max_eject: Duration,
    /// Most endpoints that are out at a time, in percent of all, 1 to 100. Default 10; one is always allowed.
    pub max_ejected: u8,
}

/// When health is no longer looked at: few healthy endpoints would not survive the traffic of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// In percent of healthy endpoints, 0 to 100. Default 50.
    pub below: u8,
    /// Services of fewer endpoints panic only when none is healthy. Default 10.
    pub at_least: u32,
    /// Default all.
    pub then: PanicAction,
}

/// What a service does in panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicAction {
    /// Balances over all endpoints, healthy or not.
    All,
    /// Answers 503.
    Refuse,
}
