//! One lookup: the hosts file, else both kinds of addresses of the first name of the search list that has any.
//!
//! The order is the C library's, so that a name means here what it means to every other program of the machine. Name
//! servers are asked one after the other, not at once: they may see different worlds, and the first is meant to win.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::timeout;

use super::failure::Failure;

/// What was found out about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::discovery) struct Answer {
    /// At least one; in any order, and perhaps some of them twice.
    pub(in crate::discovery) addresses: Vec<IpAddr>,
    /// How long it holds, as the name servers say.
    pub(in crate::discovery) ttl: Duration,
    /// The kind of addresses about which nothing was found out, and why.
    pub(in crate::discovery) missing: Option<(Family, Failure)>,
}

impl Answer {
    /// The addresses, sorted, and those known before of a kind about which nothing was found out.
    pub(in crate::discovery) fn over(self, known: &[IpAddr]) -> Vec<IpAddr> {
        let mut addresses = self.addresses;
        if let Some((family, _)) = self.missing {
            addresses.extend(known.iter().filter(|address| family.holds(address)));
        }
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

/// What was found out about the services of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::discovery) struct Services {
    /// At least one.
    pub(in crate::discovery) records: Vec<SrvRecord>,
    /// How long they hold.
    pub(in crate::discovery) ttl: Duration,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::discovery) struct SrvRecord {
    /// The lowest that can be used is used.
    pub(in crate::discovery) priority: u16,
    /// The share among those of one priority.
    pub(in crate::discovery) weight: u16,
    pub(in crate::discovery) port: NonZeroU16,
    /// An absolute name, lower-case, with its final dot.
    pub(in crate::discovery) target: String,
}

/// A kind of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::discovery) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn holds(self, address: &IpAddr) -> bool {
        match self {
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }
}

/// Whom to ask, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// In order; those behind the third are not asked.
    pub(super) servers: Vec<SocketAddr>,
    /// Domains to complete relative names with.
    pub(super) search: Vec<Name>,
    /// Names with fewer dots are completed before they are tried as they are.
    pub(super) ndots: usize,
    /// Whether to ask for UDP answers of more than 512 bytes.
    pub(super) extended: Extended,
}

/// EDNS (RFC 6891): some old name servers do not answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extended {
    Yes,
    No,
}

/// Looks names up, by one state of the system's configuration.
pub(in crate::discovery) struct Client {
    hosts: Hosts,
    /// One for each name server, so that they are asked in order.
    servers: Vec<TokioResolver>,
    search: Vec<Name>,
    ndots: usize,
}

impl Client {
    /// Nothing is sent or opened yet.
    pub(super) fn new(settings: &Settings, hosts: Hosts) -> Client {
        let servers = &settings.servers[..settings.servers.len().min(MAX_SERVERS)];
        let patience = PATIENCE / servers.len().max(1) as u32;
        let servers = servers.iter().map(|&server| resolver(server, patience, settings.extended));
        let (search, ndots) = (settings.search.clone(), settings.ndots);
        Client { hosts, servers: servers.collect(), search, ndots }
    }

    /// The addresses of a name; at most [`PATIENCE`] for each name of the search list.
    pub(in crate::discovery) async fn lookup(&self, name: &str) -> Result<Answer, Failure> {
        let name = Name::from_ascii(name).map_err(|_| Failure::BadName)?;
        if let Some(answer) = self.in_hosts(&name) {
            return Ok(answer);
        }
        let mut worst = Failure::NoSuchName;
        for candidate in candidates(&name, &self.search, self.ndots) {
            let (v4, v6) = tokio::join!(
                self.addresses(&candidate, RecordType::A),
                self.addresses(&candidate, RecordType::AAAA)
            );
            match combine(v4, v6) {
                Ok(answer) => return Ok(answer),
                // Who cannot answer for one domain may do for the next; but silence must not let a less specific name
                // take the place of this one.
                Err(failure) if failure <= Failure::ServerFailure => worst = worst.max(failure),
                Err(failure) => return Err(failure),
            }
        }
        Err(worst)
    }

    /// The SRV records of a name; at most [`PATIENCE`] for each name of the search list.
    pub(in crate::discovery) async fn services(&self, name: &str) -> Result<Services, Failure> {
        let name = Name::from_ascii(name).map_err(|_| Failure::BadName)?;
        let mut worst = Failure::NoSuchName;
        for candidate in candidates(&name, &self.search, self.ndots) {
            match self.ask(&candidate, RecordType::SRV, services).await {
                Ok(found) => return Ok(found),
                // As for addresses.
                Err(failure) if failure <= Failure::ServerFailure => worst = worst.max(failure),
                Err(failure) => return Err(failure),
            }
        }
        Err(worst)
    }

    /// What the hosts file says of either kind is all that is said.
    fn in_hosts(&self, name: &Name) -> Option<Answer> {
        let find = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found = [find(RecordType::A), find(RecordType::AAAA)];
        records(found.iter().flatten().flat_map(|lookup| lookup.answers()))
            .ok()
            .map(|Records { addresses, ttl }| Answer { addresses, ttl, missing: None })
    }

