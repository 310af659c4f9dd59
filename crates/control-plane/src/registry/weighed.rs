//! Instances whose heartbeats say another weight than before, until the writer looks: each of them once, however often it
//! changes its mind.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;
use crate::lease::Lease;
use crate::state::{Command, Epoch, Key};

/// Who has said another weight, and by which lease.
#[derive(Debug, Default)]
pub(super) struct Weighed(Mutex<VecDeque<(Key, Arc<Lease>)>>);

impl Weighed {
    /// One more, who is not among them; whether it is the first.
    pub(super) fn add(&self, key: &Key, lease: &Arc<Lease>) -> bool {
        let mut weighed = lock(&self.0);
        weighed.push_back((key.clone(), Arc::clone(lease)));
        weighed.len() == 1
    }

    /// Whether there is anyone.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    /// So many at most, those who were there first. Whose weight has changed a moment ago stays, behind the others.
    pub(super) fn take(&self, most: usize, now: Duration) -> Vec<(Key, Arc<Lease>)> {
        let mut weighed = lock(&self.0);
        let looked_at = most.min(weighed.len());
        let first: Vec<_> = weighed.drain(..looked_at).collect();
        let (taken, early) = first.into_iter().partition(|(_, lease)| lease.may_change_weight(now));
        weighed.extend::<Vec<_>>(early);
        taken
    }
}

/// What is to be done about what one of them last said.
pub(super) fn command(key: &Key, lease: &Lease) -> Option<Command> {
    Some(Command::Weigh { key: key.clone(), epoch: Epoch(lease.epoch), weight: lease.weighed()? })
}
