//! Bytes of TCP connections. What is in them is HTTP, of which the proxies know nothing here: small messages to and
//! fro, and bulk in either direction.

use std::io;

use crate::options::Work;
use crate::peer::Setup;
use crate::wrk::{Mode, Requests};

use super::{Bench, LARGE_CONNECTIONS, SMALL};

const LARGE: Requests<'_> =
    Requests { target: "/files/1m", connections: LARGE_CONNECTIONS, mode: Mode::Keep };
const ROWS: [(&str, Requests<'_>); 4] = [
    ("TCP: 128 B to and fro, 64 connections", SMALL),
    ("TCP: the same, a new connection each time", Requests { mode: Mode::Close, ..SMALL }),
    ("TCP: 1 MiB down, 8 connections", LARGE),
    ("TCP: 1 MiB up, 8 connections", Requests { target: "/sink", mode: Mode::Post(1024 * 1024), ..LARGE }),
];

impl Bench<'_> {
    pub(super) fn tcp(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Tcp) {
            return Ok(());
        }
        let lineup = self.start(&Setup::Tcp)?;
        for (title, requests) in ROWS {
            let samples = self.measure(title, &lineup, requests)?;
            self.add(title, &samples);
        }
        Ok(())
    }
}
