//! In which order a policy tries its regions, by where a client is.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use fulcrum_config::gslb::{Choose, Gslb, Policy, RegionOrder, Targets};
use fulcrum_config::regular_file;

use super::{CompileError, candidates};
use crate::choice::Places;
use crate::geo::{Atlas, Classes, Database, MAX_NETS_SIZE, Nets, Ranking, Sources};
use crate::region::Region;

/// In which order the regions of a policy are tried.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// All at once, or there are none.
    Together,
    /// As configured.
    Configured,
    /// It depends on where the client is: for each kind of clients the places of regions in the policy.
    Places { ranking: Ranking, places: Places, orders: Arc<[Box<[usize]>]> },
}

impl Order {
    /// Whether kinds of clients mean the same.
    pub(super) fn is_like(&self, other: &Order) -> bool {
        match (self, other) {
            (Order::Places { orders, .. }, Order::Places { orders: others, .. }) => orders == others,
            (Order::Places { .. }, _) | (_, Order::Places { .. }) => false,
            _ => true,
        }
    }
}

/// The orders of regions, each worked out once.
pub(super) struct Orders<'a> {
    gslb: &'a Gslb,
    atlas: Option<&'a Atlas>,
    classes: HashMap<Ranking, Arc<Classes>>,
    /// By ranking and regions: many names have the same.
    places: HashMap<(Ranking, Vec<Option<Region>>), Order>,
}

impl<'a> Orders<'a> {
    /// None is worked out yet.
    pub(super) fn new(gslb: &'a Gslb, atlas: Option<&'a Atlas>) -> Self {
        Orders { gslb, atlas, classes: HashMap::new(), places: HashMap::new() }
    }

    /// In which order a policy tries its regions.
    pub(super) fn of(&mut self, policy: &Policy) -> Result<Order, CompileError> {
        let Targets::Regions { order, .. } = &policy.targets else {
            return Ok(match policy.choose {
                Choose::First => Order::Configured,
                _ => Order::Together,
            });
        };
        let ranking = match order {
            RegionOrder::Together => return Ok(Order::Together),
            RegionOrder::Configured => return Ok(Order::Configured),
            RegionOrder::Geo => Ranking::Geo,
            RegionOrder::Nearest => Ranking::Nearest,
        };
        let Some(atlas) = self.atlas else { return Ok(Order::Configured) };
        let regions: Vec<Option<Region>> =
            candidates(self.gslb, &policy.targets).into_iter().map(|(region, _)| region).collect();
        if let Some(known) = self.places.get(&(ranking, regions.clone())) {
            return Ok(known.clone());
        }
        let classes = match self.classes.get(&ranking) {
            Some(classes) => Arc::clone(classes),
            None => {
                let compiled =
                    atlas.compile(ranking).map_err(|error| CompileError::Regions(error.to_string()))?;
                let compiled = Arc::new(compiled);
                self.classes.insert(ranking, Arc::clone(&compiled));
                compiled
            }
        };
        let order = kinds(ranking, &classes, &regions);
        self.places.insert((ranking, regions), order.clone());
        Ok(order)
    }
}

/// The classes that a policy with these regions tells apart.
fn kinds(ranking: Ranking, classes: &Arc<Classes>, regions: &[Option<Region>]) -> Order {
    let mut orders: Vec<Box<[usize]>> = Vec::new();
    let mut kinds = Vec::new();
    for order in classes.orders() {
        let place = |region: &Region| regions.iter().position(|own| own.as_ref() == Some(region));
        let order: Box<[usize]> = order.iter().filter_map(place).collect();
        let kind = orders.iter().position(|known| *known == order).unwrap_or_else(|| {
            orders.push(order);
            orders.len() - 1
        });
        kinds.push(kind as u16);
    }
    let places = Places { classes: Arc::clone(classes), kinds: kinds.into() };
    Order::Places { ranking, places, orders: orders.into() }
}

/// Where clients are, if there are regions.
pub(super) fn atlas(gslb: &Gslb) -> Result<Option<Atlas>, CompileError> {
    if gslb.regions.is_empty() {
        return Ok(None);
    }
    let region = |name: &str| {
        gslb.regions.iter().position(|region| region.name.as_str() == name).and_then(Region::new)
    };
    let mut sources = Sources::configured(&gslb.geo, &gslb.regions)
        .map_err(|error| CompileError::Regions(error.to_string()))?;
    if let Some(file) = &gslb.geo.nets {
        let wrong = |why: String| CompileError::Geo { file: file.clone(), why };
        // One byte more than is allowed is refused for its length.
        let text =
            regular_file::read(file, MAX_NETS_SIZE as u64 + 1).map_err(|error| wrong(error.to_string()))?;
        let text = String::from_utf8(text).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        sources.nets = Nets::parse(&text, region).map_err(|error| wrong(error.to_string()))?;
    }
    let open = |file: &Option<PathBuf>| {
        let open = |file: &PathBuf| {
            let wrong = |error: crate::geo::DatabaseError| CompileError::Geo {
                file: file.clone(),
                why: error.to_string(),
            };
            Database::open(file).map(Arc::new).map_err(wrong)
        };
        file.as_ref().map(open).transpose()
    };
    sources.database = open(&gslb.geo.database)?;
    sources.asn = open(&gslb.geo.asn)?;
    Atlas::new(sources).map(Some).map_err(|error| CompileError::Regions(error.to_string()))
}
