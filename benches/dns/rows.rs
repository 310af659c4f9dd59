//! The rows of the bench, one after the other.

use std::io;
use std::time::Duration;

use tempfile::TempDir;

use crate::config::{Setup, Source};
use crate::dnsperf::{Dnsperf, Load, Transport};
use crate::measure::{Results, progress};
use crate::options::{Options, Work};
use crate::peer::Peer;
use crate::report::{self, Cell, Rounds, Table, median};
use crate::server::Server;
use crate::zones::{About, Queries};

/// Everything that is needed to measure, and what was found so far.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) peers: &'a [Peer],
    pub(crate) dnsperf: Dnsperf,
    pub(crate) queries: Queries,
    pub(crate) tables: Tables,
    pub(crate) notes: Vec<String>,
    /// What must not be in a bench, but is told with its results.
    pub(crate) faults: Vec<String>,
    folder: TempDir,
    servers: u32,
    /// CPU µs of the smallest static zone, and of the largest, by peer.
    extremes: [Vec<f64>; 2],
}

pub(crate) struct Tables {
    pub(crate) cpu: Table,
    pub(crate) rate: Table,
    pub(crate) memory: Table,
    pub(crate) reload: Table,
}

/// What the rounds of one server gave.
#[derive(Clone, Debug, Default)]
struct Samples {
    /// CPU microseconds per query.
    cost: Vec<f64>,
    /// Queries per second.
    rate: Vec<f64>,
}

const SMALL: u32 = 10;
const MIDDLE: u32 = 1000;

impl<'a> Bench<'a> {
    /// Makes room for files.
    pub(crate) fn new(options: &'a Options, peers: &'a [Peer]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("fulcrum-bench-").tempdir()?;
        let tables = Tables {
            cpu: Table::new("CPU µs per query (median, least in brackets)"),
            rate: Table::new("Queries per second (median)"),
            memory: Table::new("Names: memory and start"),
            reload: Table::new("Reload of a zone under load"),
        };
        Ok(Bench {
            options,
            peers,
            dnsperf: Dnsperf::find()?,
            queries: Queries::new(folder.path()),
            tables,
            notes: Vec::new(),
            faults: Vec::new(),
            folder,
            servers: 0,
            extremes: [Vec::new(), Vec::new()],
        })
    }

    /// Measures every row that is wanted and renders the tables.
    pub(crate) fn run(mut self) -> io::Result<Results> {
        self.small_zone()?;
        self.larger_zones()?;
        self.both_cores()?;
        if self.options.wants(Work::Reload) {
            self.reload()?;
        }
        Ok(Results { text: self.render(), faults: self.faults })
    }

    /// Starts a server with these zones.
    pub(crate) fn start(&mut self, peer: &Peer, setup: &Setup) -> io::Result<Server> {
        self.servers += 1;
        let folder = self.folder.path().join(format!("{}-{}", self.servers, peer.kind.name()));
        Server::start(peer, setup, &folder)
    }

    fn start_all(&mut self, names: u32, workers: u32) -> io::Result<Vec<Server>> {
        let setup = Setup { names, workers, source: Source::File };
        self.peers.iter().map(|peer| self.start(peer, &setup)).collect()
    }

    fn small_zone(&mut self) -> io::Result<()> {
        use Transport::{Tcp, Udp};
        let rows = [
            (Work::Static, "static, 10 names", About::Static(SMALL), Udp),
            (Work::Ecs, "static with a client subnet", About::Ecs(SMALL), Udp),
            (Work::Nxdomain, "NXDOMAIN, random names", About::Nothing, Udp),
            (Work::Geo, "geo by 1,000 networks, with a client subnet", About::Geo, Udp),
            (Work::Weighted, "weighted", About::Weighted, Udp),
            (Work::Tcp, "static over TCP, 16 connections", About::Static(SMALL), Tcp),
        ];
        if !rows.iter().any(|(work, ..)| self.options.wants(*work)) {
            return Ok(());
        }
        let servers = self.start_all(SMALL, 1)?;
        for (work, title, about, transport) in rows {
            if self.options.wants(work) {
                let samples = self.measure(title, &servers, about, transport)?;
                if work == Work::Static {
                    self.extremes[0] = samples.iter().map(|samples| median(&samples.cost)).collect();
                }
            }
        }
        Ok(())
    }

