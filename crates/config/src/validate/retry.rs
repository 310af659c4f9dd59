//! Retries: how often, after what, how many among all requests.

use crate::raw::{RawRetry, RetryCause};
use crate::retry::{Retry, RetryOn};

use super::layers::Layers;

/// When a request is tried again; without layers never.
pub(crate) fn retry(layers: Option<Layers<'_, RawRetry>>) -> Retry {
    let Some(layers) = layers else { return Retry { retries: 0, ..DEFAULT } };
    let causes = layers.find(|raw| raw.on.as_ref());
    let on = causes.map_or(DEFAULT.on, |causes| {
        let has = |cause| causes.0.iter().any(|at| at.value.0 == cause);
        RetryOn {
            connect: has(RetryCause::Connect),
            reset: has(RetryCause::Reset),
            timeout: has(RetryCause::Timeout),
            unavailable: has(RetryCause::Unavailable),
        }
    });
    Retry {
        retries: layers.find(|raw| raw.retries).map_or(DEFAULT.retries, |retries| retries.0 as u8),
        on,
        budget: layers.find(|raw| raw.budget).map_or(DEFAULT.budget, |percent| percent.0),
        budget_min: layers.find(|raw| raw.budget_min).map_or(DEFAULT.budget_min, |rate| rate.0),
    }
}

/// One more attempt hides a dying endpoint, but what takes too long at one may do so at another, and 503 may be meant for
/// the client; the budget keeps a dying service from being asked twice as often.
const DEFAULT: Retry = Retry {
    retries: 1,
    on: RetryOn { connect: true, reset: true, timeout: false, unavailable: false },
    budget: 20,
    budget_min: 10,
};
