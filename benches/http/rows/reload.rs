//! A large configuration in use while its versions are put into force one after the other.

use std::io;
use std::path::PathBuf;

use crate::generator::{self, Load, OnFailure, Outcome};
use crate::options::Work;
use crate::peer::{ALL_ENDPOINTS, Fleet, Kind, LEAST_HOSTS, Peer, Setup};
use crate::report::{Cell, median};
use crate::stage::Proxy;

use super::latency::load;
use super::{Bench, WARM_UP, megabytes, milliseconds};

/// What came of it with one proxy.
struct Measured {
    label: String,
    /// Without a reload.
    quiet: Outcome,
    /// While one reload followed the other.
    during: Outcome,
    /// Seconds that each took.
    seconds: Vec<f64>,
    /// Bytes before them and right after the last.
    memory: [u64; 2],
}

impl Bench<'_> {
    pub(super) fn reload(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Reload) {
            return Ok(());
        }
        let hosts = self.options.hosts;
        if hosts < LEAST_HOSTS {
            return Err(io::Error::other(format!("the reload row needs --hosts {LEAST_HOSTS} or more")));
        }
        let rate = self.fixed_rate()?;
        let peers = self.peers;
        let measured = peers.iter().map(|peer| self.reload_one(peer, rate));
        let measured = measured.collect::<io::Result<Vec<_>>>()?;
        let faulty = |one: &&Measured, peer: &Peer| peer.kind == Kind::Fulcrum && one.during.failed > 0;
        for (one, _) in measured.iter().zip(peers).filter(|(one, peer)| faulty(one, peer)) {
            self.faults.push(format!("{}: {} requests failed during reloads", one.label, one.during.failed));
        }
        self.add_reload(&measured, rate);
        Ok(())
    }

    fn reload_one(&mut self, peer: &Peer, rate: f64) -> io::Result<Measured> {
        let fleet = |version| Fleet { hosts: self.options.hosts, version };
        let versions: Vec<_> = (1..=self.options.reloads).map(fleet).collect();
        let proxy = self.stage.start(peer, &Setup::Fleet(fleet(0)))?;
        let quiet = Load { hosts: fleet(0).asked(), ..load(&proxy, rate, self.options.round()) };
        let counting = Load { on_failure: OnFailure::Count, ..quiet.clone() };
        let blame = |error: io::Error| proxy.blame(&error);
        let prepared = versions.iter().map(|fleet| proxy.prepare(&Setup::Fleet(*fleet)));
        let prepared = prepared.collect::<io::Result<Vec<_>>>()?;

        // Pooled connections to the endpoints are made first.
        generator::run(&Load { duration: WARM_UP, ..quiet.clone() }).map_err(blame)?;
        let before = self.open_loop("before reloads", &proxy, &quiet)?;
        let memory = proxy.process.memory()?;
        super::progress("during reloads", &peer.label);
        let work = || reload_all(&proxy, &versions, &prepared);
        let (during, seconds) = generator::run_while(&counting, work).map_err(blame)?;
        self.note_overload("during reloads", &proxy, &counting, &during);
        let memory = [memory, proxy.process.memory()?];
        Ok(Measured { label: peer.label.clone(), quiet: before, during, seconds, memory })
    }

    fn add_reload(&mut self, measured: &[Measured], rate: f64) {
        let scale = format!("{} routes, {ALL_ENDPOINTS} endpoints", self.options.hosts);
        let reloads = self.options.reloads;
        let mut row = |title: &str, cell: &dyn Fn(&Measured) -> Cell| {
            self.tables.reload.push(title, measured.iter().map(cell).collect());
        };
        row(
            &format!(
                "{scale}: seconds from the order to the first answer by the new one, median of {reloads}"
            ),
            &|one| Cell::number(median(&one.seconds), 3),
        );
        row("the longest of them", &|one| {
            Cell::number(one.seconds.iter().copied().fold(f64::NAN, f64::max), 3)
        });
        row(&format!("p99, ms, at {rate:.0} requests/s, without reloads"), &|one| p99(&one.quiet));
        row("p99, ms, while one reload follows the other", &|one| p99(&one.during));
        row("longest, ms, meanwhile", &|one| milliseconds(one.during.latency.max()));
        row("failed requests per million, meanwhile", &|one| failed_per_million(&one.during));
        row("RSS, MB, before", &|one| megabytes(one.memory[0]));
        row("RSS, MB, right after", &|one| megabytes(one.memory[1]));
    }
}

fn reload_all(proxy: &Proxy, versions: &[Fleet], prepared: &[PathBuf]) -> io::Result<Vec<f64>> {
    let both = versions.iter().zip(prepared);
    both.map(|(fleet, file)| Ok(proxy.reload(file, &fleet.marker())?.as_secs_f64())).collect()
}

fn p99(outcome: &Outcome) -> Cell {
    milliseconds(outcome.latency.percentile(0.99))
}

fn failed_per_million(outcome: &Outcome) -> Cell {
    let all = outcome.failed + outcome.latency.count();
    Cell::number(outcome.failed as f64 * 1e6 / all as f64, 0)
}
