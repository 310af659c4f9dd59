//! A bound address and what is spoken on it.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use fulcrum_model::{ListenerName, ServiceName};

/// A validated listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Unique among listeners.
    pub name: ListenerName,
    /// At least one.
    pub binds: Vec<Bind>,
    /// What is spoken. Default http.
    pub protocol: Protocol,
    /// What happens to requests.
    pub action: ListenerAction,
    /// Downstream connections at a time over all workers; `None` leaves the process-wide cap alone.
    pub max_connections: Option<NonZeroU32>,
    /// Downstream connections at a time from one source address. Default none.
    pub connections_per_source: Option<NonZeroU32>,
    /// How long to wait for the downstream.
    pub timeouts: DownstreamTimeouts,
    /// What a request may look like.
    pub http: HttpRules,
}

/// What a listener speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP, whose requests are routed one by one.
    Http,
    /// Any stream of bytes: every connection goes to an endpoint of this service, which exists.
    Tcp(ServiceName),
}

/// What a listener does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerAction {
    /// Looks for a route.
    Route,
    /// Answers 308 to the same host and target over https (`redirect: https`).
    RedirectToHttps,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// `HOST:PORT`, or `:PORT` for both address families. Port 0 lets the kernel choose.
    Tcp {
        /// The address; `[::]` for both `:PORT` and `[::]:PORT`.
        address: SocketAddr,
        /// True for `:PORT`: IPv4 and IPv6 on one socket (IPv4 alone where the host has no IPv6).
        dual_stack: bool,
    },
    /// `unix:/path`, an absolute path.
    Unix(PathBuf),
}

/// Clocks that run while we wait for the downstream. `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownstreamTimeouts {
    /// Total time for a request head, from its first byte (or from accept). Default 10 s.
    pub header: Option<Duration>,
    /// Time without progress on a body, either way. Default 60 s.
    pub body_idle: Option<Duration>,
    /// Time between requests. Default 75 s.
    pub keep_alive: Option<Duration>,
}

/// What a request may look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRules {
    /// Longest request line in bytes, 414 beyond. Default 8 KiB, 256 B to 64 KiB.
    pub request_line: u32,
    /// Longest single field line in bytes, 431 beyond. Default 16 KiB, 256 B to 64 KiB.
    pub header_field: u32,
    /// Longest header block in bytes, 431 beyond. Default 64 KiB, 1 KiB to 1 MiB.
    pub headers: u32,
    /// Most fields of a header block, 431 beyond. Default 100, 8 to 1000.
    pub header_count: u16,
    /// Longest body in bytes, 413 beyond; `None` is unlimited, the default.
    pub body: Option<u64>,
    /// Field names with an underscore. Default reject.
    pub underscores: Underscores,
    /// `%2F` and `%5C` in the path. Default keep.
    pub encoded_slash: EncodedSlash,
}

/// What becomes of a field name with an underscore (CGI cannot tell `a_b` from `a-b`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Underscores {
    /// 400.
    Reject,
    /// The field is not forwarded.
    Drop,
    /// Forwarded as any other.
    Allow,
}

/// What becomes of an encoded slash or backslash in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSlash {
    /// Matched and forwarded as it is.
    Keep,
    /// 400.
    Reject,
    /// 307 to the same target with the slashes decoded.
    Redirect,
}
