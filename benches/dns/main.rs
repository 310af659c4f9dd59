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
#[path = "../measure/mod.rs"]
mod measure;
mod options;
mod peer;
mod question;
mod reload;
mod rows;
mod server;
mod zones;

use std::process::ExitCode;

use clap::Parser;

use measure::{process, program, report};
use options::Options;
use peer::Peer;
use rows::Bench;

const BEGIN: &str = "<!-- dns: written by `cargo bench -p fulcrum --bench dns` with --write -->";

fn main() -> ExitCode {
    let options = Options::parse();
    measure::run(BEGIN, &options.output, || {
        let peers = Peer::find(&options)?;
        Bench::new(&options, &peers)?.run()
    })
}