    async fn addresses(&self, name: &Name, kind: RecordType) -> Result<Records, Failure> {
        self.ask(name, kind, |answers| records(answers)).await
    }

    /// Asks the name servers one after the other, until one knows.
    async fn ask<T>(
        &self,
        name: &Name,
        kind: RecordType,
        read: impl Fn(&[Record]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut last = Failure::Unreachable;
        for server in &self.servers {
            // The server's own timeout is for one query, and an alias may take several.
            let patience = server.options().timeout;
            last = match timeout(patience, server.lookup(name.clone(), kind)).await {
                Ok(Ok(lookup)) => return read(lookup.answers()),
                Ok(Err(error)) => Failure::of(&error),
                Err(_) => Failure::Timeout,
            };
            if last.is_verdict() {
                break;
            }
        }
        Err(last)
    }
}

/// A client of one name server.
fn resolver(server: SocketAddr, patience: Duration, extended: Extended) -> TokioResolver {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut options = ResolverOpts::default();
    options.timeout = patience;
    // Lost packets are sent again within the patience; what fails is tried again much later, by the backoff.
    options.attempts = 0;
    options.edns0 = extended == Extended::Yes;
    // A cache would only hide what has changed, negative answers for hours.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = 2 * super::names::MAX_LOOKUPS;
    let provider = TokioRuntimeProvider::default();
    let built = TokioResolver::builder_with_config(config, provider).with_options(options).build();
    built.expect("without TLS there is nothing to fail")
}

/// The absolute names to try, in order, as in resolv.conf(5).
fn candidates(name: &Name, search: &[Name], ndots: usize) -> Vec<Name> {
    let mut plain = name.clone();
    plain.set_fqdn(true);
    if name.is_fqdn() {
        return vec![plain];
    }
    let completed = search.iter().filter_map(|domain| name.clone().append_domain(domain).ok());
    let mut candidates: Vec<Name> = completed.filter(|completed| *completed != plain).collect();
    let dots = usize::from(name.num_labels()).saturating_sub(1);
    // A name server knows nothing of this machine (RFC 6761 §6.3).
    if dots >= ndots || name.is_localhost() {
        candidates.insert(0, plain);
    } else {
        candidates.push(plain);
    }
    candidates
}

/// The addresses of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Records {
    addresses: Vec<IpAddr>,
    ttl: Duration,
}

/// The services among records; aliases bound how long they hold.
fn services(records: &[Record]) -> Result<Services, Failure> {
    let ttl = records.iter().map(|record| record.ttl).min().unwrap_or_default();
    let service = |record: &Record| match &record.data {
        // The root stands for a service that there is decidedly not.
        RData::SRV(service) if !service.target.is_root() => Some(SrvRecord {
            priority: service.priority,
            weight: service.weight,
            port: NonZeroU16::new(service.port)?,
            target: absolute(&service.target).to_lowercase().to_ascii(),
        }),
        _ => None,
    };
    let records: Vec<SrvRecord> = records.iter().filter_map(service).collect();
    if records.is_empty() {
        return Err(Failure::NoAddresses);
    }
    Ok(Services { records, ttl: Duration::from_secs(ttl.into()) })
}

/// Targets are no names of a search list.
fn absolute(name: &Name) -> Name {
    let mut name = name.clone();
    name.set_fqdn(true);
    name
}

/// The addresses among records; aliases bound how long they hold.
fn records<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Records, Failure> {
    let mut ttl = u32::MAX;
    let mut addresses = Vec::new();
    for record in records {
        ttl = ttl.min(record.ttl);
        addresses.extend(record.data.ip_addr().map(|address| address.to_canonical()).filter(is_reachable));
    }
    if addresses.is_empty() {
        return Err(Failure::NoAddresses);
    }
    Ok(Records { addresses, ttl: Duration::from_secs(ttl.into()) })
}

/// What blocking name servers answer (`0.0.0.0`, `::`) would lead to this machine.
fn is_reachable(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast()
}

/// Both kinds together. One that there is nothing of is no failure as long as there is the other.
fn combine(v4: Result<Records, Failure>, v6: Result<Records, Failure>) -> Result<Answer, Failure> {
    let (records, missing) = match (v4, v6) {
        (Ok(mut v4), Ok(v6)) => {
            v4.addresses.extend(v6.addresses);
            (Records { addresses: v4.addresses, ttl: v4.ttl.min(v6.ttl) }, None)
        }
        (Ok(v4), Err(failure)) => (v4, Some((Family::V6, failure))),
        (Err(failure), Ok(v6)) => (v6, Some((Family::V4, failure))),
        (Err(v4), Err(v6)) => return Err(v4.max(v6)),
    };
    let missing = missing.filter(|(_, failure)| !failure.is_verdict());
    Ok(Answer { addresses: records.addresses, ttl: records.ttl, missing })
}

/// How long the name servers together may take to answer for one name.
const PATIENCE: Duration = Duration::from_secs(5);
/// As many as the C library asks. The patience is shared out among them.
const MAX_SERVERS: usize = 3;

#[cfg(test)]
mod tests;
