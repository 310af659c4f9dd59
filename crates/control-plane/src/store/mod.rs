//! Where the registry's contents outlive the process.
//!
//! Heartbeats are never written: only what is registered, ordered and remembered. A change is told to others when it has
//! been kept, not before.

mod embedded;
mod export;
mod record;

use std::fmt;

use fulcrum_model::ServiceName;

use crate::state::{Departure, Instance, Sequence};

pub use embedded::{Embedded, FoundError, OpenError, StoreError, found};
pub use export::{ImportError, export, import};
pub use record::RecordError;

/// Which history a registry has: another one when its store began anew. Numbers of events of two histories say nothing
/// about each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreEpoch(pub u64);

/// What a store held when it was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Its history.
    pub epoch: StoreEpoch,
    /// Events are numbered from the one after this: no number was given out beyond it before.
    pub sequence: Sequence,
    /// Everyone registered.
    pub instances: Vec<Instance>,
    /// Those who went a while ago.
    pub departed: Vec<(ServiceName, Departure)>,
}

impl Image {
    /// Of a history that begins.
    pub(crate) fn empty(epoch: StoreEpoch) -> Self {
        Image { epoch, sequence: Sequence(0), instances: Vec::new(), departed: Vec::new() }
    }
}

impl fmt::Display for StoreEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
