//! A fleet at its work: heartbeats, watchers, some who are replaced; then half of it falls silent, and comes back.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::beats::{Beats, Outcome, Sent};
use super::churn;
use super::daemon::Daemon;
use super::fleet::Fleet;
use super::histogram::Histogram;
use super::options::Options;
use super::register;
use super::report::{Cell, Table};
use super::watchers::Watchers;

/// Of all tables here.
pub(crate) const COLUMNS: [&str; 2] = ["one request each", "100 in a request"];

/// Measures one daemon all the way.
pub(crate) fn run(options: &Options) -> io::Result<Vec<Table>> {
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::start(folder.path())?;
    let empty = daemon.memory()?;
    let fleet = Fleet::new(options.instances, "30s");
    let registered_in = register::all(daemon.registry, &fleet)?;
    let memory = daemon.memory()?;
    let scene = Scene { options, daemon: &daemon, fleet: &fleet };
    let begin = || Watchers::start(daemon.registry, options.watchers);
    let (_, watchers) = scene.beats(1, Sent::Together(100)).during(begin)?;
    let watched = daemon.memory()?;
    let alone = scene.steady(Sent::Alone, &watchers)?;
    let together = scene.steady(Sent::Together(100), &watchers)?;
    let mut table = Table::new(&format!(
        "{} instances in 1000 services, {} heartbeats a second, {} watchers, 1 % replaced a minute",
        fleet.len(),
        options.rate,
        options.watchers
    ));
    for (row, (one, other)) in ROWS.iter().zip(alone.cells().into_iter().zip(together.cells())) {
        table.push(row, vec![one, other]);
    }
    let mut around = Table::new("Around it");
    let mut push = |row: &str, value: f64, decimals| {
        around.push(row, vec![Cell::number(value, decimals), Cell::absent()]);
    };
    push("all registered, over 512 connections, s", registered_in.as_secs_f64(), 2);
    push("RSS before, MB", megabytes(empty), 1);
    push("RSS then, MB", megabytes(memory), 1);
    push("RSS with everyone who watches, MB", megabytes(watched), 1);
    let silence = scene.silence()?;
    watchers.stop();
    Ok(vec![table, around, silence])
}

/// Rows of the first table.
const ROWS: [&str; 10] = [
    "CPU, cores",
    "CPU µs per heartbeat, everything included",
    "heartbeat p50, ms",
    "heartbeat p99, ms",
    "heartbeat p99.9, ms",
    "heartbeat longest, ms",
    "the load was late by, p99, ms",
    "acknowledged registration to event, p50, ms",
    "acknowledged registration to event, p99, ms",
    "RSS, MB",
];

struct Scene<'a> {
    options: &'a Options,
    daemon: &'a Daemon,
    fleet: &'a Fleet,
}

/// What was measured of a span of time.
struct Span {
    outcome: Outcome,
    cpu: Duration,
    elapsed: Duration,
    watch: Histogram,
    memory: u64,
}

impl Span {
    fn cells(&self) -> Vec<Cell> {
        let latency = &self.outcome.latency;
        vec![
            Cell::number(self.cpu.as_secs_f64() / self.elapsed.as_secs_f64(), 2),
            Cell::number(self.cpu.as_secs_f64() * 1e6 / self.outcome.count as f64, 1),
            milliseconds(latency.percentile(0.5)),
            milliseconds(latency.percentile(0.99)),
            milliseconds(latency.percentile(0.999)),
            milliseconds(latency.max()),
            milliseconds(self.outcome.lateness.percentile(0.99)),
            milliseconds(self.watch.percentile(0.5)),
            milliseconds(self.watch.percentile(0.99)),
            Cell::number(megabytes(self.memory), 1),
        ]
    }
}

