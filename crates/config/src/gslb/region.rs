//! Regions: where they are, whose they are, and when they count as down.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fulcrum_model::{RegionName, ServiceName};

/// Where clients are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Geo {
    /// A file with `CIDR region` per line, which goes before everything else. An absolute path; read by the responder.
    pub nets: Option<PathBuf>,
    /// A MaxMind database of places. An absolute path; read by the responder.
    pub database: Option<PathBuf>,
    /// A MaxMind database of autonomous systems. An absolute path; read by the responder.
    pub asn: Option<PathBuf>,
    /// The region of clients whose place nobody knows. Default: that of the rule `default`, else the first.
    pub default: Option<RegionName>,
}

/// A site that clients can be sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Its name.
    pub name: RegionName,
    /// Where it is. Every region has one that a policy `nearest` names.
    pub location: Option<Location>,
    /// Makes the region look nearer (above zero) or farther (below) to `nearest`, in percent. Default 0; -99 to 99.
    pub bias: i8,
    /// Whose clients are its own; no other region has an equal rule.
    pub matches: Vec<GeoMatch>,
    /// The service of this daemon whose healthy endpoints and spare capacity stand for the region.
    pub service: Option<ServiceName>,
}

/// A point of the earth in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Location {
    /// -90 to 90; north is above zero.
    pub latitude: f32,
    /// -180 to 180; east is above zero.
    pub longitude: f32,
}

/// Which clients a region takes: the most special rule wins, in the order autonomous system, subdivision, country,
/// continent, default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GeoMatch {
    /// `continent:EU`.
    Continent(Continent),
    /// `country:TR`: ISO 3166-1, two capital letters.
    Country([u8; 2]),
    /// `subdivision:US-CA`: ISO 3166-2.
    Subdivision {
        /// Two capital letters.
        country: [u8; 2],
        /// One to three capital letters or digits, filled up with zero bytes.
        code: [u8; 3],
    },
    /// `asn:64500`.
    Asn(u32),
    /// `default`: everybody whom no other rule takes.
    Default,
}

/// A continent, with the two letters that geo databases have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Continent {
    /// `AF`.
    Africa,
    /// `AN`.
    Antarctica,
    /// `AS`.
    Asia,
    /// `EU`.
    Europe,
    /// `NA`, with Central America and the Caribbean.
    NorthAmerica,
    /// `OC`.
    Oceania,
    /// `SA`.
    SouthAmerica,
}

impl Continent {
    /// Every continent and its letters.
    pub const ALL: [(Continent, &'static str); 7] = [
        (Continent::Africa, "AF"),
        (Continent::Antarctica, "AN"),
        (Continent::Asia, "AS"),
        (Continent::Europe, "EU"),
        (Continent::NorthAmerica, "NA"),
        (Continent::Oceania, "OC"),
        (Continent::SouthAmerica, "SA"),
    ];

    /// Its two letters.
    pub fn as_str(self) -> &'static str {
        Continent::ALL[self as usize].1
    }
}

impl FromStr for Continent {
    type Err = NotAContinent;

    fn from_str(text: &str) -> Result<Self, NotAContinent> {
        Continent::ALL.iter().find(|(_, letters)| *letters == text).map(|of| of.0).ok_or(NotAContinent)
    }
}

impl fmt::Display for Continent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the two letters of a continent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAContinent;

/// When a region counts as down, and as up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How long a region is suspected before clients are sent elsewhere. Default 90 s; 1 s to 600 s.
    pub hold: Duration,
    /// Whether they are sent elsewhere without an operator's word. Default auto.
    pub failover: Failover,
    /// How a region takes clients again. Default ramp.
    pub failback: Failback,
    /// How long it must be up before it does. Default 300 s; zero to 24 h.
    pub failback_hold: Duration,
    /// The shares it takes one after the other, in percent: each above the one before, the last is 100; 1 to 16 of
    /// them. Default 5, 25, 50, 100.
    pub ramp: Vec<u8>,
    /// From one region's going down or up to that of the next, at least. Default 60 s; zero to 1 h.
    pub brake: Duration,
}

/// Whether clients are sent elsewhere without an operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// They are.
    Auto,
    /// Only once an operator has confirmed it: where a switch loses writes.
    Confirm,
}

/// How a region that was down takes clients again, once it has been well for `failback_hold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// All at once.
    Auto,
    /// Share by share.
    Ramp,
    /// Share by share, when an operator confirms it.
    Manual,
}

/// How shares follow spare capacity, in percent of all capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// Below this a region takes less. Default 10; 0 to 99, less than `high`.
    pub low: u8,
    /// Above this a region takes its full share. Default 30; 1 to 100.
    pub high: u8,
}

/// What an operator decided about a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionOverride {
    /// The region.
    pub region: RegionName,
    /// What it is, whatever is observed.
    pub state: OverrideState,
    /// It is over then: so long after the beginning of 1970. It may be over already.
    pub until: Duration,
    /// Why, for people: 1 to 500 bytes.
    pub reason: String,
}

/// What a region is by decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideState {
    /// Up.
    Up,
    /// Down.
    Down,
    /// No new clients.
    Drain,
}
