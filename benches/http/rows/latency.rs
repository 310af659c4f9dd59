//! Percentiles by the open loop, at a rate that no proxy is short of breath at.

use std::io;
use std::time::Duration;

use crate::generator::{self, Load, OnFailure, Outcome};
use crate::histogram::Histogram;
use crate::peer::Setup;
use crate::stage::Proxy;

use super::{Bench, CONNECTIONS, Lineup, SMALL, milliseconds, progress, slowest};

/// Below this share of the rate that was asked for, the percentiles are those of an overload.
const LEAST_ACHIEVED: f64 = 0.98;

impl Bench<'_> {
    pub(super) fn latency(&mut self, lineup: &Lineup) -> io::Result<()> {
        let rate = self.fixed_rate()?;
        let mut latencies = vec![Histogram::new(); lineup.len()];
        let mut lateness = Histogram::new();
        for _ in 0..self.options.rounds {
            for (proxy, histogram) in lineup.iter().zip(&mut latencies) {
                let Some(proxy) = proxy else { continue };
                let outcome = self.open_loop("latency", proxy, &load(proxy, rate, self.options.round()))?;
                histogram.merge(&outcome.latency);
                lateness.merge(&outcome.lateness);
            }
        }
        for (name, fraction) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            let cells = latencies.iter().map(|histogram| milliseconds(histogram.percentile(fraction)));
            self.tables.latency.push(&format!("{name}, ms, at {rate:.0} requests/s"), cells.collect());
        }
        let longest = latencies.iter().map(|histogram| milliseconds(histogram.max()));
        self.tables.latency.push("longest, ms", longest.collect());
        self.notes.push(format!(
            "The open loop itself sent requests late by {:.3} ms (p50) and {:.3} ms (p99); that is part of the latencies.",
            lateness.percentile(0.5).as_secs_f64() * 1e3,
            lateness.percentile(0.99).as_secs_f64() * 1e3,
        ));
        Ok(())
    }

    /// A quarter of what the slowest proxy does on the small row, unless told otherwise.
    pub(super) fn fixed_rate(&mut self) -> io::Result<f64> {
        if let Some(rate) = self.options.rate {
            return Ok(rate);
        }
        if self.capacity.is_none() {
            let lineup = self.start(&Setup::PLAIN)?;
            self.capacity = slowest(&self.measure("capacity", &lineup, SMALL)?);
        }
        self.capacity
            .map(|capacity| capacity / 4.0)
            .ok_or_else(|| io::Error::other("no capacity to be found"))
    }

    /// Runs a load in the open. That it fell behind is noted.
    pub(super) fn open_loop(&mut self, work: &str, proxy: &Proxy, load: &Load) -> io::Result<Outcome> {
        progress(work, &proxy.peer.label);
        let outcome = generator::run(load).map_err(|error| proxy.blame(&error))?;
        self.note_overload(work, proxy, load, &outcome);
        Ok(outcome)
    }

    pub(super) fn note_overload(&mut self, work: &str, proxy: &Proxy, load: &Load, outcome: &Outcome) {
        let achieved = outcome.latency.count() as f64 / outcome.elapsed.as_secs_f64();
        if achieved < load.rate * LEAST_ACHIEVED {
            self.notes.push(format!(
                "{}, {work}: {achieved:.0} of {:.0} requests/s in one round: its latencies are those of an overload.",
                proxy.peer.label, load.rate,
            ));
        }
    }
}

/// Small requests at a fixed rate, none of which may fail.
pub(super) fn load(proxy: &Proxy, rate: f64, duration: Duration) -> Load {
    Load {
        address: proxy.address,
        hosts: vec!["h0.example.com".to_owned()],
        target: "/".to_owned(),
        rate,
        connections: CONNECTIONS as usize,
        duration,
        on_failure: OnFailure::Fail,
    }
}
