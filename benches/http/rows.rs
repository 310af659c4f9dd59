//! The rows of the bench, one after the other.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use crate::generator::{self, Load};
use crate::histogram::Histogram;
use crate::idle;
use crate::options::{Options, Work};
use crate::peer::{Kind, Peer, Routes};
use crate::report::{self, Cell, Table, median};
use crate::stage::{Proxy, Stage};
use crate::wrk::{Done, Mode, Requests, Wrk};

const CONNECTIONS: u32 = 64;
/// Bodies of 1 MiB: what is under way when time is up must stay small against what was done.
const LARGE_CONNECTIONS: u32 = 8;
const PATHS: usize = 10;
/// Below this share of the rate that was asked for, the percentiles are those of an overload.
const LEAST_ACHIEVED: f64 = 0.98;
const WARM_UP: Duration = Duration::from_secs(1);
const SMALL: Requests = Requests { target: "/", connections: CONNECTIONS, mode: Mode::Keep };

/// What a row over wrk asks for.
const PLAIN: [(Work, &str, Requests); 5] = [
    (Work::Small, "128 B, keep-alive, 64 connections", SMALL),
    (Work::TenKilobytes, "10 KiB, keep-alive, 64 connections", Requests { target: "/files/10k", ..SMALL }),
    (
        Work::OneMegabyte,
        "1 MiB, keep-alive, 8 connections",
        Requests { target: "/files/1m", connections: LARGE_CONNECTIONS, mode: Mode::Keep },
    ),
    (Work::Close, "128 B, a new connection per request", Requests { mode: Mode::Close, ..SMALL }),
    (Work::Post, "POST 4 KiB, keep-alive, 64 connections", Requests { mode: Mode::Post, ..SMALL }),
];

/// Everything that is needed to measure, and what was found so far.
pub(crate) struct Bench<'a> {
    options: &'a Options,
    peers: &'a [Peer],
    stage: Stage,
    wrk: Wrk,
    cpu: Table,
    rate: Table,
    memory: Table,
    latency: Table,
    notes: Vec<String>,
    /// Requests per second of the slowest proxy on the small row.
    capacity: Option<f64>,
}

