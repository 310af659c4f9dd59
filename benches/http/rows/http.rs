//! Rows over wrk to one endpoint.

use std::io;

use crate::options::Work;
use crate::peer::{Feature, Routes, Setup};
use crate::wrk::{Mode, Requests};

use super::{Bench, LARGE_CONNECTIONS, SMALL, slowest};

/// What a row asks for.
const PLAIN: [(Work, &str, Requests<'_>); 5] = [
    (Work::Small, "128 B, keep-alive, 64 connections", SMALL),
    (Work::TenKilobytes, "10 KiB, keep-alive, 64 connections", Requests { target: "/files/10k", ..SMALL }),
    (
        Work::OneMegabyte,
        "1 MiB, keep-alive, 8 connections",
        Requests { target: "/files/1m", connections: LARGE_CONNECTIONS, mode: Mode::Keep },
    ),
    (Work::Close, "128 B, a new connection per request", Requests { mode: Mode::Close, ..SMALL }),
    (Work::Post, "POST 4 KiB, keep-alive, 64 connections", Requests { mode: Mode::Post(4096), ..SMALL }),
];

impl Bench<'_> {
    pub(super) fn plain_and_latency(&mut self) -> io::Result<()> {
        if !PLAIN.iter().any(|(work, ..)| self.options.wants(*work)) && !self.options.wants(Work::Latency) {
            return Ok(());
        }
        let lineup = self.start(&Setup::PLAIN)?;
        for (work, title, requests) in PLAIN {
            if self.options.wants(work) {
                let samples = self.measure(title, &lineup, requests)?;
                self.add(title, &samples);
                if work == Work::Small {
                    self.capacity = slowest(&samples);
                }
            }
        }
        if self.options.wants(Work::Latency) { self.latency(&lineup) } else { Ok(()) }
    }

    pub(super) fn access_log(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::AccessLog) {
            return Ok(());
        }
        let lineup = self.start(&Setup::http(Routes::All, 1, &[Feature::AccessLog]))?;
        let title = "128 B with access log";
        let samples = self.measure(title, &lineup, SMALL)?;
        lineup.iter().flatten().try_for_each(super::features::has_logged)?;
        self.add(title, &samples);
        Ok(())
    }
}
