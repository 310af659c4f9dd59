//! The rows of the bench, one after the other.

mod features;
mod http;
mod latency;
mod memory;
mod reload;
mod routes;
mod slow;
mod tcp;

use std::io;
use std::time::Duration;

use crate::measure::{Results, progress};
use crate::options::Options;
use crate::peer::{Peer, Setup};
use crate::report::{self, Cell, Rounds, Table, median};
use crate::stage::{Proxy, Stage};
use crate::wrk::{Done, Mode, Requests, Wrk};

const CONNECTIONS: u32 = 64;
/// Bodies of 1 MiB: what is under way when time is up must stay small against what was done.
const LARGE_CONNECTIONS: u32 = 8;
const WARM_UP: Duration = Duration::from_secs(1);
const SMALL: Requests<'_> = Requests { target: "/", connections: CONNECTIONS, mode: Mode::Keep };

/// Everything that is needed to measure, and what was found so far.
pub(crate) struct Bench<'a> {
    options: &'a Options,
    peers: &'a [Peer],
    stage: Stage,
    wrk: Wrk,
    tables: Tables,
    notes: Vec<String>,
    /// What must not be in a bench, but is told with its results.
    faults: Vec<String>,
    /// Requests per second of the slowest proxy on the small row.
    capacity: Option<f64>,
}

struct Tables {
    cpu: Table,
    rate: Table,
    memory: Table,
    latency: Table,
    reload: Table,
    slow: Table,
}

/// A proxy for each peer, in their order; `None` where it cannot do the work.
type Lineup = Vec<Option<Proxy>>;

/// A proxy and the requests it gets.
#[derive(Clone, Copy)]
struct Run<'a> {
    proxy: &'a Proxy,
    requests: Requests<'a>,
}

/// What the rounds of one proxy gave; empty where it cannot do the work.
#[derive(Clone, Debug, Default)]
struct Samples {
    /// CPU microseconds per request.
    cost: Vec<f64>,
    /// Requests per second.
    rate: Vec<f64>,
}

impl<'a> Bench<'a> {
    /// Sets the stage.
    pub(crate) fn new(options: &'a Options, peers: &'a [Peer]) -> io::Result<Self> {
        let stage = Stage::set()?;
        let wrk = Wrk::find(stage.folder())?;
        let tables = Tables {
            cpu: Table::new("CPU µs per request (median, least in brackets)"),
            rate: Table::new("Requests per second (median)"),
            memory: Table::new("Memory and start"),
            latency: Table::new("Latency under a fixed rate"),
            reload: Table::new("Reload of a large configuration"),
            slow: Table::new("Slow clients"),
        };
        let (notes, faults) = (Vec::new(), Vec::new());
        Ok(Bench { options, peers, stage, wrk, tables, notes, faults, capacity: None })
    }

    /// Measures every row that is wanted and renders the tables.
    pub(crate) fn run(mut self) -> io::Result<Results> {
        self.plain_and_latency()?;
        self.access_log()?;
        self.features()?;
        self.tcp()?;
        self.routes()?;
        self.router()?;
        self.idle()?;
        self.reload()?;
        self.slow()?;
        Ok(Results { text: self.render(), faults: self.faults })
    }

    /// The proxies that can do the work.
    fn start(&mut self, setup: &Setup) -> io::Result<Lineup> {
        let stage = &mut self.stage;
        self.peers.iter().map(|peer| peer.can(setup).then(|| stage.start(peer, setup)).transpose()).collect()
    }

    /// The same requests to all.
    fn measure(&self, title: &str, lineup: &Lineup, requests: Requests<'_>) -> io::Result<Vec<Samples>> {
        self.measure_each(title, &runs(lineup, requests))
    }

    /// Rounds by turns, so that a change of the machine's mood meets every proxy.
    fn measure_each(&self, title: &str, runs: &[Option<Run<'_>>]) -> io::Result<Vec<Samples>> {
        let mut samples = vec![Samples::default(); runs.len()];
        for run in runs.iter().flatten() {
            self.load(run, WARM_UP)?;
        }
        for round in 0..self.options.rounds {
            progress(title, &format!("round {}", round + 1));
            for (run, samples) in runs.iter().zip(&mut samples) {
                let Some(run) = run else { continue };
                let before = run.proxy.process.cpu()?;
                let done = self.load(run, self.options.round())?;
                let cpu = run.proxy.process.cpu()? - before;
                samples.cost.push(cpu.as_secs_f64() * 1e6 / done.requests as f64);
                samples.rate.push(done.requests as f64 / done.elapsed.as_secs_f64());
            }
        }
        Ok(samples)
    }

    fn load(&self, run: &Run<'_>, duration: Duration) -> io::Result<Done> {
        let authority = run.proxy.address.to_string();
        self.wrk.run(&authority, run.requests, duration).map_err(|error| run.proxy.blame(&error))
    }

    fn add(&mut self, title: &str, samples: &[Samples]) {
        let costs = samples.iter().map(|proxy| Cell::median_and_least(&proxy.cost, 1));
        self.tables.cpu.push(title, costs.collect());
        let rates = samples.iter().map(|proxy| Cell::number(median(&proxy.rate), 0));
        self.tables.rate.push(title, rates.collect());
    }

    fn render(&self) -> String {
        let labels: Vec<_> = self.peers.iter().map(|peer| peer.label.as_str()).collect();
        let rounds = Rounds { count: self.options.rounds, length: self.options.round() };
        let Tables { cpu, rate, memory, latency, reload, slow } = &self.tables;
        report::render(rounds, &labels, &[cpu, rate, memory, latency, reload, slow], &self.notes)
    }
}

fn runs<'a>(lineup: &'a Lineup, requests: Requests<'a>) -> Vec<Option<Run<'a>>> {
    lineup.iter().map(|proxy| proxy.as_ref().map(|proxy| Run { proxy, requests })).collect()
}

/// The rate of the slowest that can do the work.
fn slowest(samples: &[Samples]) -> Option<f64> {
    let rates = samples.iter().map(|proxy| median(&proxy.rate)).filter(|rate| rate.is_finite());
    rates.min_by(f64::total_cmp)
}

fn megabytes(bytes: u64) -> Cell {
    Cell::number(bytes as f64 / 1e6, 1)
}

fn milliseconds(duration: Duration) -> Cell {
    Cell::number(duration.as_secs_f64() * 1e3, 3)
}
