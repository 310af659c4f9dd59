//! What another instance costs, by how many there are.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use super::beats::{Beats, Sent};
use super::daemon::Daemon;
use super::fleet::Fleet;
use super::options::Options;
use super::register;
use super::steady::megabytes;

/// A table, a line for each size.
pub(crate) fn run(options: &Options) -> io::Result<String> {
    let mut text = format!(
        "### Growth\n\n| instances | all registered, s | a second | RSS, MB | bytes each | a renewal, CPU µs | \
         start with the file, s | RSS then, MB |\n|---:|{}\n",
        "---:|".repeat(7)
    );
    for &size in &options.sizes {
        let line = Line::measure(size)?;
        let _ = writeln!(
            text,
            "| {size} | {:.2} | {:.0} | {:.1} | {:.0} | {:.2} | {:.2} | {:.1} |",
            line.registered_in.as_secs_f64(),
            f64::from(size) / line.registered_in.as_secs_f64(),
            megabytes(line.memory),
            line.bytes_each,
            line.renewal.as_secs_f64() * 1e6,
            line.restarted_in.as_secs_f64(),
            megabytes(line.memory_restarted),
        );
    }
    Ok(text)
}

struct Line {
    registered_in: Duration,
    memory: u64,
    bytes_each: f64,
    renewal: Duration,
    restarted_in: Duration,
    memory_restarted: u64,
}

impl Line {
    fn measure(size: u32) -> io::Result<Line> {
        let folder = tempfile::tempdir()?;
        let daemon = Daemon::start(folder.path())?;
        let empty = daemon.memory()?;
        let fleet = Fleet::new(size, "1h");
        let registered_in = register::all(daemon.registry, &fleet)?;
        let memory = daemon.memory()?;
        let renewal = renewal(&daemon, &fleet)?;
        drop(daemon);
        let daemon = Daemon::start(folder.path())?;
        daemon.await_metric("fulcrum_registry_instances", f64::from(size), Duration::ZERO)?;
        Ok(Line {
            registered_in,
            memory,
            bytes_each: memory.saturating_sub(empty) as f64 / f64::from(size),
            renewal,
            restarted_in: daemon.started_in,
            memory_restarted: daemon.memory()?,
        })
    }
}

/// The CPU time that a heartbeat in a large batch takes: little else is in it but the renewal.
fn renewal(daemon: &Daemon, fleet: &Fleet) -> io::Result<Duration> {
    let beats = Beats { address: daemon.registry, fleet, one_of: 1, rate: RATE, sent: Sent::Together(1000) };
    let (began, before) = (Instant::now(), daemon.cpu()?);
    let outcome = beats.during_span(SPAN)?;
    let (elapsed, cpu) = (began.elapsed(), daemon.cpu()? - before);
    if outcome.unknown > 0 || elapsed > SPAN * 2 {
        return Err(io::Error::other(format!("{} unknown, in {elapsed:?}", outcome.unknown)));
    }
    Ok(cpu.div_f64(outcome.count as f64))
}

/// A second.
const RATE: u32 = 50_000;

const SPAN: Duration = Duration::from_secs(5);
