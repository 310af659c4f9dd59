//! What the bench is told to do.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::measure::Output;

/// Side-by-side bench of Fulcrum, nginx and HAProxy. `PEERS="nginx=/path/nginx nginx@1.31=/path haproxy=/path"` takes
/// other binaries than those in PATH.
#[derive(Debug, Parser)]
#[command(name = "http", verbatim_doc_comment)]
pub(crate) struct Options {
    /// Interleaved rounds per row.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds per round and proxy.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only these rows.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Work>,
    /// Only these proxies: names as in the table, or `nginx`, `haproxy`, `fulcrum` for all of a kind.
    #[arg(long, value_delimiter = ',')]
    pub(crate) proxies: Vec<String>,
    /// Requests per second of the rows with a fixed rate, instead of a quarter of the slowest proxy's capacity.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Idle connections of the memory row.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) idle: usize,
    /// Slow clients, a sixth of each kind.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(6..))]
    pub(crate) slow: u32,
    /// Reloads of the reload row.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) reloads: u8,
    /// Hosts of the routes and reload rows.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) hosts: usize,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A row of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// 128 bytes over 64 keep-alive connections.
    Small,
    /// 10 KiB bodies.
    #[value(name = "10k")]
    TenKilobytes,
    /// 1 MiB bodies.
    #[value(name = "1m")]
    OneMegabyte,
    /// A connection per request.
    Close,
    /// 4 KiB request bodies.
    Post,
    /// The small row with the access log on.
    AccessLog,
    /// The small row over three endpoints, without and with health checks, stickiness, a queue, and all of them.
    Features,
    /// TCP: small and large, up and down, and a connection per message.
    Tcp,
    /// The small row with one route per host.
    Routes,
    /// Hosts × 10 paths against one route, Fulcrum only.
    Router,
    /// Memory of idle connections.
    Idle,
    /// Percentiles under a fixed rate.
    Latency,
    /// The same while a large configuration is exchanged again and again.
    Reload,
    /// The same beside slow clients, and their memory.
    Slow,
}

impl Options {
    /// True for a row that is wanted.
    pub(crate) fn wants(&self, work: Work) -> bool {
        self.only.is_empty() || self.only.contains(&work)
    }

    /// How long each proxy is measured per round.
    pub(crate) fn round(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
