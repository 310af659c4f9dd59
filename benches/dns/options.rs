//! What the bench is told to do.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::measure::Output;

/// Side-by-side bench of Fulcrum, gdnsd, Knot and PowerDNS. `PEERS="knot=/path/knotd gdnsd@3.9=/path"` takes other
/// binaries than those in PATH.
#[derive(Debug, Parser)]
#[command(name = "dns", verbatim_doc_comment)]
pub(crate) struct Options {
    /// Interleaved rounds per row.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds per round and server.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only these rows.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Work>,
    /// Only these servers: names as in the table, or `fulcrum`, `gdnsd`, `knot`, `powerdns` for all of a kind.
    #[arg(long, value_delimiter = ',')]
    pub(crate) servers: Vec<String>,
    /// Names of the large zone.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1000..=1_000_000))]
    pub(crate) names: u32,
    /// Reloads of each server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub(crate) reloads: u8,
    /// Queries a second while zones are reloaded.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) rate: u32,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A row of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Names that are always answered the same, of zones of 10, 1,000 and many names; and memory.
    Static,
    /// The same with a client subnet in the query.
    Ecs,
    /// Names that there are not, another one each time.
    Nxdomain,
    /// Names whose address depends on the client subnet.
    Geo,
    /// Names whose address is drawn by weight.
    Weighted,
    /// Static names over TCP.
    Tcp,
    /// Static names, two workers on both cores beside the load.
    Cores,
    /// From a changed zone of many names to answers by it, under load.
    Reload,
}

impl Options {
    /// True for a row that is wanted.
    pub(crate) fn wants(&self, work: Work) -> bool {
        self.only.is_empty() || self.only.contains(&work)
    }

    /// How long each server is measured per round.
    pub(crate) fn round(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
