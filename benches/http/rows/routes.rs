//! One route per host: time to start, memory, cost of a request.

use std::io;

use crate::options::Work;
use crate::peer::{Kind, Routes, Setup};
use crate::report::{Cell, median};
use crate::wrk::{Mode, Requests};

use super::{Bench, SMALL, megabytes};

const PATHS: usize = 10;

impl Bench<'_> {
    pub(super) fn routes(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Routes) {
            return Ok(());
        }
        let hosts = self.options.hosts;
        let setup = Setup::routes(Routes::Hosts(hosts));
        let mut ready = vec![Vec::new(); self.peers.len()];
        for _ in 0..self.options.rounds {
            for (times, peer) in ready.iter_mut().zip(self.peers) {
                times.push(self.stage.start(peer, &setup)?.ready_after.as_secs_f64());
            }
        }
        let lineup = self.start(&setup)?;
        let sizes = lineup.iter().flatten().map(|proxy| Ok(megabytes(proxy.process.memory()?)));
        let sizes = sizes.collect::<io::Result<Vec<_>>>()?;
        self.tables.memory.push(
            &format!("{hosts} host routes: seconds to the first answer"),
            ready.iter().map(|times| Cell::median_and_least(times, 3)).collect(),
        );
        self.tables.memory.push(&format!("{hosts} host routes: RSS, MB"), sizes);
        let title = format!("128 B over {hosts} host routes");
        let samples = self.measure(&title, &lineup, Requests { mode: Mode::Hosts(hosts, 1), ..SMALL })?;
        self.add(&title, &samples);
        Ok(())
    }

    /// What looking up one of many routes costs: the same requests against many and against one.
    pub(super) fn router(&mut self) -> io::Result<()> {
        let peers = self.peers;
        let fulcrum = peers.iter().find(|peer| peer.kind == Kind::Fulcrum);
        let Some(peer) = fulcrum.filter(|_| self.options.wants(Work::Router)) else { return Ok(()) };
        let hosts = self.options.hosts;
        let lineup = vec![
            Some(self.stage.start(peer, &Setup::routes(Routes::HostsAndPaths(hosts, PATHS)))?),
            Some(self.stage.start(peer, &Setup::PLAIN)?),
        ];
        let requests = Requests { mode: Mode::Hosts(hosts, PATHS), ..SMALL };
        let samples = self.measure("router", &lineup, requests)?;
        let (many, one) = (median(&samples[0].cost), median(&samples[1].cost));
        self.notes.push(format!(
            "Router: the same requests cost {} {many:.1} µs over {hosts} hosts × {PATHS} paths and {one:.1} µs over one route: {:.2}×.",
            peer.label,
            many / one,
        ));
        Ok(())
    }
}
