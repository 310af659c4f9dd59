//! What has happened: each worker counts for itself, a scrape adds up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;
use fulcrum_model::{DnsName, RecordType};

use crate::answer::{Answered, Transport};
use crate::snapshot::Snapshot;

/// The counters of a responder, through all its generations.
#[derive(Debug)]
pub struct Counters {
    /// By worker; the last is that of TCP.
    workers: Box<[CachePadded<Cells>]>,
    zones: ArcSwap<BTreeMap<DnsName, std::sync::Arc<ZoneCells>>>,
}

#[derive(Debug, Default)]
struct Cells {
    transports: [AtomicU64; 2],
    truncated: AtomicU64,
    drops: [AtomicU64; DROPS.len()],
}

/// The counters of a zone.
#[derive(Debug)]
pub struct ZoneCells {
    workers: Box<[CachePadded<ZoneCell>]>,
}

#[derive(Debug, Default)]
struct ZoneCell {
    types: [AtomicU64; TYPES.len() + 1],
    codes: [AtomicU64; CODES.len() + 1],
}

/// Why there was no answer, or not a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// No query, or from nobody who could get an answer.
    Unanswerable,
    /// The client's network got enough of it.
    Limited,
    /// As above; it was sent empty and truncated.
    Slipped,
    /// The system did not take it.
    Unsent,
    /// There are too many connections.
    Connections,
    /// A connection without a query for too long.
    Idle,
}

impl Counters {
    /// For so many workers over UDP, and TCP.
    pub fn new(workers: usize) -> Self {
        let workers = (0..=workers).map(|_| CachePadded::default()).collect();
        Counters { workers, zones: ArcSwap::default() }
    }

    /// The number that connections count under.
    pub(crate) fn tcp(&self) -> usize {
        self.workers.len() - 1
    }

    pub(crate) fn dropped(&self, worker: usize, why: Drop, count: u64) {
        self.workers[worker].drops[why as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn answered(
        &self,
        worker: usize,
        snapshot: &Snapshot,
        answered: &Answered,
        transport: Transport,
    ) {
        let one = |cell: &AtomicU64| cell.fetch_add(1, Ordering::Relaxed);
        let cells = &self.workers[worker];
        one(&cells.transports[transport as usize]);
        if answered.is_truncated {
            one(&cells.truncated);
        }
        let zone = answered.zone.and_then(|zone| snapshot.zone_cells.get(zone as usize));
        let cell = &zone.unwrap_or(&snapshot.nowhere_cells).workers[worker];
        let record_type =
            TYPES.iter().position(|known| known.0 == answered.record_type).unwrap_or(TYPES.len());
        let code = CODES.iter().position(|(known, _)| *known == answered.code).unwrap_or(CODES.len());
        one(&cell.types[record_type]);
        one(&cell.codes[code]);
        if let Some((choice, part)) = answered.choice {
            snapshot.choices[choice as usize].count(worker, part);
        }
    }

    /// The counters of these zones, and of what is in none: those that there were before go on.
    pub fn of_zones<'a>(
        &self,
        zones: impl Iterator<Item = &'a DnsName>,
    ) -> (Vec<std::sync::Arc<ZoneCells>>, std::sync::Arc<ZoneCells>) {
        let before = self.zones.load();
        let of = |name: &DnsName| {
            before
                .get(name)
                .cloned()
                .unwrap_or_else(|| std::sync::Arc::new(ZoneCells::new(self.workers.len())))
        };
        let names: Vec<&DnsName> = zones.collect();
        let cells: Vec<_> = names.iter().map(|name| of(name)).collect();
        let nowhere = of(&nowhere());
        let now = names.iter().copied().cloned().zip(cells.iter().cloned());
        self.zones.store(std::sync::Arc::new(now.chain([(self::nowhere(), nowhere.clone())]).collect()));
        (cells, nowhere)
    }

    /// Queries by transport, as `udp` and `tcp`.
    pub fn transports(&self) -> [(&'static str, u64); 2] {
        let sum = |transport: Transport| self.sum(|cells| &cells.transports[transport as usize]);
        [("udp", sum(Transport::Udp)), ("tcp", sum(Transport::Tcp))]
    }

    /// Answers that did not fit.
    pub fn truncated(&self) -> u64 {
        self.sum(|cells| &cells.truncated)
    }

    /// What was not answered, or not whole, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DROPS.iter().map(|(why, word)| (*word, self.sum(|cells| &cells.drops[*why as usize])))
    }

    fn sum(&self, cell: impl Fn(&Cells) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|cells| cell(cells).load(Ordering::Relaxed)).sum()
    }

    /// Queries of each zone by type, and answers by code. The zone of what is in none is `none`.
    pub fn zones(&self) -> Vec<ZoneCounts> {
        let zones = self.zones.load();
        zones
            .iter()
            .map(|(name, cells)| {
                cells.counts(if *name == nowhere() { "none".to_owned() } else { name.to_string() })
            })
            .collect()
    }
}

/// What no zone is called: it stands for what is in none.
fn nowhere() -> DnsName {
    DnsName::from_wire(b"\x07nowhere\x04none\x00").unwrap_or_else(DnsName::root)
}

/// The counts of a zone.
#[derive(Clone, Debug)]
pub struct ZoneCounts {
    /// The name.
    pub zone: String,
    /// By type of the question.
    pub types: Vec<(String, u64)>,
    /// By code of the answer.
    pub codes: Vec<(&'static str, u64)>,
}

impl ZoneCells {
    fn new(workers: usize) -> Self {
        ZoneCells { workers: (0..workers).map(|_| CachePadded::default()).collect() }
    }

    /// Counters that nothing adds up.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn alone() -> std::sync::Arc<Self> {
        std::sync::Arc::new(ZoneCells::new(1))
    }

    fn counts(&self, zone: String) -> ZoneCounts {
        let sum = |cell: &dyn Fn(&ZoneCell) -> &AtomicU64| -> u64 {
            self.workers.iter().map(|cells| cell(cells).load(Ordering::Relaxed)).sum()
        };
        let types = TYPES.iter().map(ToString::to_string).chain(["other".to_owned()]);
        let codes = CODES.iter().map(|(_, word)| *word).chain(["other"]);
        ZoneCounts {
            zone,
            types: types.enumerate().map(|(place, name)| (name, sum(&|cell| &cell.types[place]))).collect(),
            codes: codes.enumerate().map(|(place, word)| (word, sum(&|cell| &cell.codes[place]))).collect(),
        }
    }
}

const DROPS: [(Drop, &str); 6] = [
    (Drop::Unanswerable, "unanswerable"),
    (Drop::Limited, "rate_limited"),
    (Drop::Slipped, "slipped"),
    (Drop::Unsent, "unsent"),
    (Drop::Connections, "connections"),
    (Drop::Idle, "idle"),
];

/// Types with a counter of their own; the others share one.
const TYPES: [RecordType; 13] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::HTTPS,
    RecordType::CNAME,
    RecordType::MX,
    RecordType::NS,
    RecordType::SOA,
    RecordType::TXT,
    RecordType::SRV,
    RecordType::PTR,
    RecordType::SVCB,
    RecordType::DS,
    RecordType::ANY,
];

const CODES: [(u16, &str); 7] = [
    (0, "noerror"),
    (1, "formerr"),
    (3, "nxdomain"),
    (4, "notimp"),
    (5, "refused"),
    (9, "notauth"),
    (16, "badvers"),
];
