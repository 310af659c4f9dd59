//! The responder that answers DNS: where it listens, which regions there are, which zones it has.
//!
//! ```text
//!   zone ─► name ─► records, always the same
//!              └──► answer: policy ─► regions in an order ─► targets       (health, verdict, headroom decide)
//!                           service ─► its healthy endpoints
//! ```

mod policy;
mod region;
mod zone;

pub use policy::{
    Choose, Panic, Policy, PolicyHealth, RegionOrder, RegionTargets, Target, TargetAnswer, Targets,
};
pub use region::{
    Continent, Failback, Failover, Geo, GeoMatch, Headroom, Location, NotAContinent, OverrideState, Region,
    RegionOverride, Verdict,
};
pub use zone::{Answer, InlineZone, Name, ServiceAnswer, ServiceChoose, Ttl, Zone, ZoneSource};

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use fulcrum_model::{RegionName, ServiceName};

/// The responder of this daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Gslb {
    /// Where questions are taken, over UDP and TCP; 1 to 16, none overlaps with another or with a listener.
    pub bind: Vec<DnsBind>,
    /// Threads that answer over UDP, each with a socket per address. Default 1; at most 64.
    pub workers: NonZeroUsize,
    /// What it calls itself when asked (RFC 5001): 1 to 128 bytes. Default nothing.
    pub nsid: Option<String>,
    /// Connections.
    pub tcp: DnsTcp,
    /// How many equal answers a client network gets over UDP. Default no limit.
    pub rate_limit: Option<ResponseRate>,
    /// Where a sample of the questions is written down. Default nowhere.
    pub query_log: Option<QueryLog>,
    /// Where clients are.
    pub geo: Geo,
    /// In file order, which is that of preference where nothing else decides; at most [`MOST_REGIONS`]; names are
    /// unique.
    pub regions: Vec<Region>,
    /// The region that this daemon runs in; `None`: none of them.
    pub home: Option<RegionName>,
    /// When a region counts as down, and as up again.
    pub verdict: Verdict,
    /// How shares follow the spare capacity of regions that have a service; `None` when they do not.
    pub headroom: Option<Headroom>,
    /// What server cookies are made with: the first makes and checks them, the others only check (RFC 9018). None
    /// given: the daemon makes its own. At most 8.
    pub cookie_keys: Vec<CookieKey>,
    /// What an operator decided about regions; each region at most once.
    pub overrides: Vec<RegionOverride>,
    /// In file order; names are unique. One may be below another.
    pub zones: Vec<Zone>,
}

impl Gslb {
    /// The services that regions and names refer to; perhaps the same one several times.
    pub fn services(&self) -> impl Iterator<Item = &ServiceName> {
        let of_regions = self.regions.iter().filter_map(|region| region.service.as_ref());
        let names = self.zones.iter().filter_map(|zone| match &zone.source {
            ZoneSource::Inline(zone) => Some(&zone.names),
            ZoneSource::File(_) => None,
        });
        let of_names = names.flatten().filter_map(|name| match &name.answer {
            Some(Answer::Service(answer)) => Some(&answer.service),
            _ => None,
        });
        of_regions.chain(of_names)
    }
}

impl Gslb {
    /// The databases of places and of autonomous systems.
    pub fn databases(&self) -> impl Iterator<Item = &PathBuf> {
        self.geo.database.iter().chain(&self.geo.asn)
    }

    /// All files that it is read from beside the configuration: databases, networks and zones, without what zone files include.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let zones = self.zones.iter().filter_map(|zone| match &zone.source {
            ZoneSource::File(path) => Some(path),
            ZoneSource::Inline(_) => None,
        });
        self.databases().chain(&self.geo.nets).chain(zones)
    }
}

/// The most regions: sets of them are bits of one number.
pub const MOST_REGIONS: usize = 64;

/// The most targets of a region that have a vote on it: while it fails, all of them are looked at for each check of one.
pub const MOST_VOTERS: u16 = 4096;

/// An address for questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DnsBind {
    /// The address; `[::]` with `dual_stack`.
    pub address: SocketAddr,
    /// Written `:PORT`: IPv4 and IPv6 on one socket.
    pub dual_stack: bool,
}

/// Bounds of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsTcp {
    /// A connection without a question for so long is closed. Default 10 s; 100 ms to 1 h.
    pub idle_timeout: Duration,
    /// Most connections at a time. Default 1,000.
    pub max_connections: NonZeroU32,
    /// Most connections of a client network (/32, /56) at a time. Default a twentieth of all, at least 10.
    pub connections_per_source: NonZeroU32,
}

/// How many equal answers a client network gets over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseRate {
    /// A second.
    pub responses_per_second: NonZeroU32,
    /// One of so many answers above the rate is sent empty and truncated, so that a real client comes back
    /// over TCP; 0: none is. Default 2; at most 10.
    pub slip: u8,
}

/// Where a sample of the questions is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryLog {
    /// A file, which is appended to. An absolute path.
    pub path: PathBuf,
    /// One of so many. Default 100.
    pub one_in: NonZeroU32,
}

/// A key of server cookies, which never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieKey(pub(crate) [u8; 16]);

impl CookieKey {
    /// The key of SipHash-2-4.
    pub fn expose(&self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(…)")
    }
}