    fn larger_zones(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Static) {
            return Ok(());
        }
        let many = self.options.names;
        let mut memory = Vec::new();
        for names in [MIDDLE, many] {
            let servers = self.start_all(names, 1)?;
            memory
                .push(servers.iter().map(|server| server.process.memory()).collect::<io::Result<Vec<_>>>()?);
            let samples = self.measure(
                &format!("static, {names} names"),
                &servers,
                About::Static(names),
                Transport::Udp,
            )?;
            if names == many {
                self.extremes[1] = samples.iter().map(|samples| median(&samples.cost)).collect();
                let ready = servers.iter().map(|server| Cell::number(server.ready_after.as_secs_f64(), 3));
                let title = format!("{names} names in a zone file: seconds to the first answer");
                self.tables.memory.push(&title, ready.collect());
            }
        }
        let [some, all] = &memory[..] else { return Ok(()) };
        let each = |(some, all): (&u64, &u64)| all.saturating_sub(*some) as f64 / f64::from(many - MIDDLE);
        self.tables.memory.push(
            &format!("{many} names: RSS, MB"),
            all.iter().map(|bytes| Cell::number(*bytes as f64 / 1e6, 1)).collect(),
        );
        let each = some.iter().zip(all).map(|pair| Cell::number(each(pair), 0));
        self.tables.memory.push("bytes each", each.collect());
        let growth: Vec<String> = self
            .peers
            .iter()
            .zip(self.extremes[0].iter().zip(&self.extremes[1]))
            .map(|(peer, (few, many))| format!("{} {:.2}×", peer.label, many / few))
            .collect();
        self.notes.push(format!("{many} names against 10: {}.", growth.join(", ")));
        Ok(())
    }

    /// Two workers and the load on two cores.
    fn both_cores(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Cores) {
            return Ok(());
        }
        let servers = self.start_all(SMALL, 2)?;
        for server in &servers {
            server.process.spread()?;
        }
        let title = "static, 10 names, two workers on both cores beside the load";
        self.measure(title, &servers, About::Static(SMALL), Transport::Udp).map(drop)
    }

    /// Rounds by turns, so that a change of the machine's mood meets every server.
    fn measure(
        &mut self,
        title: &str,
        servers: &[Server],
        about: About,
        transport: Transport,
    ) -> io::Result<Vec<Samples>> {
        let file = self.queries.file(about)?;
        let load = |duration| Load { queries: &file, code: about.code(), transport, rate: None, duration };
        let mut samples = vec![Samples::default(); servers.len()];
        for server in servers {
            self.dnsperf.run(server.address, &load(WARM_UP)).map_err(|error| server.blame(&error))?;
        }
        for round in 0..self.options.rounds {
            progress(title, &format!("round {}", round + 1));
            for (server, samples) in servers.iter().zip(&mut samples) {
                let before = server.process.cpu()?;
                let done = self.dnsperf.run(server.address, &load(self.options.round()));
                let done = done.map_err(|error| server.blame(&error))?;
                let cpu = server.process.cpu()? - before;
                if done.lost > 0 {
                    self.faults.push(format!("{}: {title}: {} queries lost", server.peer.label, done.lost));
                }
                samples.cost.push(cpu.as_secs_f64() * 1e6 / done.answered as f64);
                samples.rate.push(done.answered as f64 / done.elapsed.as_secs_f64());
            }
        }
        let costs = samples.iter().map(|server| Cell::median_and_least(&server.cost, 2));
        self.tables.cpu.push(title, costs.collect());
        let rates = samples.iter().map(|server| Cell::number(median(&server.rate), 0));
        self.tables.rate.push(title, rates.collect());
        Ok(samples)
    }

    fn render(&self) -> String {
        let labels: Vec<_> = self.peers.iter().map(|peer| peer.label.as_str()).collect();
        let rounds = Rounds { count: self.options.rounds, length: self.options.round() };
        let Tables { cpu, rate, memory, reload } = &self.tables;
        report::render(rounds, &labels, &[cpu, rate, memory, reload], &self.notes)
    }
}

const WARM_UP: Duration = Duration::from_secs(1);
