//! Limits of a service, and a queue that has something to wait for.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::code::Code;
use crate::decode::{Limit, Whole};
use crate::limits::{Queue, ServiceLimits};
use crate::raw::RawServiceLimits;
use crate::report::Problems;

/// How much a service takes at a time.
pub(crate) fn limits(raw: Option<&RawServiceLimits>, problems: &mut Problems) -> ServiceLimits {
    if let Some(raw) = raw {
        refuse_idle_queue(raw, problems);
    }
    let queue = raw.and_then(|raw| raw.queue.as_ref());
    let most = queue.and_then(|queue| queue.max).map_or(1000, |most| most.0);
    ServiceLimits {
        max_requests: bound(raw.and_then(|raw| raw.max_requests)),
        max_connections: bound(raw.and_then(|raw| raw.max_connections)),
        queue: Queue {
            max: u32::try_from(most).unwrap_or(u32::MAX),
            timeout: queue
                .and_then(|queue| queue.timeout)
                .map_or(Duration::from_secs(5), |timeout| timeout.0),
        },
    }
}

/// `none` and absence are no bound.
pub(crate) fn bound(limit: Option<Limit<Whole<1, 4_294_967_295>>>) -> Option<NonZeroU32> {
    limit?.0.and_then(|most| NonZeroU32::new(u32::try_from(most.0).unwrap_or(u32::MAX)))
}

/// Nothing ever waits where nothing is bounded.
fn refuse_idle_queue(raw: &RawServiceLimits, problems: &mut Problems) {
    let bounded = ["max_requests", "max_connections"].iter().any(|key| raw.given.place(key).is_some());
    if let Some(place) = raw.given.place("queue").filter(|_| !bounded && !raw.given.unknown()) {
        problems.add(
            Code::Conflict,
            place,
            "`queue` means something only together with `max_requests` or `max_connections`",
        );
    }
}
