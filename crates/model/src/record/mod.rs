//! Records of the DNS: what a name has, as zone files write it (RFC 1035 §5, RFC 3597).

mod fields;
mod parse;
mod record_type;
mod svcb;

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::dns_name::DnsName;

pub use fields::{Field, fields};
pub use parse::{RecordError, parse_seconds};
pub use record_type::RecordType;

/// The data of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address (RFC 3596).
    Aaaa(Ipv6Addr),
    /// A name server of a zone.
    Ns(DnsName),
    /// The name that this one is an alias of.
    Cname(DnsName),
    /// The name of an address.
    Ptr(DnsName),
    /// Who takes mail.
    Mx {
        /// The lowest goes first.
        preference: u16,
        /// The host.
        exchange: DnsName,
    },
    /// Text: each part has at most 255 bytes; never empty.
    Txt(Vec<Box<[u8]>>),
    /// The start of a zone.
    Soa(Box<Soa>),
    /// Where a service is (RFC 2782).
    Srv {
        /// The lowest goes first.
        priority: u16,
        /// The share among those of the same priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: DnsName,
    },
    /// Any other type, in wire form; names in it are never compressed (RFC 3597 §4).
    Other(RecordType, Box<[u8]>),
}

/// The start of a zone (RFC 1035 §3.3.13). Times are seconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Soa {
    /// The name server that the zone comes from.
    pub primary: DnsName,
    /// The mailbox of who is responsible, its `@` written as a dot.
    pub contact: DnsName,
    /// The version of the zone.
    pub serial: u32,
    /// How often secondaries look.
    pub refresh: u32,
    /// How soon they look again.
    pub retry: u32,
    /// How long they answer without the primary.
    pub expire: u32,
    /// How long "there is none" may be remembered (RFC 2308 §4).
    pub minimum: u32,
}

impl RecordData {
    /// The type.
    pub fn record_type(&self) -> RecordType {
        match self {
            RecordData::A(_) => RecordType::A,
            RecordData::Aaaa(_) => RecordType::AAAA,
            RecordData::Ns(_) => RecordType::NS,
            RecordData::Cname(_) => RecordType::CNAME,
            RecordData::Ptr(_) => RecordType::PTR,
            RecordData::Mx { .. } => RecordType::MX,
            RecordData::Txt(_) => RecordType::TXT,
            RecordData::Soa(_) => RecordType::SOA,
            RecordData::Srv { .. } => RecordType::SRV,
            RecordData::Other(other, _) => *other,
        }
    }

    /// Text of any length, in parts of 255 bytes.
    pub fn text(text: &str) -> Self {
        let parts: Vec<Box<[u8]>> = text.as_bytes().chunks(255).map(Box::from).collect();
        RecordData::Txt(if parts.is_empty() { vec![Box::from([])] } else { parts })
    }
}
