//! What features cost that are off elsewhere: the small row over three endpoints with each of them on, in the same
//! rounds as without.

use std::io;

use crate::cookie;
use crate::inside;
use crate::options::Work;
use crate::peer::{Feature, Kind, MAX_REQUESTS, MOST_ENDPOINTS, Routes, Setup};
use crate::report::median;
use crate::stage::Proxy;
use crate::wrk::{Mode, Requests};

use super::{Bench, Lineup, Run, SMALL, Samples};

/// The first is what the others are compared with.
const ROWS: [(&str, &[Feature]); 5] = [
    ("nothing more", &[]),
    ("health checks", &[Feature::Health]),
    ("cookie stickiness", &[Feature::Sticky]),
    ("a queue", &[Feature::Queue]),
    ("all these and the access log", &[Feature::Health, Feature::Sticky, Feature::Queue, Feature::AccessLog]),
];
/// Clients with a cookie each.
const CLIENTS: usize = 12;

/// A row: its proxies, and for each the cookies of its clients.
struct Row {
    title: &'static str,
    features: &'static [Feature],
    lineup: Lineup,
    cookies: Vec<Vec<String>>,
}

impl Bench<'_> {
    pub(super) fn features(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Features) {
            return Ok(());
        }
        let rows = ROWS.map(|(title, features)| self.feature(title, features));
        let rows = rows.into_iter().collect::<io::Result<Vec<_>>>()?;
        let runs: Vec<_> = rows.iter().flat_map(Row::runs).collect();
        let samples = self.measure_each("features", &runs)?;
        let groups: Vec<_> = samples.chunks(self.peers.len()).collect();
        for (row, samples) in rows.iter().zip(&groups) {
            row.check()?;
            self.add(&format!("128 B, {MOST_ENDPOINTS} endpoints, {}", row.title), samples);
        }
        self.compare(&rows, &groups)
    }

    fn feature(&mut self, title: &'static str, features: &'static [Feature]) -> io::Result<Row> {
        let lineup = self.start(&Setup::http(Routes::All, MOST_ENDPOINTS, features))?;
        let mut cookies = vec![Vec::new(); lineup.len()];
        if features.contains(&Feature::Sticky) {
            for (proxy, cookies) in lineup.iter().zip(&mut cookies) {
                let Some(proxy) = proxy else { continue };
                *cookies = cookie::collect(proxy.address, CLIENTS).map_err(|error| proxy.blame(&error))?;
            }
        }
        Ok(Row { title, features, lineup, cookies })
    }

    /// What Fulcrum pays for each feature.
    fn compare(&mut self, rows: &[Row], groups: &[&[Samples]]) -> io::Result<()> {
        let Some(column) = self.peers.iter().position(|peer| peer.kind == Kind::Fulcrum) else {
            return Ok(());
        };
        let without = median(&groups[0][column].cost);
        let prices: Vec<_> = rows.iter().zip(groups).skip(1).collect();
        let prices = prices
            .into_iter()
            .map(|(row, samples)| format!("{} {:.2}×", row.title, median(&samples[column].cost) / without));
        let prices = prices.collect::<Vec<_>>().join(", ");
        let queue = rows.iter().find(|row| row.features == [Feature::Queue]);
        let queue = queue.and_then(|row| row.lineup[column].as_ref()).expect("Fulcrum has a queue");
        let waiting = 100.0 * inside::waited(queue)? as f64 / inside::answered(queue)? as f64;
        self.notes.push(format!(
            "{}'s features, against none: {prices}. With {MAX_REQUESTS} requests at each endpoint {waiting:.0} % of them have waited.",
            self.peers[column].label,
        ));
        Ok(())
    }
}

impl Row {
    fn runs(&self) -> impl Iterator<Item = Option<Run<'_>>> {
        self.lineup.iter().zip(&self.cookies).map(|(proxy, cookies)| {
            let mode = if cookies.is_empty() { Mode::Keep } else { Mode::Cookies(cookies) };
            proxy.as_ref().map(|proxy| Run { proxy, requests: Requests { mode, ..SMALL } })
        })
    }

    /// An error when a feature that was on has done nothing.
    fn check(&self) -> io::Result<()> {
        for (proxy, cookies) in self.lineup.iter().zip(&self.cookies) {
            let Some(proxy) = proxy else { continue };
            self.features.iter().try_for_each(|feature| match feature {
                Feature::AccessLog => has_logged(proxy),
                Feature::Health => {
                    inside::checks(proxy).and_then(|checks| at_least_one(checks, proxy, "check"))
                }
                Feature::Sticky => {
                    cookie::are_good(proxy.address, cookies).map_err(|error| proxy.blame(&error))
                }
                Feature::Queue => inside::waited(proxy)
                    .and_then(|waited| at_least_one(waited, proxy, "request that waited")),
            })?;
        }
        Ok(())
    }
}

fn at_least_one(count: u64, proxy: &Proxy, what: &str) -> io::Result<()> {
    if count > 0 { Ok(()) } else { Err(proxy.blame(&io::Error::other(format!("not one {what}")))) }
}

/// An error when there is nothing in its access log.
pub(super) fn has_logged(proxy: &Proxy) -> io::Result<()> {
    at_least_one(proxy.log_size()?, proxy, "line in its access log")
}
