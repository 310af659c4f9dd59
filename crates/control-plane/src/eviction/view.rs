//! A silent instance among the others of its service.

use std::time::Duration;

use fulcrum_model::{Reach, ServiceName};

use super::Reaches;
use crate::state::{Evidence, Hold, Instance, State};

/// What is known of a service as a whole.
pub(super) struct View {
    pub(super) total: usize,
    /// Instances that somebody looks at, and those of them that can be reached.
    checked: usize,
    reachable: usize,
    /// The longest of its instances.
    pub(super) ttl: Duration,
}

pub(super) enum Verdict {
    Go(Evidence),
    Keep(Hold),
    Unproven,
}

impl View {
    pub(super) fn of(service: &ServiceName, state: &State, reaches: &Reaches) -> Self {
        let mut view = View { total: 0, checked: 0, reachable: 0, ttl: Duration::ZERO };
        for (instance, _) in state.instances(service) {
            view.total += 1;
            view.ttl = view.ttl.max(instance.ttl());
            match reach_of(reaches, instance) {
                Reach::Unknown => {}
                Reach::Reachable => (view.checked, view.reachable) = (view.checked + 1, view.reachable + 1),
                Reach::Failing => view.checked += 1,
            }
        }
        view
    }

    /// A case by itself, of an instance that is not known to be reachable.
    pub(super) fn judge(&self, instance: &Instance, reach: Reach, silent_for: Duration) -> Verdict {
        match reach {
            // It has said that it would go.
            _ if instance.drain_until.is_some() => Verdict::Go(Evidence::Silence),
            Reach::Unknown | Reach::Reachable => Verdict::Unproven,
            Reach::Failing => {
                let others = self.checked - 1;
                if others > 0 && self.reachable * 2 >= others {
                    Verdict::Go(Evidence::Unreachable)
                } else if others == 0 && silent_for >= instance.ttl() * LONG {
                    Verdict::Go(Evidence::LongSilence)
                } else {
                    Verdict::Unproven
                }
            }
        }
    }
}

pub(super) fn reach_of(reaches: &Reaches, instance: &Instance) -> Reach {
    reaches.get(&instance.key.id).copied().unwrap_or_default()
}

/// With nobody to compare it with, an instance that fails has to be silent for so many times its time-to-live.
const LONG: u32 = 3;
