//! From an atlas to what the hot path needs: the class of every address, and the order of regions of every class.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::atlas::Atlas;
use super::database::Database;
use super::place::Place;
use super::prefix_table::{Class, MAX_CLASSES, PrefixTable, TableError};
use super::ranking::Ranking;
use super::rule::Specificity;
use super::steps::Steps;
use super::width::Width;
use crate::region::Region;

/// Which clients are answered alike, and the regions of each kind of clients in order of preference.
#[derive(Debug)]
pub struct Classes {
    table: Arc<PrefixTable>,
    orders: Vec<Box<[Region]>>,
    ranked: usize,
}

impl Classes {
    /// The class of a source prefix, and its scope: see [`PrefixTable::class_of`].
    #[inline]
    pub fn class_of(&self, address: IpAddr, source: u8) -> (Class, u8) {
        self.table.class_of(address, source)
    }

    /// The regions for clients of a class, best first. Empty, if no region is for them.
    pub fn order(&self, class: Class) -> &[Region] {
        self.orders.get(usize::from(class.0)).map_or(&[], |order| order)
    }

    /// The order of every class, class by class.
    pub fn orders(&self) -> &[Box<[Region]>] {
        &self.orders
    }

    /// How many places of an order are by preference. Regions behind them are in configured order, so that classes stay
    /// few.
    pub fn ranked(&self) -> usize {
        self.ranked
    }

    /// From addresses to classes.
    pub fn table(&self) -> &Arc<PrefixTable> {
        &self.table
    }
}

impl Atlas {
    /// Decides for every address at once what [`Atlas::rank`] decides for one client.
    pub fn compile(&self, ranking: Ranking) -> Result<Classes, TableError> {
        let mut clients = Interned::default();
        clients.number(Client::default());
        let relevant = self.relevant(ranking);
        let places = Kept::new(self.database.as_deref(), &relevant);
        let operators = Kept::new(self.asn.as_deref(), &relevant);
        let v4 =
            self.clients(&mut clients, &self.v4, places.steps(|it| &it.v4), operators.steps(|it| &it.v4));
        let v6 =
            self.clients(&mut clients, &self.v6, places.steps(|it| &it.v6), operators.steps(|it| &it.v6));
        let pins = self.pins();
        let orders = clients.keys.iter().map(|client| {
            let (place, operator) = (places.place(client.place), operators.place(client.operator));
            let place = Place { asn: operator.asn.or(place.asn), ..place };
            let order = self.rank(ranking, pins[client.region as usize], &place);
            order.into_iter().map(|candidate| candidate.region).collect()
        });
        let (orders, ranked, classes) = classes(&orders.collect::<Vec<_>>())?;
        let class = |client: u32| u32::from(classes[client as usize]);
        let table = PrefixTable::from_steps(&v4.map(class), &v6.map(class))?;
        Ok(Classes { table: Arc::new(table), orders, ranked })
    }

    /// What of a place can make a difference: the fewer places differ, the less there is to do.
    fn relevant(&self, ranking: Ranking) -> impl Fn(&Place) -> Place + use<> {
        let rules = self.regions.iter().flat_map(|(region, _)| &region.matches);
        let kinds: Vec<Specificity> = rules.map(|rule| rule.specificity()).collect();
        let has = move |kind| kinds.contains(&kind);
        move |place| match ranking {
            Ranking::Nearest => Place { location: place.point().map(|(point, _)| point), ..Place::default() },
            Ranking::Geo => Place {
                continent: place.continent.filter(|_| has(Specificity::Continent)),
                country: place.country.filter(|_| has(Specificity::Country)),
                subdivision: place.subdivision.filter(|_| has(Specificity::Subdivision)),
                asn: place.asn.filter(|_| has(Specificity::Asn)),
                location: None,
            },
        }
    }

