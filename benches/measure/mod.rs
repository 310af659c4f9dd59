//! What the benches share: how one begins and ends, processes on cores of their own, programs of others, tables.

#![allow(dead_code, reason = "no bench needs all of it")]

pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod report;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use process::Process;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/README.md");
const POLL: Duration = Duration::from_millis(1);

/// Options of every bench.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Puts the tables into benches/README.md.
    #[arg(long)]
    write: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What came of a bench that ran to its end.
pub(crate) struct Results {
    /// The tables and what is to be said of them.
    pub(crate) text: String,
    /// Why they are not to be shown to anybody.
    pub(crate) faults: Vec<String>,
}

/// Measures on the core of the load, and shows what was found; with `--write` also behind the mark `begin` of the README.
pub(crate) fn run(begin: &str, output: &Output, measure: impl FnOnce() -> io::Result<Results>) -> ExitCode {
    match measure_and_show(begin, output, measure) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_and_show(
    begin: &str,
    output: &Output,
    measure: impl FnOnce() -> io::Result<Results>,
) -> io::Result<()> {
    if !cfg!(target_os = "linux") {
        return Err(io::Error::other("measures through /proc: Linux only"));
    }
    process::pin_self()?;
    process::raise_descriptors()?;
    let results = measure()?;
    println!("{}", results.text);
    if !results.faults.is_empty() {
        return Err(io::Error::other(results.faults.join("\n")));
    }
    if output.write { report::write(Path::new(README), begin, &results.text) } else { Ok(()) }
}

/// Tells what is being done.
pub(crate) fn progress(work: &str, what: &str) {
    eprintln!("bench: {work}: {what}");
}

/// Asks a process that was just started until something comes of it.
///
/// # Errors
/// It has ended, or the last error after so much time.
pub(crate) fn await_start<T>(
    process: &mut Process,
    patience: Duration,
    ask: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    await_answer(patience, || process.check(), ask)
}

/// Asks until something comes of it.
///
/// # Errors
/// The last one, after so much time.
pub(crate) fn await_change<T>(patience: Duration, ask: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    await_answer(patience, || Ok(()), ask)
}

fn await_answer<T>(
    patience: Duration,
    mut check: impl FnMut() -> io::Result<()>,
    mut ask: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let start = Instant::now();
    loop {
        match ask() {
            Err(error) if start.elapsed() > patience => return Err(error),
            Err(_) => check()?,
            done => return done,
        }
        thread::sleep(POLL);
    }
}

/// A loopback port that nobody listens on at the moment.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
