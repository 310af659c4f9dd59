//! Where instances register, and how a service follows them.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use fulcrum_model::{DnsName, ServiceName, Source};

use crate::gslb::DnsBind;
use crate::process::Secret;

/// The registry of this daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    /// Where its API is served.
    pub bind: SocketAddr,
    /// The file that it is kept in. Default `registry.redb` in the state directory.
    pub store: PathBuf,
    /// How long an instance that says nothing else stays registered without a heartbeat. Default 30 s; 3 s to 1 d.
    pub ttl: Duration,
    /// The percentage of a service that may go within one time-to-live without evidence, at least one. Default 15.
    pub evict_max: u8,
    /// How long the silence of many is held for a failure of our own network. Default 10 min.
    pub hold_max: Duration,
    /// Whether the last instance of a service stays until there is evidence. Default true.
    pub empty_protect: bool,
    /// Registrations a second, at most. Default 1,000; `None` is no limit.
    pub register_rate: Option<NonZeroU32>,
    /// Where an instance may point besides its own address.
    pub allow_addresses: AllowAddresses,
    /// Who may do what. None: everything, but only from this machine.
    pub tokens: Vec<Token>,
    /// Services as names of the DNS.
    pub dns: Option<RegistryDns>,
}

/// Where the services of the registry are names of the DNS: `SERVICE.svc.DOMAIN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryDns {
    /// Where questions are taken, over UDP and TCP; 1 to 16, none overlaps with another or with a listener.
    pub bind: Vec<DnsBind>,
    /// The domain.
    pub domain: DnsName,
    /// How long an answer may be remembered, in seconds. Default 1.
    pub ttl: u32,
}

/// Where instances may point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowAddresses {
    /// The address that the registration comes from. Default true.
    pub registrant: bool,
    /// These networks. Default none.
    pub networks: Vec<ipnet::IpNet>,
}

/// A bearer token of the registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Who comes with it, in the audit log and as the owner of what it registers.
    pub name: String,
    /// The token itself.
    pub secret: Secret,
    /// What it allows.
    pub grants: Vec<Grant>,
}

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// To register, renew and deregister instances of the services that match: a name, or one that ends in `*`.
    Register(String),
    /// To list and to watch.
    Read,
    /// To order drains, maintenance and weights.
    Drain,
    /// To order weights above 0, and nothing else.
    Scale,
    /// Everything.
    Admin,
}

/// Where a service finds endpoints besides those that are configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Discovery {
    /// The instances of this service of the registry.
    Registry(ServiceName),
    /// What this place tells.
    Source(Source),
}
