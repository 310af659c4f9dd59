//! Cells: numbers of one worker, which nobody else changes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Limit;
use crate::http::error::Reason;

/// A number that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    pub(crate) fn add(&self, count: u64) {
        // Not a read-modify-write instruction: there is no second writer.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(count), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Responses by the first digit of their status.
#[derive(Debug, Default)]
pub(crate) struct CodeClasses([Cell; 5]);

impl CodeClasses {
    pub(crate) const NAMES: [&'static str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    pub(crate) fn add(&self, status: u16) {
        self.0[usize::from(status / 100).clamp(1, 5) - 1].add(1);
    }

    pub(crate) fn get(&self) -> [u64; 5] {
        std::array::from_fn(|class| self.0[class].get())
    }
}

/// Seconds in buckets.
#[derive(Debug)]
pub(crate) struct Histogram {
    pub(super) buckets: [Cell; BOUNDS.len() + 1],
    /// Nanoseconds.
    pub(super) sum: Cell,
}

/// Upper bounds of the buckets, in seconds.
pub(crate) const BOUNDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The same in nanoseconds.
const BOUNDS_NANOS: [u64; BOUNDS.len()] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: std::array::from_fn(|_| Cell::default()), sum: Cell::default() }
    }
}

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration) {
        let nanos = nanos(duration);
        let bucket = BOUNDS_NANOS.iter().position(|&bound| nanos <= bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].add(1);
        self.sum.add(nanos);
    }
}

/// As a whole number of nanoseconds; 584 years are enough.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Numbers of one listener on one worker.
#[derive(Debug, Default)]
pub(crate) struct ListenerCells {
    pub(crate) connections: Cell,
    pub(crate) connections_now: Cell,
    pub(crate) requests: CodeClasses,
    pub(crate) requests_now: Cell,
    pub(crate) duration: Histogram,
    pub(crate) received_bytes: Cell,
    pub(crate) sent_bytes: Cell,
}

/// Numbers of one route on one worker.
#[derive(Debug, Default)]
pub(crate) struct RouteCells {
    pub(crate) requests: CodeClasses,
    /// Nanoseconds.
    pub(crate) duration: Cell,
}

/// Numbers of one service on one worker.
#[derive(Debug, Default)]
pub(crate) struct ServiceCells {
    pub(crate) connect: Histogram,
    pub(crate) first_byte: Histogram,
    pub(crate) retries: Cell,
    /// Seconds in the queue, of those who waited.
    pub(crate) queued: Histogram,
}

/// Numbers of one endpoint on one worker.
#[derive(Debug)]
pub(crate) struct EndpointCells {
    pub(crate) requests: CodeClasses,
    /// Nanoseconds.
    pub(crate) duration: Cell,
    pub(crate) connections: Cell,
    pub(crate) reused: Cell,
    pub(crate) idle: Cell,
    pub(crate) errors: [Cell; Reason::ALL.len()],
}

impl Default for EndpointCells {
    fn default() -> Self {
        EndpointCells {
            requests: CodeClasses::default(),
            duration: Cell::default(),
            connections: Cell::default(),
            reused: Cell::default(),
            idle: Cell::default(),
            errors: std::array::from_fn(|_| Cell::default()),
        }
    }
}

/// Numbers of one worker that belong to no object.
#[derive(Debug)]
pub(crate) struct WorkerCells {
    pub(crate) errors: [Cell; Reason::ALL.len()],
    pub(crate) tcp_errors: [Cell; Reason::ALL.len()],
    pub(crate) idle_closed: Cell,
    pub(crate) panics: Cell,
    pub(crate) limit_hits: [Cell; Limit::ALL.len()],
    pub(crate) handed_over: Cell,
    pub(crate) accepted: Cell,
}

impl Default for WorkerCells {
    fn default() -> Self {
        WorkerCells {
            errors: std::array::from_fn(|_| Cell::default()),
            tcp_errors: std::array::from_fn(|_| Cell::default()),
            idle_closed: Cell::default(),
            panics: Cell::default(),
            limit_hits: std::array::from_fn(|_| Cell::default()),
            handed_over: Cell::default(),
            accepted: Cell::default(),
        }
    }
}

impl WorkerCells {
    pub(crate) fn hit(&self, limit: Limit) {
        self.limit_hits[limit as usize].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_agree() {
        for (seconds, nanos) in BOUNDS.iter().zip(BOUNDS_NANOS) {
            assert_eq!((seconds * 1e9).round() as u64, nanos);
        }
    }
}
