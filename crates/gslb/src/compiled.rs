//! A configuration as far as it does not depend on what is up: read and checked, and ready for snapshots.

mod zones;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fulcrum_config::gslb::{
    Answer, Choose, Gslb, Panic, Policy, RegionOrder, ServiceAnswer, ServiceChoose, Target, Targets,
};
use fulcrum_model::{DnsName, RegionName};

use crate::choice::{Choice, Manner, Places};
use crate::choices::Choices;
use crate::geo::{Atlas, Classes, Database, MAX_NETS_SIZE, Nets, Ranking, Sources};
use crate::hosts::Endpoint;
use crate::names::Names;
use crate::parts::Parts;
use crate::policy::{Candidates, Plan, Slice};
use crate::region::{Region, RegionSet};
use crate::regular_file;
use crate::zone::file::Texts;
use crate::zone::{Record, ZoneError};

use zones::{Made, Maker};

/// What is answered, but for what changes from second to second.
#[derive(Debug)]
pub struct Compiled {
    /// The names of all zones.
    pub names: Arc<Names>,
    /// The zones in configured order.
    zones: Vec<Arc<Made>>,
    chosen: Vec<Chosen>,
    atlas: Option<Atlas>,
    /// What the numbers of regions stand for.
    regions: Vec<RegionName>,
}

/// A name that a policy answers for.
#[derive(Debug)]
pub struct Chosen {
    /// The name.
    pub owner: DnsName,
    /// What it answers by.
    pub answer: Answer,
    order: Order,
    counts: Arc<Parts>,
    good: Arc<LastGood>,
}

/// What was answered when something was eligible last, to clients with each order of regions.
#[derive(Debug, Default)]
struct LastGood(Mutex<HashMap<Box<[usize]>, Vec<Slice>>>);

impl LastGood {
    /// Remembers an answer; in a panic, the remembered one goes before what there is.
    fn keep(&self, order: &[usize], plan: &mut Plan, presentable: RegionSet) {
        // Whoever panicked with it left it whole: it is changed by one call.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !plan.is_panic {
            known.insert(order.into(), plan.slices.clone());
        } else if let Some(slices) = known.get(order) {
            // Not with who has been taken out since.
            let is_out = |slice: &Slice| slice.region.is_some_and(|region| !presentable.contains(region));
            if !slices.iter().any(is_out) {
                plan.slices.clone_from(slices);
            }
        }
    }
}

/// In which order the regions of a policy are tried.
#[derive(Clone, Debug)]
enum Order {
    /// All at once, or there are none.
    Together,
    /// As configured.
    Configured,
    /// It depends on where the client is: for each kind of clients the places of regions in the policy.
    Places { ranking: Ranking, places: Places, orders: Arc<[Box<[usize]>]> },
}

impl Order {
    /// Whether kinds of clients mean the same.
    fn is_like(&self, other: &Order) -> bool {
        match (self, other) {
            (Order::Places { orders, .. }, Order::Places { orders: others, .. }) => orders == others,
            (Order::Places { .. }, _) | (_, Order::Places { .. }) => false,
            _ => true,
        }
    }
}

/// Why a configuration cannot be answered from.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A zone that is wrong.
    #[error("zone {zone}: {}{error}", .file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default())]
    Zone {
        /// Its name.
        zone: DnsName,
        /// The file that it is in, where the error names none.
        file: Option<PathBuf>,
        /// What is wrong.
        error: ZoneError,
    },
    /// A file of networks or places that cannot be used.
    #[error("gslb.geo: {}: {why}", .file.display())]
    Geo {
        /// The file.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// Regions that contradict each other.
    #[error("gslb.regions: {0}")]
    Regions(String),
}

/// Reads the records of a zone file, and tells what they were read from.
pub type ReadZone<'a> = &'a dyn Fn(&Path, &DnsName) -> Result<(Vec<Record>, Texts), Vec<ZoneError>>;