    /// The kind of client at every address.
    fn clients<W: Width>(
        &self,
        clients: &mut Interned<Client>,
        nets: &Steps<W>,
        places: Steps<W>,
        operators: Steps<W>,
    ) -> Steps<W> {
        let mut pairs = Interned::default();
        let both = places.join(&operators, |place, operator| pairs.number((place, operator)));
        // Networks of one region need not be told apart.
        let regions = nets.map(|net| match net.checked_sub(1) {
            Some(index) => self.nets[index as usize].1.index() as u32 + 1,
            None => 0,
        });
        both.join(&regions, |pair, region| {
            let (place, operator) = pairs.keys[pair as usize];
            clients.number(Client { region, place, operator })
        })
    }

    /// For each number of a region, one of its networks: which one makes no difference.
    fn pins(&self) -> Vec<Option<(IpNet, Region)>> {
        let mut pins = vec![None; self.regions.len() + 1];
        for &(net, region) in &self.nets {
            pins[region.index() + 1] = Some((net, region));
        }
        pins
    }
}

/// Clients between which no rule makes a difference. The default is one of whom nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Client {
    /// The region that its network belongs to, counted from one.
    region: u32,
    place: u32,
    operator: u32,
}

/// A database with fewer places: those that make a difference.
struct Kept<'a> {
    database: Option<&'a Database>,
    places: Interned<Place>,
    /// For each place of the database, the one that is kept.
    numbers: Vec<u32>,
}

impl<'a> Kept<'a> {
    fn new(database: Option<&'a Database>, relevant: impl Fn(&Place) -> Place) -> Kept<'a> {
        let mut places = Interned::default();
        places.number(Place::default());
        let all = database.map_or(&[][..], |database| &database.places);
        let numbers = all.iter().map(|place| places.number(relevant(place))).collect();
        Kept { database, places, numbers }
    }

    fn steps<W: Width>(&self, of: impl Fn(&Database) -> &Steps<W>) -> Steps<W> {
        let steps = self.database.map(of);
        steps.map_or_else(|| Steps::flat(0), |steps| steps.map(|place| self.numbers[place as usize]))
    }

    fn place(&self, number: u32) -> Place {
        self.places.keys[number as usize]
    }
}

/// Numbers for what is met, in the order in which it is met.
struct Interned<K> {
    numbers: HashMap<K, u32>,
    keys: Vec<K>,
}

impl<K> Default for Interned<K> {
    fn default() -> Self {
        Interned { numbers: HashMap::new(), keys: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash> Interned<K> {
    fn number(&mut self, key: K) -> u32 {
        *self.numbers.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.keys.len() as u32 - 1
        })
    }
}

type Numbered = (Vec<Box<[Region]>>, usize, Vec<u16>);

/// A class for every order, as many places of which are kept as there are numbers for: of a client of whom nothing is
/// known it is class 0.
fn classes(orders: &[Vec<Region>]) -> Result<Numbered, TableError> {
    let kept = (1..=MAX_RANKED).rev();
    kept.into_iter().find_map(|ranked| number(orders, ranked)).ok_or(TableError::Classes)
}

fn number(orders: &[Vec<Region>], ranked: usize) -> Option<Numbered> {
    let mut numbers: HashMap<Box<[Region]>, u16> = HashMap::new();
    let (mut distinct, mut classes) = (Vec::new(), Vec::with_capacity(orders.len()));
    for order in orders {
        let mut order: Box<[Region]> = order.as_slice().into();
        order.get_mut(ranked..).unwrap_or_default().sort_unstable();
        let class = match numbers.get(&order) {
            Some(&class) => class,
            None if distinct.len() == MAX_CLASSES => return None,
            None => {
                let class = distinct.len() as u16;
                distinct.push(order.clone());
                numbers.insert(order, class);
                class
            }
        };
        classes.push(class);
    }
    Some((distinct, ranked, classes))
}

/// Places of an order that are by preference: when eight regions are down at once, distance is no concern.
const MAX_RANKED: usize = 8;
