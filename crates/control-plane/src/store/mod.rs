//! Where the registry's contents outlive the process.
//!
//! Heartbeats are never written: only what is registered, ordered and remembered. A change is told to others when it has
//! been kept, not before.

mod embedded;
mod record;

use fulcrum_model::ServiceName;

use crate::state::{Departure, Instance, Sequence};

pub use embedded::{Embedded, OpenError, StoreError};

/// Which history a registry has: another one when its store began anew. Numbers of events of two histories say nothing
/// about each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreEpoch(pub u64);

/// What a store held when it was opened.
#[derive(Debug)]
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
