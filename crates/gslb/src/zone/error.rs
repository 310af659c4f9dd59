//! What is wrong with a zone, and where.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use fulcrum_model::{DnsName, DnsNameError, RecordError, RecordType};

/// A mistake in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    /// The file: that of the zone, or one that it includes. `None` where the zone is not in a file, or is meant as a whole.
    pub file: Option<Arc<Path>>,
    /// The line of the file, from 1; 0 where the zone as a whole is meant, or is not in a file.
    pub line: u32,
    /// What is wrong.
    pub problem: ZoneProblem,
}

/// What can be wrong with a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneProblem {
    /// A record cannot be one.
    Record(RecordError),
    /// A name that is not at or below the apex.
    Outside {
        /// The name.
        name: DnsName,
        /// The zone.
        zone: DnsName,
    },
    /// No SOA at the apex.
    NoStart(DnsName),
    /// No NS at the apex.
    NoServers(DnsName),
    /// A SOA that is not at the apex.
    StartBelow(DnsName),
    /// Two different SOA.
    TwoStarts(DnsName),
    /// Two different CNAME.
    TwoAliases(DnsName),
    /// A CNAME beside other records (RFC 2181 §10.1).
    AliasAndOthers(DnsName),
    /// A record at or below the top of another zone that is served, too.
    Hidden {
        /// Whose it is.
        name: DnsName,
        /// The other zone.
        zone: DnsName,
    },
    /// A delegation of what is answered here, or of a wildcard.
    Delegated(DnsName),
    /// An address beside a policy that gives the addresses of the name.
    Chosen(DnsName),
    /// More records of one name and type than are taken.
    TooMany(DnsName),
    /// Records of one name and type that no message holds.
    TooLarge(DnsName, RecordType),
    /// What the reader of a zone file met.
    Syntax(&'static str),
    /// A name in a zone file that cannot be one.
    Name {
        /// What stands there.
        found: String,
        /// Why not.
        error: DnsNameError,
    },
    /// A type of records in a zone file that is not known.
    Type(String),
    /// A class in a zone file other than IN.
    Class(String),
    /// A time to live in a zone file that cannot be one.
    Lifetime(String),
    /// A zone file that cannot be read, and why.
    Unreadable(String),
    /// `$INCLUDE` of a file that cannot be read, or must not be.
    Include {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
}

impl fmt::Display for ZoneProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ZoneProblem::Record(error) => error.fmt(f),
            ZoneProblem::Outside { name, zone } => write!(f, "{name} is not in the zone {zone}"),
            ZoneProblem::NoStart(zone) => write!(f, "{zone} has no SOA"),
            ZoneProblem::NoServers(zone) => write!(f, "{zone} has no NS: at least one name server is needed"),
            ZoneProblem::StartBelow(name) => write!(f, "{name} has a SOA, which only the top of a zone has"),
            ZoneProblem::TwoStarts(zone) => write!(f, "{zone} has two different SOA"),
            ZoneProblem::TwoAliases(name) => {
                write!(f, "{name} has two different CNAME: an alias has one target")
            }
            ZoneProblem::AliasAndOthers(name) => {
                write!(f, "{name} has a CNAME and something else: an alias has nothing beside it")
            }
            ZoneProblem::Hidden { name, zone } => {
                write!(
                    f,
                    "{name} has what is never answered: the zone {zone} is served, too, and begins there or above it"
                )
            }
            ZoneProblem::Delegated(name) => {
                write!(f, "{name} cannot be delegated: it is a wildcard, or answered by a policy")
            }
            ZoneProblem::Chosen(name) => {
                write!(f, "{name} has an address beside the policy that gives its addresses")
            }
            ZoneProblem::TooMany(name) => write!(f, "{name} has too many records of one type"),
            ZoneProblem::TooLarge(name, record_type) => {
                write!(f, "the {record_type} records of {name} do not fit into one message together")
            }
            ZoneProblem::Syntax(what) => f.write_str(what),
            ZoneProblem::Name { found, error } => write!(f, "{found:?} cannot be a name: {error}"),
            ZoneProblem::Type(found) => {
                write!(
                    f,
                    "there is no type of records {found:?}: others are written as TYPE and their number"
                )
            }
            ZoneProblem::Class(found) => write!(f, "the class {found} is not served, only IN"),
            ZoneProblem::Lifetime(found) => {
                write!(f, "{found:?} cannot be a time to live: seconds to 2147483647, or like 1h30m")
            }
            ZoneProblem::Unreadable(why) => write!(f, "cannot be read: {why}"),
            ZoneProblem::Include { path, why } => write!(f, "$INCLUDE {path}: {why}"),
        }
    }
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        match self.line {
            0 => self.problem.fmt(f),
            line => write!(f, "line {line}: {}", self.problem),
        }
    }
}

impl std::error::Error for ZoneError {}

/// So many mistakes are told: more help nobody, and a file may have one in every line.
pub(super) const ERRORS_MAX: usize = 100;
