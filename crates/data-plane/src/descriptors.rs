//! File descriptors: how many there may be, and whose they are.

/// Raises the soft limit on file descriptors to the hard one, and returns it.
pub(crate) fn raise_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on file descriptors");
            limit.current.unwrap_or(u64::MAX)
        }
    }
}

/// The share of the descriptors that downstream connections may have: the rest is for upstreams, files and operators.
pub(crate) fn max_connections(descriptors: u64) -> u64 {
    (descriptors.saturating_sub(RESERVED) / 10).saturating_mul(7).max(1)
}

/// Descriptors for everything but connections.
pub(crate) const RESERVED: u64 = 256;