impl Compiled {
    /// Reads everything that a configuration names; all mistakes at once. Names that were there `before` go on counting, and
    /// zones that would be what they were are not made again.
    pub fn new(
        gslb: &Gslb,
        read: ReadZone<'_>,
        before: Option<(&Gslb, &Compiled)>,
    ) -> Result<Self, Vec<CompileError>> {
        let mut errors = Vec::new();
        let mut zones = Vec::new();
        let mut chosen = Vec::new();
        let mut firsts = Vec::new();
        let maker = Maker::new(gslb, read, before);
        for zone in &gslb.zones {
            firsts.push(chosen.len() as u32);
            match maker.zone(zone, &mut chosen) {
                Ok(made) => zones.push(made),
                Err(found) => errors.extend(found),
            }
        }
        let atlas = match atlas(gslb) {
            Ok(atlas) => atlas,
            Err(error) => {
                errors.push(error);
                None
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut orders =
            Orders { gslb, atlas: atlas.as_ref(), classes: HashMap::new(), places: HashMap::new() };
        let regions: Vec<RegionName> = gslb.regions.iter().map(|region| region.name.clone()).collect();
        // Numbers of other regions would be taken for those of these.
        let before = before.map(|(_, compiled)| compiled).filter(|before| before.regions == regions);
        let known: HashMap<&DnsName, &Chosen> =
            before.iter().flat_map(|before| &before.chosen).map(|chosen| (&chosen.owner, chosen)).collect();
        // Where there are so many names none is asked for by everybody.
        let rows = if chosen.len() > MOST_NAMES_WITH_ROWS { 1 } else { gslb.workers.get() + 1 };
        let chosen = chosen.into_iter().map(|(owner, answer)| {
            let before = known.get(&owner);
            // What another answer has given is none that this one would give.
            let same = before.filter(|before| before.answer == answer);
            let good = same.map(|before| Arc::clone(&before.good)).unwrap_or_default();
            let order = match &answer {
                Answer::Policy(policy) => orders.of(policy),
                Answer::Service(_) => Ok(Order::Together),
            };
            order.map(|order| {
                let counts = parts(gslb, &answer, &order).with_rows(rows);
                let known =
                    before.filter(|before| before.order.is_like(&order) && before.counts.is_like(&counts));
                let counts = known.map_or_else(|| Arc::new(counts), |before| Arc::clone(&before.counts));
                Chosen { owner, answer, order, counts, good }
            })
        });
        let chosen = chosen.collect::<Result<Vec<_>, _>>().map_err(|error| vec![error])?;
        let names = zones.iter().map(|made| Arc::clone(&made.names)).zip(firsts);
        let names = Arc::new(Names::joined(names.collect()));
        Ok(Compiled { names, zones, chosen, atlas, regions })
    }

    /// The names that policies answer for, by number.
    pub fn chosen(&self) -> &[Chosen] {
        &self.chosen
    }

    /// Where clients are; `None` where that does not matter.
    pub fn atlas(&self) -> Option<&Atlas> {
        self.atlas.as_ref()
    }

    /// What is answered in this situation, by number.
    pub fn choices(&self, gslb: &Gslb, world: &dyn World) -> Choices {
        self.chosen.iter().map(|chosen| chosen.choice(gslb, world)).collect()
    }

    /// The same as in another situation, but for names with these numbers, which rise.
    pub fn changed_choices(
        &self,
        before: &Choices,
        changed: &[u32],
        gslb: &Gslb,
        world: &dyn World,
    ) -> Choices {
        let of = |number: &u32| Some((*number, self.chosen.get(*number as usize)?.choice(gslb, world)));
        before.with(changed.iter().filter_map(of))
    }
}

/// What is known of regions, targets and services.
pub trait World {
    /// Of the regions and targets of a policy.
    fn plan(&self, policy: &Policy, candidates: &Candidates<'_>, together: bool) -> Plan;
    /// The regions that no operator has taken out.
    fn presentable(&self) -> RegionSet;
    /// Of a service's endpoints.
    fn endpoints(&self, service: &ServiceAnswer) -> Plan;
    /// The endpoints of a service with their ports.
    fn hosts(&self, _service: &ServiceAnswer) -> Vec<Endpoint> {
        Vec::new()
    }
}

impl Chosen {
    /// How often each target answered.
    pub fn counts(&self) -> &Arc<Parts> {
        &self.counts
    }

    /// Whether the targets of all its regions are chosen from at once.
    pub(crate) fn answers_together(&self) -> bool {
        matches!(self.order, Order::Together)
    }

    /// The regions that answers by these plans name, and for how long these may be remembered at most, in seconds.
    fn named(&self, gslb: &Gslb, plans: &[Plan]) -> Box<[(Region, u32)]> {
        let Answer::Policy(policy) = &self.answer else { return Box::default() };
        if matches!(policy.targets, Targets::Endpoints(_)) {
            return Box::default();
        }
        let all = candidates(gslb, &policy.targets);
        let mut named: BTreeMap<Region, u32> = BTreeMap::new();
        for (plan, slice) in plans.iter().flat_map(|plan| plan.slices.iter().map(move |slice| (plan, slice)))
        {
            let is_in = |target: &Target| slice.targets.iter().any(|(answer, _)| *answer == target.answer);
            // Where several regions answer together, those whose targets are among them.
            let among = all.iter().filter(|(_, targets)| slice.region.is_none() && targets.iter().any(is_in));
            for region in slice.region.into_iter().chain(among.filter_map(|(region, _)| *region)) {
                let ttl = named.entry(region).or_default();
                *ttl = plan.ttl.max(*ttl);
            }
        }
        named.into_iter().collect()
    }

    /// What is answered to each kind of clients.
    pub fn plans(&self, gslb: &Gslb, world: &dyn World) -> Vec<Plan> {
        let policy = match &self.answer {
            Answer::Policy(policy) => policy,
            Answer::Service(service) => return vec![world.endpoints(service)],
        };
        let candidates = candidates(gslb, &policy.targets);
        let plan = |order: &[usize], together| {
            let ordered: Candidates<'_> =
                order.iter().filter_map(|place| candidates.get(*place).copied()).collect();
            world.plan(policy, &ordered, together)
        };
        let all: Vec<usize> = (0..candidates.len()).collect();
        match &self.order {
            Order::Together => vec![plan(&all, true)],
            Order::Configured => vec![plan(&all, false)],
            Order::Places { orders, .. } => orders.iter().map(|order| plan(order, false)).collect(),
        }
    }

    /// The same, with what was answered last where that is what a panic is to have: what answers are made of.
    pub fn plans_in_force(&self, gslb: &Gslb, world: &dyn World) -> Vec<Plan> {
        let mut plans = self.plans(gslb, world);
        if *self.panic() == Panic::LastGood {
            let orders: Vec<&[usize]> = match &self.order {
                Order::Places { orders, .. } => orders.iter().map(AsRef::as_ref).collect(),
                Order::Together | Order::Configured => vec![&[]],
            };
            let presentable = world.presentable();
            let plans = orders.into_iter().zip(&mut plans);
            plans.for_each(|(order, plan)| self.good.keep(order, plan, presentable));
        }
        plans
    }

    /// In which order clients of a kind get the regions of the policy: their places in it.
    pub(crate) fn order(&self, kind: usize, all: usize) -> Vec<usize> {
        match &self.order {
            Order::Together | Order::Configured => (0..all).collect(),
            Order::Places { orders, .. } => orders.get(kind).map_or_else(Vec::new, |order| order.to_vec()),
        }
    }

    /// By what regions are put in order, if it depends on where clients are.
    pub fn ranking(&self) -> Option<Ranking> {
        match &self.order {
            Order::Places { ranking, .. } => Some(*ranking),
            _ => None,
        }
    }

    fn panic(&self) -> &Panic {
        match &self.answer {
            Answer::Policy(policy) => &policy.panic,
            Answer::Service(service) => &service.panic,
        }
    }

    fn choice(&self, gslb: &Gslb, world: &dyn World) -> Choice {
        let places = match &self.order {
            Order::Places { places, .. } => Some(places.clone()),
            _ => None,
        };
        let (choose, max_answers) = match &self.answer {
            Answer::Policy(policy) => (policy.choose, policy.max_answers),
            Answer::Service(service) => (
                match service.choose {
                    ServiceChoose::All => Choose::All,
                    ServiceChoose::Weighted => Choose::Weighted,
                },
                service.max_answers,
            ),
        };
        let plans = self.plans_in_force(gslb, world);
        let manner = Manner { owner: &self.owner, choose, max_answers: max_answers.get() };
        let named = self.named(gslb, &plans);
        let choice = Choice::counting(manner, places, &plans, Arc::clone(&self.counts)).naming(named);
        match (&self.answer, plans.first()) {
            (Answer::Service(service), Some(plan)) => {
                choice.serving(&self.owner, plan, &world.hosts(service))
            }
            _ => choice,
        }
    }
}

/// Names whose answers each worker counts for itself: with 64 workers 83 MB.
const MOST_NAMES_WITH_ROWS: usize = 10_000;

/// What is counted of a name.
fn parts(gslb: &Gslb, answer: &Answer, order: &Order) -> Parts {
    let kinds = match order {
        Order::Places { orders, .. } => orders.len(),
        Order::Together | Order::Configured => 1,
    };
    let targets = match answer {
        Answer::Policy(policy) => candidates(gslb, &policy.targets),
        Answer::Service(_) => Vec::new(),
    };
    let targets = targets
        .iter()
        .flat_map(|(region, targets)| targets.iter().map(|target| (*region, target.answer.clone())));
    Parts::new(targets.collect(), kinds)
}

/// The targets of a policy with the regions that they are in, in file order.
pub(crate) fn candidates<'a>(gslb: &Gslb, targets: &'a Targets) -> Vec<(Option<Region>, &'a [Target])> {
    match targets {
        Targets::Endpoints(targets) => vec![(None, targets)],
        Targets::Regions { regions, .. } => {
            let number = |name: &fulcrum_model::RegionName| {
                gslb.regions.iter().position(|region| region.name == *name).and_then(Region::new)
            };
            regions.iter().map(|of| (number(&of.region), &of.targets[..])).collect()
        }
    }
}

/// The orders of regions, each worked out once.
struct Orders<'a> {
    gslb: &'a Gslb,
    atlas: Option<&'a Atlas>,
    classes: HashMap<Ranking, Arc<Classes>>,
    /// By ranking and regions: many names have the same.
    places: HashMap<(Ranking, Vec<Option<Region>>), Order>,
}

impl Orders<'_> {
    fn of(&mut self, policy: &Policy) -> Result<Order, CompileError> {
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
fn atlas(gslb: &Gslb) -> Result<Option<Atlas>, CompileError> {
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

#[cfg(test)]
mod tests;
