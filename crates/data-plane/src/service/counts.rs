//! How many endpoints of a service are what.

use std::sync::Arc;

use crate::endpoint::{Endpoint, Gate};

/// Endpoints that are not withdrawn, by what is known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: usize,
    pub(crate) healthy: usize,
    pub(crate) unknown: usize,
    pub(crate) ejected: usize,
    pub(crate) unreachable: usize,
}

impl Counts {
    pub(super) fn of(endpoints: &[Arc<Endpoint>]) -> Self {
        let mut counts = Counts::default();
        endpoints.iter().for_each(|endpoint| counts.book(endpoint.gate(), usize::checked_add));
        counts
    }

    pub(super) fn book(&mut self, gate: Gate, add: fn(usize, usize) -> Option<usize>) {
        let one = |count: &mut usize, is: bool| {
            if is {
                *count = add(*count, 1).expect("what is subtracted was added");
            }
        };
        if !gate.is_withdrawn() {
            one(&mut self.total, true);
            one(&mut self.healthy, gate.is_healthy());
            one(&mut self.unknown, gate.has(Gate::UNKNOWN));
            one(&mut self.ejected, gate.has(Gate::EJECTED));
            one(&mut self.unreachable, gate.has(Gate::UNREACHABLE));
        }
    }
}
