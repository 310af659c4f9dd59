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
mod options;
#[path = "../http/process.rs"]
#[allow(dead_code, reason = "the other bench sends signals, too")]
mod process;
mod register;
#[path = "../http/report.rs"]
#[allow(dead_code, reason = "the other bench compares with others")]
mod report;
mod steady;
mod watchers;
mod wire;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use options::{Options, Work};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/README.md");
const BEGIN: &str = "<!-- registry: written by `cargo bench -p fulcrum --bench registry` with --write -->";

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    if !cfg!(target_os = "linux") {
        return Err(io::Error::other("measures through /proc: Linux only"));
    }
    process::pin_self()?;
    process::raise_descriptors()?;
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
    println!("{text}");
    if options.write { report::write(Path::new(README), BEGIN, &text) } else { Ok(()) }
}

/// By default Linux may wake a sleeper 50 µs late, which would count as latency. Threads inherit the setting; where it is
/// refused the delay shows in how late the load was sent.
fn sharpen_timers() {
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
}

/// Of connections besides those of watchers.
const DESCRIPTORS: u64 = 1024;
