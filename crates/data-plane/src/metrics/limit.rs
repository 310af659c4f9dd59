//! The limits whose hits are counted.

/// Limits of the process whose hits are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// All downstream connections: a share of the file descriptors.
    Connections,
    /// `limits.connections` of a listener.
    ListenerConnections,
    /// The process or system has no file descriptor left.
    FileDescriptors,
    /// `pool.max_idle`.
    PoolIdle,
    /// Bytes discarded behind an early response.
    Discard,
    /// Endpoints that one request is tried on.
    Attempts,
    /// `retry.budget`.
    RetryBudget,
    /// `limits.max_connections` of an endpoint, met by idle connections of other workers.
    EndpointConnections,
    /// `limits.connections_per_source` of a listener.
    ConnectionsPerSource,
    /// An idle connection closed to make room for a new one.
    IdleShed,
    /// Memory runs out: a worker emptied its pools.
    MemoryShrink,
    /// Memory runs out: a request was refused.
    MemoryRefuse,
    /// Memory runs out: accepting paused.
    MemoryPause,
}

impl Limit {
    pub(crate) const ALL: [(Limit, &'static str); 13] = [
        (Limit::Connections, "connections"),
        (Limit::ListenerConnections, "listener_connections"),
        (Limit::FileDescriptors, "file_descriptors"),
        (Limit::PoolIdle, "pool_idle"),
        (Limit::Discard, "discard"),
        (Limit::Attempts, "attempts"),
        (Limit::RetryBudget, "retry_budget"),
        (Limit::EndpointConnections, "endpoint_connections"),
        (Limit::ConnectionsPerSource, "connections_per_source"),
        (Limit::IdleShed, "idle_shed"),
        (Limit::MemoryShrink, "memory_shrink"),
        (Limit::MemoryRefuse, "memory_refuse"),
        (Limit::MemoryPause, "memory_pause"),
    ];
}

impl Limit {
    /// As metrics and logs call it.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}
