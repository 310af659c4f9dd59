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
#[path = "../measure/mod.rs"]
mod measure;
mod options;
mod peer;
mod rows;
mod slow;
mod stage;
mod wrk;

use std::process::ExitCode;

use clap::Parser;

use measure::{process, program, report};
use options::Options;
use peer::Peer;
use rows::Bench;

const BEGIN: &str = "<!-- results: written by `make bench` with --write -->";

fn main() -> ExitCode {
    let options = Options::parse();
    measure::run(BEGIN, &options.output, || {
        let peers = Peer::find(&options)?;
        Bench::new(&options, &peers)?.run()
    })
}
