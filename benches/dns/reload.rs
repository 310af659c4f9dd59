//! A large zone that is changed while it is asked.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Setup, Source};
use crate::dnsperf::{Done, Load, Transport};
use crate::measure::progress;
use crate::peer::{Kind, Peer};
use crate::report::{Cell, median};
use crate::rows::Bench;
use crate::zones::About;

/// What came of it with one server.
struct Measured {
    /// Seconds that each reload took.
    seconds: Vec<f64>,
    done: Done,
}

impl Bench<'_> {
    pub(crate) fn reload(&mut self) -> io::Result<()> {
        let (peers, names) = (self.peers, self.options.names);
        let in_file = peers.iter().map(|peer| self.reload_one(peer, Source::File).map(Some));
        let in_file = in_file.collect::<io::Result<Vec<_>>>()?;
        self.add_reload(&format!("{names} names in a zone file"), &in_file);
        for (source, what) in [
            (Source::Beside, format!("a name beside a zone file of {names}")),
            (Source::Inline, format!("{names} names in the configuration")),
        ] {
            let mut own =
                |peer: &Peer| (peer.kind == Kind::Fulcrum).then(|| self.reload_one(peer, source)).transpose();
            let measured = peers.iter().map(&mut own).collect::<io::Result<Vec<_>>>()?;
            self.add_reload(&what, &measured);
        }
        Ok(())
    }

    fn reload_one(&mut self, peer: &Peer, source: Source) -> io::Result<Measured> {
        progress("reload", &format!("{} ({source:?})", peer.label));
        let names = self.options.names;
        let server = self.start(peer, &Setup { names, workers: 1, source })?;
        let about = About::Static(names);
        let file = self.queries.file(about)?;
        let load = Load {
            queries: &file,
            code: about.code(),
            transport: Transport::Udp,
            rate: Some(self.options.rate),
            duration: UNDER_LOAD,
        };
        let count = self.options.reloads;
        let reload_all = || {
            let start = Instant::now();
            let mut seconds = Vec::new();
            // The last one has to end before the load does.
            while seconds.len() < usize::from(count) && start.elapsed() < UNDER_LOAD * 2 / 3 {
                thread::sleep(BETWEEN);
                seconds.push(server.reload(seconds.len() as u32 + 1)?.as_secs_f64());
            }
            Ok(seconds)
        };
        let outcome = self.dnsperf.run_while(server.address, &load, reload_all);
        let (done, seconds) = outcome.map_err(|error| server.blame(&error))?;
        if done.lost > 0 && peer.kind == Kind::Fulcrum {
            self.faults.push(format!("{}: {} queries lost by reloads", peer.label, done.lost));
        }
        Ok(Measured { seconds, done })
    }

    fn add_reload(&mut self, what: &str, measured: &[Option<Measured>]) {
        let cell = |of: &dyn Fn(&Measured) -> Cell| {
            measured.iter().map(|one| one.as_ref().map_or_else(Cell::absent, of)).collect()
        };
        let longest = |one: &Measured| one.seconds.iter().copied().fold(0.0, f64::max) * 1e3;
        let table = &mut self.tables.reload;
        table.push(
            &format!("{what}: ms from the order to the first answer by it, median"),
            cell(&|one| Cell::number(median(&one.seconds) * 1e3, 1)),
        );
        table.push("the longest of them", cell(&|one| Cell::number(longest(one), 1)));
        table.push("queries lost meanwhile", cell(&|one| Cell::number(one.done.lost as f64, 0)));
        table.push(
            &format!("longest answer, ms, at {} queries/s", self.options.rate),
            cell(&|one| Cell::number(one.done.longest.as_secs_f64() * 1e3, 1)),
        );
    }
}

/// How long queries are sent while zones change.
const UNDER_LOAD: Duration = Duration::from_secs(6);
/// What was left behind by the reload before is done with.
const BETWEEN: Duration = Duration::from_millis(200);
