//! What is served and asked: a zone of static names, a zone of names whose answers depend on the client, and files of queries.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::question::question;

/// The zone of names that are always answered the same.
pub(crate) const STATIC: &str = "example.com";
/// The zone of the others.
pub(crate) const CHOSEN: &str = "geo.example";
/// Names of each kind in it.
pub(crate) const CHOSEN_NAMES: u32 = 10;
/// Networks that are known, of 65,536 addresses each.
pub(crate) const NETWORKS: u32 = 1000;
/// Regions, and targets with weights.
pub(crate) const REGIONS: u32 = 4;
/// The name that tells the version of the static zone.
pub(crate) const MARKER: &str = "version.example.com";
/// The name that tells that of the other one.
pub(crate) const MARKER_BESIDE: &str = "version.geo.example";

/// The start of both zones; the same in all servers.
pub(crate) fn start(version: u32) -> String {
    format!(
        "@ 300 SOA ns1.example.com. hostmaster.example.com. {version} 3600 600 1209600 60\n@ 300 NS ns1.example.com.\n"
    )
}

/// The static zone's file with so many names.
pub(crate) fn static_zone(names: u32, version: u32) -> String {
    let mut text = format!("$TTL 300\n{}ns1 A 192.0.2.53\nversion A {}\n", start(version), marker(version));
    for name in 0..names {
        let _ = writeln!(text, "h{name} A {}", address(name));
    }
    text
}

/// What [`MARKER`] answers.
pub(crate) fn marker(version: u32) -> Ipv4Addr {
    Ipv4Addr::from(0xc633_6400 | version & 0xff)
}

/// What a static name answers.
pub(crate) fn address(name: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 | name)
}

/// What a name of the other zone answers in a region, and also the target of a weight.
pub(crate) fn regional(region: u32) -> Ipv4Addr {
    Ipv4Addr::from(0xcb00_7100 | (region + 1))
}

/// The weight of a target.
pub(crate) fn weight(target: u32) -> u32 {
    10 * (target + 1)
}

/// A network and its region.
pub(crate) fn network(number: u32) -> (Ipv4Addr, u32) {
    (Ipv4Addr::from(0x1400_0000 + (number << 16)), number % REGIONS)
}

/// Files of queries in dnsperf's binary form.
pub(crate) struct Queries {
    folder: PathBuf,
}

/// What queries are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Static names out of so many.
    Static(u32),
    /// The same, with a client subnet.
    Ecs(u32),
    /// Names that there are not.
    Nothing,
    /// Names whose address depends on the subnet, with one.
    Geo,
    /// Names whose address is drawn.
    Weighted,
}

impl Queries {
    /// In this folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Queries { folder: folder.to_owned() }
    }

    /// The file of queries about this; all of them are by chance, and always the same.
    pub(crate) fn file(&self, about: About) -> io::Result<PathBuf> {
        let path = self.folder.join(format!("{about:?}.queries"));
        if path.exists() {
            return Ok(path);
        }
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let mut bytes = Vec::new();
        for _ in 0..QUERIES {
            let (name, subnet) = about.next(&mut dice);
            let message = question(&name, subnet);
            bytes.extend_from_slice(&(message.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&message);
        }
        fs::write(&path, bytes)?;
        Ok(path)
    }
}

impl About {
    fn next(self, dice: &mut Dice) -> (String, Option<Ipv4Addr>) {
        let mut subnet =
            || Some(Ipv4Addr::from(network(dice.below(NETWORKS)).0.to_bits() | (dice.below(256) << 8)));
        match self {
            About::Static(names) => (format!("h{}.{STATIC}", dice.below(names)), None),
            About::Ecs(names) => {
                let subnet = subnet();
                (format!("h{}.{STATIC}", dice.below(names)), subnet)
            }
            About::Nothing => (format!("x{:x}.{STATIC}", dice.below(1 << 30)), None),
            About::Geo => {
                let subnet = subnet();
                (format!("g{}.{CHOSEN}", dice.below(CHOSEN_NAMES)), subnet)
            }
            About::Weighted => (format!("w{}.{CHOSEN}", dice.below(CHOSEN_NAMES)), None),
        }
    }

    /// The response code that all answers must have.
    pub(crate) fn code(self) -> &'static str {
        if self == About::Nothing { "NXDOMAIN" } else { "NOERROR" }
    }
}

/// xorshift64: the queries of a run are those of the next one.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(bound)) >> 32) as u32
    }
}

const QUERIES: u32 = 100_000;
