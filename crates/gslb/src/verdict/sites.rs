//! Who looks at what.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use fulcrum_model::RegionName;

use super::Order;
use crate::region::{MAX_REGIONS, Region};

/// The most observers of one configuration.
pub const MAX_OBSERVERS: usize = 64;

/// The most targets of one region: all of them are counted once a second.
pub const MAX_TARGETS: u16 = fulcrum_config::gslb::MOST_VOTERS;

/// An observer: its position in the configured order, 0 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Observer(pub u8);

impl Observer {
    /// The position in the configured order.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn bit(self) -> u64 {
        1 << (self.0 & 63)
    }
}

/// A daemon that looks at regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watcher {
    /// The name of its node: what it is known by across reloads.
    pub name: Arc<str>,
    /// The region that it runs in, `None` when it is outside of all of them.
    pub home: Option<RegionName>,
}

/// A region as it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name: what it is known by across reloads and restarts.
    pub name: RegionName,
    /// How many addresses of it are looked at: 0 to 4096. An observer holds a region for failed when all of them fail.
    /// Without any nobody votes, and only an operator takes the region out.
    pub targets: u16,
    /// What the targets are: while it is the same, what was seen of them goes over to another configuration.
    pub identity: u64,
    /// Who looks at it; empty means: every observer.
    pub observers: Vec<Observer>,
    /// What the configuration orders. An order that is given at run time goes before it.
    pub order: Option<Order>,
}

/// All regions and all observers, sound in themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites {
    regions: Vec<Site>,
    watchers: Vec<Watcher>,
    homes: Vec<Option<Region>>,
}

/// Why regions and observers do not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SitesError {
    /// None, or more than 64.
    Regions(usize),
    /// None, or more than 64.
    Observers(usize),
    /// A region has more than 4096 targets.
    Targets(RegionName),
    /// Two regions, or two observers, have one name.
    Twice(String),
    /// A region is looked at by an observer that there is not.
    NoObserver(RegionName, Observer),
    /// An observer runs in a region that there is not.
    NoHome(RegionName),
}

impl fmt::Display for SitesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SitesError::Regions(count) => write!(f, "{count} regions: 1 to {MAX_REGIONS} are allowed"),
            SitesError::Observers(count) => write!(f, "{count} observers: 1 to {MAX_OBSERVERS} are allowed"),
            SitesError::Targets(name) => write!(f, "region {name} has more than {MAX_TARGETS} targets"),
            SitesError::Twice(name) => write!(f, "{name:?} is there twice"),
            SitesError::NoObserver(name, observer) => {
                write!(f, "region {name} has observer {}, which is not there", observer.0)
            }
            SitesError::NoHome(name) => write!(f, "an observer runs in region {name}, which is not there"),
        }
    }
}

impl std::error::Error for SitesError {}

impl Sites {
    /// Checks them.
    pub fn new(regions: Vec<Site>, watchers: Vec<Watcher>) -> Result<Self, SitesError> {
        if regions.is_empty() || regions.len() > MAX_REGIONS {
            return Err(SitesError::Regions(regions.len()));
        }
        if watchers.is_empty() || watchers.len() > MAX_OBSERVERS {
            return Err(SitesError::Observers(watchers.len()));
        }
        check_unique(regions.iter().map(|site| site.name.as_str()))?;
        check_unique(watchers.iter().map(|watcher| &*watcher.name))?;
        for site in &regions {
            if site.targets > MAX_TARGETS {
                return Err(SitesError::Targets(site.name.clone()));
            }
            let stranger = site.observers.iter().find(|observer| observer.index() >= watchers.len());
            if let Some(&observer) = stranger {
                return Err(SitesError::NoObserver(site.name.clone(), observer));
            }
        }
        let find = |name: &RegionName| {
            let region = Region::first(regions.len()).find(|region| regions[region.index()].name == *name);
            region.ok_or_else(|| SitesError::NoHome(name.clone()))
        };
        let homes = watchers.iter().map(|watcher| watcher.home.as_ref().map(find).transpose());
        let homes = homes.collect::<Result<_, _>>()?;
        Ok(Sites { regions, watchers, homes })
    }

    /// The regions in configured order.
    pub fn regions(&self) -> impl DoubleEndedIterator<Item = Region> + ExactSizeIterator + use<> {
        Region::first(self.regions.len())
    }

    /// A region, unless there are fewer.
    pub fn site(&self, region: Region) -> Option<&Site> {
        self.regions.get(region.index())
    }

    /// The region of a name.
    pub fn find(&self, name: &str) -> Option<Region> {
        self.regions().find(|region| self.regions[region.index()].name.as_str() == name)
    }

    /// The observers in configured order.
    pub fn watchers(&self) -> &[Watcher] {
        &self.watchers
    }

    /// How many targets a region has; 0 when it is not there.
    pub(super) fn targets(&self, region: Region) -> usize {
        self.site(region).map_or(0, |site| usize::from(site.targets))
    }

    /// Who looks at a region.
    pub(super) fn electorate(&self, region: Region) -> impl Iterator<Item = Observer> {
        let observers = (0..self.watchers.len() as u8).map(Observer);
        observers.filter(move |&observer| self.looks_at(observer, region))
    }

    pub(super) fn looks_at(&self, observer: Observer, region: Region) -> bool {
        let Some(site) = self.site(region) else { return false };
        observer.index() < self.watchers.len()
            && (site.observers.is_empty() || site.observers.contains(&observer))
    }

    /// The region that an observer runs in.
    pub(super) fn home(&self, observer: Observer) -> Option<Region> {
        self.homes.get(observer.index()).copied().flatten()
    }
}

fn check_unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), SitesError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(SitesError::Twice(name.to_owned()));
        }
    }
    Ok(())
}
