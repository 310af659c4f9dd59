//! Fulcrum beside nginx and HAProxy: the same work, one worker on one core, rounds by turns, and what a request costs.
//!
//! ```text
//!   core 1: wrk or the open loop ─► core 0: the proxy under test ─► core 1: nginx as upstream
//! ```
//!
//! The figure to compare is the proxy's CPU time per request, taken from `/proc` around each run: it survives noisy
//! machines, requests per second do not. benches/README.md has the method and the latest results.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is its result")]

mod cookie;
#[path = "../load/generator.rs"]
mod generator;
#[path = "../load/histogram.rs"]
mod histogram;
mod idle;
mod inside;
mod options;
mod peer;
#[allow(dead_code, reason = "another bench spreads its servers")]
mod process;
mod program;
mod report;
mod rows;
mod slow;
mod stage;
mod wrk;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use options::Options;
use peer::Peer;
use rows::Bench;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/README.md");
const BEGIN: &str = "<!-- results: written by `make bench` with --write -->";

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
    let peers = Peer::find(options)?;
    let results = Bench::new(options, &peers)?.run()?;
    println!("{}", results.text);
    if !results.faults.is_empty() {
        return Err(io::Error::other(results.faults.join("\n")));
    }
    if options.write { report::write(Path::new(README), BEGIN, &results.text) } else { Ok(()) }
}
