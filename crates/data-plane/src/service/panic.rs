//! When too few endpoints are healthy.

use crate::endpoint::Gate;

/// How far health is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panic {
    /// Not at all.
    No,
    /// Every endpoint that accepts connections.
    Reachable,
    /// Every endpoint.
    All,
}

impl Panic {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Panic::No => "no",
            Panic::Reachable => "reachable",
            Panic::All => "all",
        }
    }

    /// Whether an endpoint with so much against it is used all the same.
    pub(crate) fn admits(self, gate: Gate) -> bool {
        match self {
            Panic::No => false,
            Panic::Reachable => !gate.has(Gate::UNREACHABLE),
            Panic::All => true,
        }
    }
}
