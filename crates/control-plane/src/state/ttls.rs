//! How long the leases of instances last, so that the longest is known without a look at all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::service::Slot;

/// So many instances have this time-to-live.
#[derive(Debug, Default)]
pub(super) struct Ttls(BTreeMap<Duration, usize>);

impl Ttls {
    /// In the place of one instance, or of nobody, there is another one, or nobody.
    pub(super) fn replace(&mut self, before: Option<&Slot>, after: Option<&Slot>) {
        if let Some(slot) = after {
            *self.0.entry(slot.instance.ttl()).or_default() += 1;
        }
        if let Some(slot) = before {
            let ttl = slot.instance.ttl();
            let count = self.0.get_mut(&ttl).expect("it was counted as it came");
            *count -= 1;
            if *count == 0 {
                self.0.remove(&ttl);
            }
        }
    }

    /// The longest; zero without instances.
    pub(super) fn longest(&self) -> Duration {
        self.0.last_key_value().map_or(Duration::ZERO, |(ttl, _)| *ttl)
    }
}
