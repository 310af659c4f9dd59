//! Instances whose heartbeats say another weight than before, until the writer looks: each of them once, however often it
//! changes its mind.

use std::sync::{Arc, Mutex};

use super::lock;
use crate::lease::Lease;
use crate::state::{Command, Epoch, Key};

/// Who has said another weight, and by which lease.
#[derive(Debug, Default)]
pub(super) struct Weighed(Mutex<Vec<(Key, Arc<Lease>)>>);

impl Weighed {
    /// One more, who is not among them; whether it is the first.
    pub(super) fn add(&self, key: &Key, lease: &Arc<Lease>) -> bool {
        let mut weighed = lock(&self.0);
        weighed.push((key.clone(), Arc::clone(lease)));
        weighed.len() == 1
    }

    /// Whether there is anyone.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    /// All of them.
    pub(super) fn take(&self) -> Vec<(Key, Arc<Lease>)> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// What is to be done about what one of them last said.
pub(super) fn command(key: &Key, lease: &Lease) -> Option<Command> {
    Some(Command::Weigh { key: key.clone(), epoch: Epoch(lease.epoch), weight: lease.weighed()? })
}
