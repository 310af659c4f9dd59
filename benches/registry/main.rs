//! The registry under a fleet: the real daemon on one core, everyone else on the other, over loopback HTTP.
//!
//! ```text
//!   core 1: registrations, heartbeats (open loop), watchers, churn ─► core 0: fulcrum with a registry
//! ```
//!
//! What is measured is the daemon's: its CPU time and memory from `/proc`, what clients wait for it. benches/README.md has the
//! method and the latest results.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is its result")]

mod beats;
mod churn;
mod daemon;
mod fleet;
mod growth;
#[path = "../load/histogram.rs"]
mod histogram;
#[path = "../measure/mod.rs"]
mod measure;
mod options;
mod register;
mod steady;
mod watchers;
mod wire;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use measure::{Results, process, report};
use options::{Options, Work};

const BEGIN: &str = "<!-- registry: written by `cargo bench -p fulcrum --bench registry` with --write -->";

fn main() -> ExitCode {
    let options = Options::parse();
    measure::run(BEGIN, &options.output, || measure(&options))
}

fn measure(options: &Options) -> io::Result<Results> {
    process::need_descriptors(DESCRIPTORS + options.watchers as u64)?;
    sharpen_timers();
    let mut text = format!("{}.\n", report::machine());
    if options.wants(Work::Steady) {
        for table in steady::run(options)? {
            text += &format!("\n{}", table.render(&steady::COLUMNS));
        }
    }
    if options.wants(Work::Growth) {
        text += &format!("\n{}", growth::run(options)?);
    }
    Ok(Results { text, faults: Vec::new() })
}

/// By default Linux may wake a sleeper 50 µs late, which would count as latency. Threads inherit the setting; where it is
/// refused the delay shows in how late the load was sent.
fn sharpen_timers() {
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
}

/// Of connections besides those of watchers.
const DESCRIPTORS: u64 = 1024;
