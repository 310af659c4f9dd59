//! What the bench is told to do.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::measure::Output;

/// The registry under a fleet of instances.
#[derive(Debug, Parser)]
#[command(name = "registry")]
pub(crate) struct Options {
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Work>,
    /// Instances of the steady part.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1000..=2_000_000))]
    pub(crate) instances: u32,
    /// Heartbeats a second of the steady part.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) rate: u32,
    /// Clients that watch, each three services.
    #[arg(long, default_value_t = 1000)]
    pub(crate) watchers: usize,
    /// Seconds for which each kind of heartbeat is measured.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Instances of the growth part.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000,1000000")]
    pub(crate) sizes: Vec<u32>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Heartbeats, watchers and churn; then half of the instances fall silent, and come back.
    Steady,
    /// Memory, renewals, registration and restart by the number of instances.
    Growth,
}

impl Options {
    /// True for a part that is wanted.
    pub(crate) fn wants(&self, work: Work) -> bool {
        self.only.is_empty() || self.only.contains(&work)
    }

    /// How long each kind of heartbeat is measured.
    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
