//! Zones: what is answered for which name.

use std::num::NonZeroU8;
use std::path::PathBuf;

use fulcrum_model::{DnsName, RecordData, ServiceName, Soa};

use super::policy::{Panic, Policy};

/// A zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its name, which no other zone has.
    pub name: DnsName,
    /// Where its records are.
    pub source: ZoneSource,
}

/// Where the records of a zone are.
#[derive(Clone, Debug, PartialEq)]
pub enum ZoneSource {
    /// In a zone file (RFC 1035 §5). An absolute path; read by the responder.
    File(PathBuf),
    /// In the configuration.
    Inline(Box<InlineZone>),
}

impl Zone {
    /// The policies of its names; none of a file.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        let names = match &self.source {
            ZoneSource::Inline(zone) => &zone.names[..],
            ZoneSource::File(_) => &[],
        };
        names.iter().filter_map(|name| match &name.answer {
            Some(Answer::Policy(policy)) => Some(&**policy),
            _ => None,
        })
    }
}

/// A zone in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct InlineZone {
    /// The start of the zone. Defaults: serial 1, refresh 1 h, retry 10 min, expire 14 d, minimum 60 s.
    pub soa: Soa,
    /// The time-to-live of its SOA and NS records, in seconds: `ttl` of the zone. Default 300.
    pub ttl: u32,
    /// Its name servers; at least one, none twice.
    pub ns: Vec<DnsName>,
    /// In file order. Owners are within the zone and unique; none can be hidden by a delegation or by a zone below,
    /// but for name servers and the addresses of their hosts.
    pub names: Vec<Name>,
}

/// A name and what is answered for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// The absolute name; perhaps a wildcard.
    pub owner: DnsName,
    /// The time-to-live of its records, in seconds; at most 2^31 - 1.
    pub ttl: u32,
    /// What is always the same: each record once; a CNAME is alone, and not at the apex; no SOA, no NS at the apex. What
    /// belongs to one type is not always in a row. Beside an answer there are none of the types that it answers.
    pub records: Vec<RecordData>,
    /// What depends on health, place and weights. A name without one has records.
    pub answer: Option<Answer>,
}

/// What depends on health, place and weights.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Addresses (A and AAAA) or aliases (CNAME) that are chosen by rules.
    Policy(Box<Policy>),
    /// The healthy endpoints of a service (A and AAAA).
    Service(ServiceAnswer),
}

/// The healthy endpoints of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceAnswer {
    /// A service of this configuration.
    pub service: ServiceName,
    /// Which of them. Default all.
    pub choose: ServiceChoose,
    /// Most records of one type in an answer, 1 to 64. Default 8 for all of them, 1 by weight.
    pub max_answers: NonZeroU8,
    /// What is answered when none is healthy; a fallback has addresses alone. Default all.
    pub panic: Panic,
    /// How long the answer may be remembered.
    pub ttl: Ttl,
}

/// Which endpoints of a service are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceChoose {
    /// All, in changing order.
    All,
    /// Drawn by their weights.
    Weighted,
}

/// How long an answer may be remembered, in seconds; at most 2^31 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// While nothing is about to change.
    pub max: u32,
    /// Near a change; not more than `max`.
    pub min: u32,
}
