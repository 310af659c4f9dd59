//! Why a name has no answer.

use hickory_resolver::net::{DnsError, NetError};

/// Why a lookup gave no addresses. The later ones are worse: of several failures the greatest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Failure {
    /// NXDOMAIN, for every name of the search list.
    #[error("there is no such name")]
    NoSuchName,
    /// The name is there, but has neither A nor AAAA records, or only such as nobody can connect to.
    #[error("the name has no addresses")]
    NoAddresses,
    /// SERVFAIL, REFUSED and the like.
    #[error("the name server cannot answer")]
    ServerFailure,
    /// No name server has answered in time.
    #[error("no name server answers")]
    Timeout,
    /// No name server can be reached from this machine.
    #[error("no name server can be reached")]
    Unreachable,
    /// An answer that cannot be understood, or that is too long for UDP where TCP is refused.
    #[error("the answer cannot be understood")]
    Malformed,
    /// The text cannot be asked for: an empty label, or one of more than 63 bytes.
    #[error("this is no host name")]
    BadName,
}

impl Failure {
    /// All of them, each at the index of its own number.
    pub const ALL: [Failure; 7] = [
        Failure::NoSuchName,
        Failure::NoAddresses,
        Failure::ServerFailure,
        Failure::Timeout,
        Failure::Unreachable,
        Failure::Malformed,
        Failure::BadName,
    ];

    /// The stable token, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Failure::NoSuchName => "no_such_name",
            Failure::NoAddresses => "no_addresses",
            Failure::ServerFailure => "server_failure",
            Failure::Timeout => "timeout",
            Failure::Unreachable => "unreachable",
            Failure::Malformed => "malformed",
            Failure::BadName => "bad_name",
        }
    }

    /// Whether a name server has said that there is nothing: another one has nothing to add.
    pub(super) fn is_verdict(self) -> bool {
        self <= Failure::NoAddresses
    }

    /// What became of a query to one name server.
    pub(super) fn of(error: &NetError) -> Failure {
        match error {
            error if error.is_nx_domain() => Failure::NoSuchName,
            NetError::Dns(DnsError::NoRecordsFound(_)) => Failure::NoAddresses,
            NetError::Dns(_) => Failure::ServerFailure,
            NetError::Timeout => Failure::Timeout,
            NetError::Io(_) | NetError::NoConnections | NetError::Busy => Failure::Unreachable,
            _ => Failure::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use hickory_resolver::net::NoRecords;
    use hickory_resolver::proto::op::{Query, ResponseCode};

    use super::*;

    #[test]
    fn failures_are_told_apart() {
        fn check(error: impl Into<NetError>, expected: Failure) {
            let error = error.into();
            assert_eq!(Failure::of(&error), expected, "{error}");
        }
        check(NoRecords::new(Query::new(), ResponseCode::NXDomain), Failure::NoSuchName);
        check(NoRecords::new(Query::new(), ResponseCode::NoError), Failure::NoAddresses);
        check(DnsError::ResponseCode(ResponseCode::ServFail), Failure::ServerFailure);
        check(DnsError::ResponseCode(ResponseCode::Refused), Failure::ServerFailure);
        check(NetError::Timeout, Failure::Timeout);
        check(io::Error::from(io::ErrorKind::ConnectionRefused), Failure::Unreachable);
        check(NetError::NoConnections, Failure::Unreachable);
        check(NetError::Truncated, Failure::Malformed);
    }

    #[test]
    fn each_is_at_its_own_index() {
        for (index, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index);
        }
        let tokens: std::collections::BTreeSet<_> = Failure::ALL.map(Failure::as_str).into();
        assert_eq!(tokens.len(), Failure::ALL.len());
    }
}
