//! What has an end and reaches it: drains, an operator's words, the memory of who has gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::command::{Cause, Done, Removal};
use super::instance::{Instance, Key};
use super::{Now, State};

impl State {
    /// Ends what has an end: drains, an operator's words, the memory of who has gone.
    pub(super) fn tidy(&mut self, now: Now) -> Done {
        let mut changes = Vec::new();
        for (key, what) in self.due(now) {
            let done = match what {
                Due::Drained => self.remove(&key, Cause::Drained, now),
                Due::Overlay => {
                    let (instance, lease) = self.find(&key).expect("it is due");
                    let lease = Arc::clone(lease);
                    let sequence = self.next_sequence();
                    let changed = Instance { overlay: None, sequence, ..(**instance).clone() };
                    self.put(changed, lease, Removal::None, Cause::OrderEnded)
                }
            };
            changes.extend(done.changes);
        }
        for service in self.services.values_mut() {
            service.forget_before(now.wall);
        }
        self.services.retain(|_, service| !service.is_forgotten());
        Done { changes, instance: None }
    }

    /// What has reached its end.
    fn due(&mut self, now: Now) -> BTreeMap<Key, Due> {
        let is_past = |time: Option<SystemTime>| time.is_some_and(|time| time <= now.wall);
        let mut due = BTreeMap::new();
        while let Some((end, _)) = self.ends.first()
            && *end <= now.wall
        {
            let (_, key) = self.ends.pop_first().expect("there is a first");
            // It may have changed since.
            let Some((instance, _)) = self.find(&key) else { continue };
            if is_past(instance.drain_until) {
                due.insert(key, Due::Drained);
            } else if is_past(instance.overlay_until()) {
                due.insert(key, Due::Overlay);
            }
        }
        due
    }

    pub(super) fn note_ends(&mut self, instance: &Instance) {
        for end in [instance.drain_until, instance.overlay_until()].into_iter().flatten() {
            self.ends.insert((end, instance.key.clone()));
        }
    }
}

/// What is due of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Drained,
    Overlay,
}
