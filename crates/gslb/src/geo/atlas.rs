//! Where clients are and where the regions are: everything by which a client's order of regions is decided.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::database::Database;
use super::distance::{Bias, Direction};
use super::embedding::{Embedding, unwrapped};
use super::nets::Nets;
use super::place::{Location, Place};
use super::rule::Match;
use super::steps::{Steps, Valued};
use crate::region::Region;

/// Where a region is and whom it is for.
#[derive(Clone, Debug, Default)]
pub struct RegionPlace {
    /// The point from which distances are taken. Without one it comes last by distance.
    pub location: Option<Location>,
    /// How far it reaches.
    pub bias: Bias,
    /// The clients that it is for.
    pub matches: Vec<Match>,
}

/// What an atlas is made of.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// In configured order, at most [`crate::MAX_REGIONS`].
    pub regions: Vec<RegionPlace>,
    /// The region of clients that no rule speaks of.
    pub default: Option<Region>,
    /// The nets file.
    pub nets: Nets,
    /// The database of places.
    pub database: Option<Arc<Database>>,
    /// Another database that tells autonomous systems. It goes before the other one.
    pub asn: Option<Arc<Database>>,
}

/// Sources that fit together.
#[derive(Debug)]
pub struct Atlas {
    pub(super) regions: Vec<(RegionPlace, Option<Direction>)>,
    pub(super) default: Option<Region>,
    /// Of the file and of the regions' matches.
    pub(super) nets: Vec<(IpNet, Region)>,
    /// Positions in the networks, counted from one.
    pub(super) v4: Steps<u32>,
    pub(super) v6: Steps<u128>,
    pub(super) database: Option<Arc<Database>>,
    pub(super) asn: Option<Arc<Database>>,
}

/// Why sources do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtlasError {
    /// One network for two regions.
    #[error("{net} belongs to two regions")]
    Contradiction {
        /// The network.
        net: IpNet,
        /// The two regions.
        regions: [Region; 2],
    },
    /// A region that is not there, or one too many.
    #[error("there are {0} regions, of which one is meant that is not there, or more than 64")]
    Regions(usize),
}

/// Where a client is, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The address that was looked up: of an IPv6 address that stands for IPv4, the latter.
    pub address: IpAddr,
    /// How the IPv4 address was written into the IPv6 one.
    pub embedding: Option<Embedding>,
    /// The longest matching network of the nets, and its region.
    pub net: Option<(IpNet, Region)>,
    /// What the databases tell.
    pub place: Place,
    /// The largest network around the address with the same place in the database.
    pub place_net: Option<IpNet>,
    /// The same of the second database.
    pub asn_net: Option<IpNet>,
}

impl Atlas {
    /// Joins the sources, if they do not contradict each other.
    pub fn new(sources: Sources) -> Result<Atlas, AtlasError> {
        let Sources { regions, default, nets, database, asn } = sources;
        let nets = join(nets, &regions)?;
        let is_there = |region: &Region| region.index() < regions.len();
        let is_known = nets.iter().map(|(_, region)| region).chain(&default).all(is_there);
        if !is_known || regions.len() > crate::MAX_REGIONS {
            return Err(AtlasError::Regions(regions.len()));
        }
        let (v4, v6) = number(&nets);
        let regions = regions
            .into_iter()
            .map(|region| (region.location.map(Direction::of), region))
            .map(|(at, region)| (region, at));
        Ok(Atlas { regions: regions.collect(), default, nets, v4, v6, database, asn })
    }

    /// Where an address is.
    pub fn locate(&self, address: IpAddr) -> Located {
        let (address, embedding) = unwrapped(address);
        let number = match address {
            IpAddr::V4(v4) => self.v4.at(v4.to_bits()).0,
            IpAddr::V6(v6) => self.v6.at(v6.to_bits()).0,
        };
        let find = |database: &Option<Arc<Database>>| {
            database.as_ref().map_or((Place::default(), None), |database| database.find(address))
        };
        let ((place, place_net), (operator, asn_net)) = (find(&self.database), find(&self.asn));
        let place = Place { asn: operator.asn.or(place.asn), ..place };
        let net = number.checked_sub(1).map(|index| self.nets[index as usize]);
        Located { address, embedding, net, place, place_net, asn_net }
    }
}

/// The networks of the file and of the regions' matches, each once.
fn join(nets: Nets, regions: &[RegionPlace]) -> Result<Vec<(IpNet, Region)>, AtlasError> {
    let mut joined: HashMap<IpNet, Region> = HashMap::new();
    let of_regions = regions.iter().enumerate().flat_map(|(index, region)| {
        let nets = region
            .matches
            .iter()
            .filter_map(|rule| if let Match::Net(net) = rule { Some(*net) } else { None });
        nets.filter_map(move |net| Some((net, Region::new(index)?)))
    });
    for (net, region) in nets.iter().chain(of_regions) {
        let there = *joined.entry(net).or_insert(region);
        if there != region {
            return Err(AtlasError::Contradiction { net, regions: [there, region] });
        }
    }
    let mut joined: Vec<_> = joined.into_iter().collect();
    joined.sort_unstable();
    Ok(joined)
}

fn number(nets: &[(IpNet, Region)]) -> (Steps<u32>, Steps<u128>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (value, (net, _)) in (1..).zip(nets) {
        let length = net.prefix_len();
        match net.network() {
            IpAddr::V4(first) => v4.push(Valued { first: first.to_bits(), length, value }),
            IpAddr::V6(first) => v6.push(Valued { first: first.to_bits(), length, value }),
        }
    }
    (Steps::from_prefixes(v4, 0), Steps::from_prefixes(v6, 0))
}