impl<'a> Scene<'a> {
    fn beats(&self, one_of: usize, sent: Sent) -> Beats<'a> {
        Beats { address: self.daemon.registry, fleet: self.fleet, one_of, rate: self.options.rate, sent }
    }

    /// Everyone beats, and one in a hundred is replaced each minute.
    fn steady(&self, sent: Sent, watchers: &Watchers) -> io::Result<Span> {
        let interval = Duration::from_secs(60) / (self.fleet.len() as u32 / 100);
        let is_over = &AtomicBool::new(false);
        watchers.take();
        let (outcome, (cpu, elapsed, acknowledged)) = self.beats(1, sent).during(|| {
            thread::scope(|scope| {
                let churn = scope.spawn(|| churn::run(self.daemon.registry, self.fleet, interval, is_over));
                let (began, before) = (Instant::now(), self.daemon.cpu());
                thread::sleep(self.options.span());
                let (elapsed, after) = (began.elapsed(), self.daemon.cpu());
                is_over.store(true, Ordering::Relaxed);
                let acknowledged = churn.join().expect("churn does not panic")?;
                thread::sleep(AFTERWARDS);
                Ok((after? - before?, elapsed, acknowledged))
            })
        })?;
        let watch = latencies(&acknowledged, &watchers.take());
        if outcome.unknown > acknowledged.len() as u64 {
            return Err(io::Error::other(format!("{} heartbeats found nobody", outcome.unknown)));
        }
        if watch.count() < acknowledged.len() as u64 {
            return Err(io::Error::other("watchers have not seen every registration"));
        }
        // Heartbeats of the time that was measured.
        let outcome =
            Outcome { count: (f64::from(self.options.rate) * elapsed.as_secs_f64()) as u64, ..outcome };
        Ok(Span { outcome, cpu, elapsed, watch, memory: self.daemon.memory()? })
    }

    /// Every other one falls silent at once; when all of these are suspect, and a while later, all beat again.
    fn silence(&self) -> io::Result<Table> {
        let daemon = self.daemon;
        let half = self.fleet.len() / 2;
        let (silent, (mut busiest, lapsed_in)) = self.beats(2, Sent::Alone).during(|| {
            let began = Instant::now();
            let mut busiest = 0.0;
            while daemon.metric(SUSPECTS)? < half as f64 {
                busiest = self.busy_second()?.max(busiest);
                if began.elapsed() > LAPSED_WITHIN {
                    return Err(io::Error::other("not all who are silent are suspect"));
                }
            }
            let lapsed_in = began.elapsed();
            for _ in 0..5 {
                busiest = self.busy_second()?.max(busiest);
            }
            Ok((busiest, lapsed_in))
        })?;
        let frozen = daemon.metric("fulcrum_registry_frozen")?;
        let evicted = daemon.metric(EVICTIONS)?;
        let (back, back_in) = self.beats(1, Sent::Alone).during(|| {
            let began = Instant::now();
            while daemon.metric(SUSPECTS)? > 0.0 {
                busiest = self.busy_second()?.max(busiest);
                if began.elapsed() > LAPSED_WITHIN {
                    return Err(io::Error::other("not everyone is believed again"));
                }
            }
            Ok(began.elapsed())
        })?;
        if (frozen, evicted) != (1.0, 0.0) || daemon.metric("fulcrum_registry_frozen")? != 0.0 {
            return Err(io::Error::other(format!("the silence was not held: {evicted} were removed")));
        }
        let mut table = Table::new("Every other instance falls silent at once, and beats again");
        let mut push = |row: &str, cell| table.push(row, vec![cell, Cell::absent()]);
        push("until all of them are held, s", Cell::number(lapsed_in.as_secs_f64(), 1));
        push("removed", Cell::number(evicted, 0));
        push("heartbeat of the others meanwhile, p99, ms", milliseconds(silent.latency.percentile(0.99)));
        push("the longest, ms", milliseconds(silent.latency.max()));
        push("until all are believed again, s", Cell::number(back_in.as_secs_f64(), 1));
        push("heartbeat of all meanwhile, p99, ms", milliseconds(back.latency.percentile(0.99)));
        push("the longest, ms", milliseconds(back.latency.max()));
        push("the busiest second, CPU, cores", Cell::number(busiest, 2));
        push("RSS, MB", Cell::number(megabytes(daemon.memory()?), 1));
        Ok(table)
    }

    /// The cores that the daemon uses in the next second.
    fn busy_second(&self) -> io::Result<f64> {
        let (began, before) = (Instant::now(), self.daemon.cpu()?);
        thread::sleep(Duration::from_secs(1));
        Ok((self.daemon.cpu()? - before).as_secs_f64() / began.elapsed().as_secs_f64())
    }
}

/// From each acknowledgement to each sight of the event; nothing where it was seen before.
fn latencies(acknowledged: &[(u64, Instant)], seen: &[(u64, Instant)]) -> Histogram {
    let acknowledged: HashMap<u64, Instant> = acknowledged.iter().copied().collect();
    let mut histogram = Histogram::new();
    for (sequence, at) in seen {
        if let Some(acknowledged) = acknowledged.get(sequence) {
            histogram.record(at.saturating_duration_since(*acknowledged));
        }
    }
    histogram
}

fn milliseconds(duration: Duration) -> Cell {
    Cell::number(duration.as_secs_f64() * 1e3, 3)
}

/// As `/proc` counts them: 2^20.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

const EVICTIONS: &str = "fulcrum_registry_evictions_total";
const SUSPECTS: &str = "fulcrum_registry_suspects";

/// For the last events to come.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// Twice the time-to-live.
const LAPSED_WITHIN: Duration = Duration::from_secs(60);
