//! Whose answers depend on what: where something is seen otherwise, only those are built anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fulcrum_config::gslb::{Answer, Gslb};
use fulcrum_model::ServiceName;

use super::checked::{Checked, Target};
use super::world::Seen;
use crate::compiled::{Compiled, candidates};
use crate::region::Region;

/// The numbers of names by what their answers are made of. Those of a target are kept with it.
#[derive(Debug, Default)]
pub(super) struct Dependents {
    regions: Vec<Vec<u32>>,
    services: HashMap<ServiceName, Vec<u32>>,
}

impl Dependents {
    pub(super) fn new(gslb: &Gslb, compiled: &Compiled) -> Self {
        let mut dependents =
            Dependents { regions: vec![Vec::new(); gslb.regions.len()], services: HashMap::new() };
        for (number, chosen) in (0..).zip(compiled.chosen()) {
            match &chosen.answer {
                Answer::Policy(policy) => {
                    for (region, _) in candidates(gslb, &policy.targets) {
                        dependents.add_region(region, number);
                    }
                }
                Answer::Service(service) => {
                    dependents.services.entry(service.service.clone()).or_default().push(number);
                }
            }
        }
        dependents
    }

    fn add_region(&mut self, region: Option<Region>, number: u32) {
        if let Some(names) = region.and_then(|region| self.regions.get_mut(region.index())) {
            names.push(number);
        }
    }

    /// The numbers of the names that are answered otherwise than before, as they rise.
    pub(super) fn of_change(
        &self,
        targets: &BTreeMap<Target, Checked>,
        before: &Seen,
        now: &Seen,
    ) -> Vec<u32> {
        let other = |region: &Region| before.of_region(*region) != now.of_region(*region);
        let regions = Region::first(self.regions.len()).filter(other);
        let regions = regions.flat_map(|region| &self.regions[region.index()]);
        let changed = [(&before.down, &now.down), (&before.unsettled_targets, &now.unsettled_targets)];
        let changed = changed.into_iter().flat_map(|(before, now)| before.symmetric_difference(now));
        let targets = changed.filter_map(|target| targets.get(target)).flat_map(|checked| &checked.names);
        let services = now.services.others(&before.services).into_iter();
        let services = services.filter_map(|service| self.services.get(service)).flatten();
        let mut numbers: Vec<u32> = regions.chain(targets).chain(services).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// Those of two maps' keys whose values are not the same, or that only one has.
pub(super) fn differing<'a, K: Ord, V: PartialEq>(
    one: &'a BTreeMap<K, V>,
    other: &'a BTreeMap<K, V>,
) -> BTreeSet<&'a K> {
    let of = |these: &'a BTreeMap<K, V>, those: &'a BTreeMap<K, V>| {
        these.iter().filter(move |(key, value)| those.get(*key) != Some(*value)).map(|(key, _)| key)
    };
    of(one, other).chain(of(other, one)).collect()
}
