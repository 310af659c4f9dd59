//! Fulcrum beside gdnsd, Knot and PowerDNS: the same names, the same queries, rounds by turns, and what a query costs.
//!
//! ```text
//!   core 1: dnsperf ─► core 0: the name server under test
//! ```
//!
//! The figure to compare is the server's CPU time per answered query, taken from `/proc` around each run. benches/README.md
//! has the method and the latest results.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is its result")]

mod config;
mod dnsperf;
mod options;
mod peer;
#[path = "../http/process.rs"]
#[allow(dead_code, reason = "the other bench opens connections")]
mod process;
#[path = "../http/program.rs"]
#[allow(dead_code, reason = "the other bench asks for more than a version")]
mod program;
mod question;
mod reload;
#[path = "../http/report.rs"]
mod report;
mod rows;
mod server;
mod zones;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use options::Options;
use peer::Peer;
use rows::Bench;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/README.md");
const BEGIN: &str = "<!-- dns: written by `cargo bench -p fulcrum --bench dns` with --write -->";

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
