//! Why a source has not told anything new.

use std::io;
use std::net::SocketAddr;

use super::dns;
use super::list::{MAX_BYTES, Mistakes};

/// Why a source has told nothing that can be used. What it told before stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The file is not there.
    #[error("there is no such file")]
    Missing,
    /// The file is there, but cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// The list is longer than anything that is read.
    #[error("more than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    /// The list has too many endpoints, or the name too many targets.
    #[error("more than {most} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// So many are allowed.
        most: usize,
    },
    /// The list cannot be understood.
    #[error("{0}")]
    Malformed(Mistakes),
    /// No whole answer in time.
    #[error("no whole answer in time")]
    Timeout,
    /// The server does not accept connections.
    #[error("the server cannot be reached: {0}")]
    Unreachable(io::ErrorKind),
    /// The server answers something else than a list.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// What the server answers is no HTTP, or not all of it comes.
    #[error("the answer breaks off, or is no HTTP")]
    Broken,
    /// The list is empty, which is believed when it is told again and again.
    #[error(
        "the list is empty; that is believed when it is told {} times in a row, for {} s",
        super::http::EMPTY_TIMES,
        super::http::EMPTY_SPAN.as_secs()
    )]
    Empty,
    /// Names lead to where they may not.
    #[error("{address} {why}")]
    Refused {
        /// One of those places.
        address: SocketAddr,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A name cannot be resolved.
    #[error("{0}")]
    Name(dns::Failure),
}

impl Trouble {
    /// The stable token, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Trouble::Missing => "missing",
            Trouble::Unreadable(_) => "unreadable",
            Trouble::TooLarge => "too_large",
            Trouble::TooMany { .. } => "too_many",
            Trouble::Malformed(_) => "malformed",
            Trouble::Timeout => "timeout",
            Trouble::Unreachable(_) => "unreachable",
            Trouble::Status(_) => "status",
            Trouble::Broken => "broken",
            Trouble::Empty => "empty",
            Trouble::Refused { .. } => "refused",
            Trouble::Name(failure) => failure.as_str(),
        }
    }
}
