//! Which clients a region is for.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use super::centroid::continent_of;
use super::embedding::within;
use super::place::{Continent, Country, Place, Subdivision};

/// One thing that a region's `match` may say about clients, the most specific kind first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Match {
    /// `net:192.0.2.0/24`, as a line of the nets file says it.
    Net(IpNet),
    /// `asn:64500`
    Asn(u32),
    /// `subdivision:US-CA`
    Subdivision(Subdivision),
    /// `country:TR`
    Country(Country),
    /// `continent:EU`
    Continent(Continent),
    /// `default`: everybody who is matched by nothing else.
    Default,
}

/// How narrow a match is. The narrowest one decides; narrower ones compare as less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Specificity {
    /// Networks, of which the longest one decides.
    Net,
    /// Autonomous systems.
    Asn,
    /// Subdivisions of countries.
    Subdivision,
    /// Countries.
    Country,
    /// Continents.
    Continent,
    /// Everybody else.
    Default,
}

impl Match {
    /// How narrow it is.
    pub fn specificity(&self) -> Specificity {
        match self {
            Match::Net(_) => Specificity::Net,
            Match::Asn(_) => Specificity::Asn,
            Match::Subdivision(_) => Specificity::Subdivision,
            Match::Country(_) => Specificity::Country,
            Match::Continent(_) => Specificity::Continent,
            Match::Default => Specificity::Default,
        }
    }

    /// Whether it speaks of a client at this place. Networks are not told by the place, and everybody is not a match.
    pub(super) fn is_about(&self, place: &Place) -> bool {
        match *self {
            Match::Asn(asn) => place.asn == Some(asn),
            Match::Subdivision(subdivision) => place.subdivision == Some(subdivision),
            Match::Country(country) => place.country == Some(country),
            Match::Continent(continent) => place.continent == Some(continent),
            Match::Net(_) | Match::Default => false,
        }
    }
}

/// Why a text is not a match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// Not of the form `KIND:VALUE`.
    #[error("{0:?} is not one of continent:, country:, subdivision:, asn:, net: with a value, or default")]
    Form(String),
    /// No such continent.
    #[error("{0:?} is not a continent: it is one of AF, AN, AS, EU, NA, OC, SA")]
    Continent(String),
    /// No such country.
    #[error("{0:?} is not a country of ISO 3166-1, as DE or GB")]
    Country(String),
    /// No such subdivision.
    #[error("{0:?} is not a subdivision of ISO 3166-2, as US-CA")]
    Subdivision(String),
    /// Not a number of an autonomous system.
    #[error("{0:?} is not the number of an autonomous system, as 64500")]
    Asn(String),
    /// Not a network.
    #[error(transparent)]
    Net(#[from] NetError),
}

impl FromStr for Match {
    type Err = MatchError;

    fn from_str(text: &str) -> Result<Self, MatchError> {
        if text == "default" {
            return Ok(Match::Default);
        }
        let (kind, value) = text.split_once(':').ok_or_else(|| MatchError::Form(text.to_owned()))?;
        let is_country = |country: &Country| continent_of(*country).is_some();
        match kind {
            "continent" => {
                value.parse().map(Match::Continent).map_err(|_| MatchError::Continent(value.to_owned()))
            }
            "country" => {
                let country = value.parse().ok().filter(is_country);
                country.map(Match::Country).ok_or_else(|| MatchError::Country(value.to_owned()))
            }
            "subdivision" => {
                let found = value.parse().ok().filter(|found: &Subdivision| is_country(&found.country()));
                found.map(Match::Subdivision).ok_or_else(|| MatchError::Subdivision(value.to_owned()))
            }
            "asn" => value.parse().map(Match::Asn).map_err(|_| MatchError::Asn(value.to_owned())),
            "net" => Ok(Match::Net(parse_net(value)?)),
            _ => Err(MatchError::Form(text.to_owned())),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Net(net) => write!(f, "net:{net}"),
            Match::Asn(asn) => write!(f, "asn:{asn}"),
            Match::Subdivision(subdivision) => write!(f, "subdivision:{subdivision}"),
            Match::Country(country) => write!(f, "country:{country}"),
            Match::Continent(continent) => write!(f, "continent:{continent}"),
            Match::Default => f.write_str("default"),
        }
    }
}

/// Why a text is not a network of clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// Not an address with a length.
    #[error("{0:?} is not a network, as 192.0.2.0/24 or 2001:db8::/32")]
    Form(String),
    /// Bits behind the length.
    #[error("{0} has bits behind its length: the network is {1}")]
    Host(IpNet, IpNet),
    /// IPv6 that stands for IPv4.
    #[error("{0} is within {1}, whose addresses are looked up by the IPv4 address in them: give that")]
    Embedded(IpNet, IpNet),
}

/// A network of clients. An address alone is the network of only that.
pub(super) fn parse_net(text: &str) -> Result<IpNet, NetError> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    let net = net.map_err(|_| NetError::Form(text.to_owned()))?;
    if net.addr() != net.network() {
        return Err(NetError::Host(net, net.trunc()));
    }
    match within(&net) {
        Some(embedding) => Err(NetError::Embedded(net, embedding.net().into())),
        None => Ok(net),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_read_and_written_back() {
        let all =
            ["net:2001:db8::/32", "asn:64500", "subdivision:US-CA", "country:TR", "continent:EU", "default"];
        let parsed = all.map(|text| text.parse::<Match>().expect("a match"));
        assert_eq!(parsed.map(|found| found.to_string()), all);
        assert!(parsed.is_sorted_by_key(|found| found.specificity()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        fn check(text: &str, expected: &str) {
            let error = text.parse::<Match>().expect_err("not a match").to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        check("EU", "continent:, country:");
        check("city:Berlin", "continent:, country:");
        check("continent:eu", "one of AF");
        check("country:UK", "ISO 3166-1");
        check("country:EU", "ISO 3166-1");
        check("subdivision:CA", "US-CA");
        check("subdivision:ZZ-CA", "US-CA");
        check("asn:AS64500", "64500");
        check("asn:4294967296", "64500");
        check("net:192.0.2.1/24", "the network is 192.0.2.0/24");
        check("net:192.0.2.0/33", "not a network");
        check("net:2002:c000:200::/40", "within 2002::/16");
        check("net:::ffff:192.0.2.0/120", "within ::ffff:0.0.0.0/96");
    }
}
