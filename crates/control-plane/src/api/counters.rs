//! What the API counts.

use std::sync::atomic::{AtomicU64, Ordering};

use hyper::StatusCode;

use super::problem::Code;
use super::route::Template;

/// What has been counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// By path and first digit of the status.
    requests: [[AtomicU64; 5]; Template::ALL.len()],
    /// By the code of the problem.
    refused: [AtomicU64; Code::ALL.len()],
    /// Connections that found no place.
    pub(super) connections_refused: AtomicU64,
    /// Those of a source that has its part of the places.
    pub(super) sources_refused: AtomicU64,
    /// Idle connections that made room for others.
    pub(super) made_room: AtomicU64,
    /// Connections that were ended because their clients did not read.
    pub(super) slow_clients: AtomicU64,
    /// The same, of those that watched.
    pub(super) slow_watchers: AtomicU64,
}

impl Counters {
    pub(super) fn answered(&self, template: Template, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.requests[template as usize][class].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, code: Code) {
        self.refused[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests: path, class of the status, count.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let paths = Template::ALL.iter().zip(&self.requests);
        paths.flat_map(|((_, path, _), classes)| {
            let counts = CLASSES.iter().zip(classes);
            counts.map(|(class, count)| (*path, *class, count.load(Ordering::Relaxed)))
        })
    }

    /// Requests that were refused: the code of the problem, count.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let codes = Code::ALL.iter().zip(&self.refused);
        codes.map(|((_, word, _), count)| (*word, count.load(Ordering::Relaxed)))
    }

    /// Connections that were ended: why, count.
    pub fn connections_ended(&self) -> [(&'static str, u64); 5] {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("limit", of(&self.connections_refused)),
            ("source_limit", of(&self.sources_refused)),
            ("idle", of(&self.made_room)),
            ("slow_client", of(&self.slow_clients)),
            ("slow_watcher", of(&self.slow_watchers)),
        ]
    }
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
