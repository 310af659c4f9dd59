//! What slow clients do to a normal one, and what they take.

use std::io;
use std::thread;
use std::time::Duration;

use crate::histogram::Histogram;
use crate::idle::Footprint;
use crate::options::Work;
use crate::peer::Setup;
use crate::slow;
use crate::stage::Proxy;

use super::latency::load;
use super::memory::kilobytes_each;
use super::{Bench, milliseconds};

/// Proxies turn away who has not sent a request head after ten seconds: the slow ones are looked at before that.
const LONGEST_ROUND: Duration = Duration::from_secs(5);
/// Until all have been accepted, and again until all that are gone have been forgotten.
const SETTLE: Duration = Duration::from_secs(1);

/// What was measured with one proxy.
struct Measured {
    proxy: Proxy,
    /// In the first round, when nothing else has been asked for yet.
    footprint: Option<Footprint>,
    alone: Histogram,
    beside: Histogram,
}

impl Bench<'_> {
    pub(super) fn slow(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Slow) {
            return Ok(());
        }
        let rate = self.fixed_rate()?;
        let lineup = self.start(&Setup::PLAIN)?;
        let start =
            |proxy| Measured { proxy, footprint: None, alone: Histogram::new(), beside: Histogram::new() };
        let mut measured: Vec<_> = lineup.into_iter().flatten().map(start).collect();
        for _ in 0..self.options.rounds {
            for one in &mut measured {
                self.slow_round(one, rate)?;
            }
        }
        self.add_slow(&measured, rate);
        Ok(())
    }

    fn slow_round(&mut self, one: &mut Measured, rate: f64) -> io::Result<()> {
        let proxy = &one.proxy;
        let load = load(proxy, rate, self.options.round().min(LONGEST_ROUND));
        let before = proxy.process.memory()?;
        let (after, beside) = slow::beside(proxy.address, self.options.slow, || {
            thread::sleep(SETTLE);
            let after = proxy.process.memory()?;
            Ok((after, self.open_loop("beside slow clients", proxy, &load)?))
        })
        .map_err(|error| proxy.blame(&error))?;
        thread::sleep(SETTLE);
        let alone = self.open_loop("without slow clients", proxy, &load)?;
        one.footprint.get_or_insert(Footprint { before, after });
        one.beside.merge(&beside.latency);
        one.alone.merge(&alone.latency);
        Ok(())
    }

    fn add_slow(&mut self, measured: &[Measured], rate: f64) {
        let count = self.options.slow;
        let table = &mut self.tables.slow;
        let p99 = |histogram: &Histogram| milliseconds(histogram.percentile(0.99));
        table.push(
            &format!("p99, ms, at {rate:.0} requests/s, without slow clients"),
            measured.iter().map(|one| p99(&one.alone)).collect(),
        );
        table.push(
            &format!("p99, ms, beside {count} slow clients"),
            measured.iter().map(|one| p99(&one.beside)).collect(),
        );
        table.push(
            "longest, ms, beside them",
            measured.iter().map(|one| milliseconds(one.beside.max())).collect(),
        );
        let footprints = measured.iter().filter_map(|one| one.footprint);
        table.push(
            "a slow client: RSS, KB",
            footprints.map(|footprint| kilobytes_each(footprint, count as usize)).collect(),
        );
    }
}