/// What the rounds of one proxy gave.
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
        Ok(Bench {
            options,
            peers,
            stage,
            wrk,
            cpu: Table::new("CPU µs per request (median, least in brackets)"),
            rate: Table::new("Requests per second (median)"),
            memory: Table::new("Memory and start"),
            latency: Table::new("Latency under a fixed rate"),
            notes: Vec::new(),
            capacity: None,
        })
    }

    /// Measures every row that is wanted and renders the tables.
    pub(crate) fn run(mut self) -> io::Result<String> {
        self.plain_and_latency()?;
        self.access_log()?;
        self.routes()?;
        self.router()?;
        self.idle()?;
        Ok(self.render())
    }

    fn plain_and_latency(&mut self) -> io::Result<()> {
        if !PLAIN.iter().any(|(work, ..)| self.options.wants(*work)) && !self.options.wants(Work::Latency) {
            return Ok(());
        }
        let proxies = self.start(Routes::All, false)?;
        for (work, title, requests) in PLAIN {
            if self.options.wants(work) {
                let samples = self.measure(title, &proxies, requests)?;
                self.add(title, &samples);
                if work == Work::Small {
                    self.capacity = slowest(&samples);
                }
            }
        }
        if self.options.wants(Work::Latency) { self.latency(&proxies) } else { Ok(()) }
    }

    fn access_log(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::AccessLog) {
            return Ok(());
        }
        let proxies = self.start(Routes::All, true)?;
        let title = "128 B with access log";
        let samples = self.measure(title, &proxies, SMALL)?;
        if let Some(silent) = proxies.iter().find(|proxy| proxy.log_size().is_ok_and(|size| size == 0)) {
            return Err(silent.blame(&io::Error::other("nothing in its access log")));
        }
        self.add(title, &samples);
        Ok(())
    }

    /// One route per host: time to start, memory, cost of a request.
    fn routes(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Routes) {
            return Ok(());
        }
        let hosts = self.options.hosts;
        let mut ready = vec![Vec::new(); self.peers.len()];
        for _ in 0..self.options.rounds {
            for (times, peer) in ready.iter_mut().zip(self.peers) {
                times.push(self.stage.start(peer, Routes::Hosts(hosts), false)?.ready_after.as_secs_f64());
            }
        }
        let proxies = self.start(Routes::Hosts(hosts), false)?;
        let sizes = proxies.iter().map(|proxy| Ok(megabytes(proxy.process.memory()?)));
        let sizes = sizes.collect::<io::Result<Vec<_>>>()?;
        self.memory.push(
            &format!("{hosts} host routes: seconds to the first answer"),
            ready.iter().map(|times| Cell::median_and_least(times, 3)).collect(),
        );
        self.memory.push(&format!("{hosts} host routes: RSS, MB"), sizes);
        let title = format!("128 B over {hosts} host routes");
        let samples = self.measure(&title, &proxies, Requests { mode: Mode::Hosts(hosts, 1), ..SMALL })?;
        self.add(&title, &samples);
        Ok(())
    }

    /// What looking up one of many routes costs: the same requests against many and against one.
    fn router(&mut self) -> io::Result<()> {
        let peers = self.peers;
        let fulcrum = peers.iter().find(|peer| peer.kind == Kind::Fulcrum);
        let Some(peer) = fulcrum.filter(|_| self.options.wants(Work::Router)) else { return Ok(()) };
        let hosts = self.options.hosts;
        let proxies = [
            self.stage.start(peer, Routes::HostsAndPaths(hosts, PATHS), false)?,
            self.stage.start(peer, Routes::All, false)?,
        ];
        let requests = Requests { mode: Mode::Hosts(hosts, PATHS), ..SMALL };
        let samples = self.measure("router", &proxies, requests)?;
        let (many, one) = (median(&samples[0].cost), median(&samples[1].cost));
        self.notes.push(format!(
            "Router: the same requests cost {} {many:.1} µs over {hosts} hosts × {PATHS} paths and {one:.1} µs over one route: {:.2}×.",
            peer.label,
            many / one,
        ));
        Ok(())
    }

    fn idle(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Idle) {
            return Ok(());
        }
        let count = self.options.idle;
        let (mut totals, mut each) = (Vec::new(), Vec::new());
        for peer in self.peers {
            progress("idle connections", &peer.label);
            let proxy = self.stage.start(peer, Routes::All, false)?;
            let footprint = idle::measure(&proxy, count).map_err(|error| proxy.blame(&error))?;
            totals.push(megabytes(footprint.after));
            let kilobytes = footprint.after.saturating_sub(footprint.before) as f64 / 1000.0 / count as f64;
            each.push(Cell::new(kilobytes, format!("{kilobytes:.2}")));
        }
        self.memory.push(&format!("{count} idle connections: RSS, MB"), totals);
        self.memory.push(&format!("{count} idle connections: KB each"), each);
        Ok(())
    }

    /// Percentiles by the open loop, at a rate that no proxy is short of breath at.
    fn latency(&mut self, proxies: &[Proxy]) -> io::Result<()> {
        let rate = match (self.options.rate, self.capacity) {
            (Some(rate), _) => rate,
            (None, Some(capacity)) => capacity / 4.0,
            (None, None) => slowest(&self.measure("capacity", proxies, SMALL)?).unwrap_or(f64::NAN) / 4.0,
        };
        let mut latencies = vec![Histogram::new(); proxies.len()];
        let mut lateness = Histogram::new();
        for _ in 0..self.options.rounds {
            for (proxy, histogram) in proxies.iter().zip(&mut latencies) {
                progress("latency", &proxy.label);
                let load = Load {
                    address: proxy.address,
                    host: "h0.example.com".to_owned(),
                    target: "/".to_owned(),
                    rate,
                    connections: CONNECTIONS as usize,
                    duration: self.options.round(),
                };
                let outcome = generator::run(&load).map_err(|error| proxy.blame(&error))?;
                let achieved = outcome.latency.count() as f64 / outcome.elapsed.as_secs_f64();
                if achieved < rate * LEAST_ACHIEVED {
                    self.notes.push(format!(
                        "{}: {achieved:.0} of {rate:.0} requests/s in one round: its latencies are those of an overload.",
                        proxy.label
                    ));
                }
                histogram.merge(&outcome.latency);
                lateness.merge(&outcome.lateness);
            }
        }
        for (name, fraction) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            let cells = latencies.iter().map(|histogram| milliseconds(histogram.percentile(fraction)));
            self.latency.push(&format!("{name}, ms, at {rate:.0} requests/s"), cells.collect());
        }
        self.latency
            .push("longest, ms", latencies.iter().map(|histogram| milliseconds(histogram.max())).collect());
        self.notes.push(format!(
            "The open loop itself sent requests late by {:.3} ms (p50) and {:.3} ms (p99); that is part of the latencies.",
            lateness.percentile(0.5).as_secs_f64() * 1e3,
            lateness.percentile(0.99).as_secs_f64() * 1e3,
        ));
        Ok(())
    }

    fn start(&mut self, routes: Routes, access_log: bool) -> io::Result<Vec<Proxy>> {
        self.peers.iter().map(|peer| self.stage.start(peer, routes, access_log)).collect()
    }

    /// Rounds by turns, so that a change of the machine's mood meets every proxy.
    fn measure(&self, title: &str, proxies: &[Proxy], requests: Requests) -> io::Result<Vec<Samples>> {
        let mut samples = vec![Samples::default(); proxies.len()];
        for proxy in proxies {
            self.load(proxy, requests, WARM_UP)?;
        }
        for round in 0..self.options.rounds {
            progress(title, &format!("round {}", round + 1));
            for (proxy, samples) in proxies.iter().zip(&mut samples) {
                let before = proxy.process.cpu()?;
                let done = self.load(proxy, requests, self.options.round())?;
                let cpu = proxy.process.cpu()? - before;
                samples.cost.push(cpu.as_secs_f64() * 1e6 / done.requests as f64);
                samples.rate.push(done.requests as f64 / done.elapsed.as_secs_f64());
            }
        }
        Ok(samples)
    }

    fn load(&self, proxy: &Proxy, requests: Requests, duration: Duration) -> io::Result<Done> {
        self.wrk.run(&proxy.address.to_string(), requests, duration).map_err(|error| proxy.blame(&error))
    }

    fn add(&mut self, title: &str, samples: &[Samples]) {
        self.cpu.push(title, samples.iter().map(|proxy| Cell::median_and_least(&proxy.cost, 1)).collect());
        let rates = samples.iter().map(|proxy| median(&proxy.rate));
        self.rate.push(title, rates.map(|rate| Cell::new(rate, format!("{rate:.0}"))).collect());
    }

    fn render(&self) -> String {
        let labels: Vec<_> = self.peers.iter().map(|peer| peer.label.as_str()).collect();
        let mut out =
            format!("{}. {} rounds of {:?}.\n", report::machine(), self.options.rounds, self.options.round());
        for table in [&self.cpu, &self.rate, &self.memory, &self.latency] {
            let rendered = table.render(&labels);
            if !rendered.is_empty() {
                let _ = write!(out, "\n{rendered}");
            }
        }
        for note in &self.notes {
            let _ = write!(out, "\n{note}\n");
        }
        out
    }
}

fn slowest(samples: &[Samples]) -> Option<f64> {
    samples.iter().map(|proxy| median(&proxy.rate)).min_by(f64::total_cmp)
}

fn megabytes(bytes: u64) -> Cell {
    let megabytes = bytes as f64 / 1e6;
    Cell::new(megabytes, format!("{megabytes:.1}"))
}

fn milliseconds(duration: Duration) -> Cell {
    let milliseconds = duration.as_secs_f64() * 1e3;
    Cell::new(milliseconds, format!("{milliseconds:.3}"))
}

fn progress(work: &str, what: &str) {
    eprintln!("bench: {work}: {what}");
}
