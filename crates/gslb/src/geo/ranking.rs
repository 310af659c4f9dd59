//! The order in which regions suit a client, and why.

use ipnet::IpNet;

use super::atlas::{Atlas, RegionPlace};
use super::centroid::LocatedBy;
use super::distance::{Direction, Distance};
use super::place::Place;
use super::rule::Match;
use crate::region::{Region, RegionSet};

/// By what regions are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ranking {
    /// By their matches. The order ends with `geo.default`: who is matched by nothing gets no region, unless one is for
    /// everybody.
    Geo,
    /// By their distance. All regions are in the order.
    Nearest,
}

/// A region that a client may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The region.
    pub region: Region,
    /// Why it stands where it does.
    pub reason: Reason,
}

/// Why a region stands where it does in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client is in this network, which belongs to the region.
    Net(IpNet),
    /// The region is for clients of this kind.
    Match(Match),
    /// It is so far away.
    Near {
        /// The distance itself.
        distance: Distance,
        /// The distance as the region's bias bends it, by which is compared.
        compared: Distance,
        /// By what the client's point is known.
        by: LocatedBy,
    },
    /// It is `geo.default`.
    Fallback,
    /// Nothing else is known: the configured order.
    Order,
}

impl Atlas {
    /// The regions for a client, best first, each once.
    pub fn rank(&self, ranking: Ranking, net: Option<(IpNet, Region)>, place: &Place) -> Vec<Candidate> {
        let mut order = Order::default();
        order.push_all(net.map(|(net, region)| (region, Reason::Net(net))));
        let point = place.point().filter(|_| ranking == Ranking::Nearest);
        match point {
            Some((location, by)) => order.push_all(self.by_distance(Direction::of(location), by)),
            None if ranking == Ranking::Geo => order.push_all(self.by_match(place)),
            None => {}
        }
        if point.is_none() {
            order.push_all(self.defaults());
        }
        if ranking == Ranking::Nearest {
            order.push_all(self.all().map(|(region, _)| (region, Reason::Order)));
        }
        order.candidates
    }

    fn all(&self) -> impl Iterator<Item = (Region, &(RegionPlace, Option<Direction>))> {
        self.regions.iter().enumerate().filter_map(|(index, region)| Some((Region::new(index)?, region)))
    }

    /// Those with a match of the client, the narrowest match first, equally narrow ones in configured order.
    fn by_match(&self, place: &Place) -> Vec<(Region, Reason)> {
        let narrowest = |(region, (place_of_region, _)): (Region, &(RegionPlace, _))| {
            let about = place_of_region.matches.iter().filter(|rule| rule.is_about(place));
            Some((region, *about.min_by_key(|rule| rule.specificity())?))
        };
        let mut matching: Vec<(Region, Match)> = self.all().filter_map(narrowest).collect();
        matching.sort_by_key(|(_, rule)| rule.specificity());
        matching.into_iter().map(|(region, rule)| (region, Reason::Match(rule))).collect()
    }

    /// Those that are for everybody, in configured order; then `geo.default`.
    fn defaults(&self) -> impl Iterator<Item = (Region, Reason)> {
        let is_for_all = |place: &RegionPlace| place.matches.contains(&Match::Default);
        let for_all = self.all().filter(move |(_, (place, _))| is_for_all(place));
        let for_all = for_all.map(|(region, _)| (region, Reason::Match(Match::Default)));
        for_all.chain(self.default.map(|region| (region, Reason::Fallback)))
    }

    /// Those with a point, the nearest first, equally near ones in configured order.
    fn by_distance(&self, client: Direction, by: LocatedBy) -> Vec<(Region, Reason)> {
        let mut near: Vec<(Distance, Region, Distance)> = self
            .all()
            .filter_map(|(region, (place, direction))| {
                let distance = client.distance((*direction)?);
                Some((place.bias.bend(distance), region, distance))
            })
            .collect();
        near.sort_unstable_by_key(|&(compared, region, _)| (compared, region));
        let reason = |distance, compared| Reason::Near { distance, compared, by };
        near.into_iter().map(|(compared, region, distance)| (region, reason(distance, compared))).collect()
    }
}

#[derive(Default)]
struct Order {
    candidates: Vec<Candidate>,
    seen: RegionSet,
}

impl Order {
    fn push_all(&mut self, regions: impl IntoIterator<Item = (Region, Reason)>) {
        for (region, reason) in regions {
            if self.seen.insert(region) {
                self.candidates.push(Candidate { region, reason });
            }
        }
    }
}
