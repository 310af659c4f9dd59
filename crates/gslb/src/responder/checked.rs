//! Targets that are checked, what is known of each, and which regions it stands for.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use fulcrum_config::HealthCheck;
use fulcrum_config::gslb::{Answer, Gslb, PolicyHealth, TargetAnswer};
use smallvec::SmallVec;

use super::regions;
use crate::compiled::{Compiled, candidates};
use crate::region::Region;
use crate::target::{TargetHealth, TargetRules};
use crate::verdict::{Judge, Observer};

/// A target and its check. The order is only there for a map.
pub(super) type Target = (IpAddr, u64);

#[derive(Debug)]
pub(super) struct Checked {
    pub(super) health: TargetHealth,
    pub(super) rules: TargetRules,
    pub(super) check: Arc<HealthCheck>,
    /// The regions that it stands for, and its number among their targets.
    pub(super) votes: Vec<(Region, u16)>,
    /// The numbers of the names that it answers for; they rise.
    pub(super) names: SmallVec<[u32; 2]>,
}

impl Checked {
    /// Where all that it stands for seems to fail for the sake of our own link, it does, too.
    pub(super) fn doubt(&mut self, judge: Option<&Judge>) {
        let Some(judge) = judge.filter(|_| !self.votes.is_empty()) else { return };
        if self.votes.iter().all(|(region, _)| judge.is_doubted(Observer(0), *region)) {
            self.health.doubted();
        }
    }
}

/// The targets that are checked; nothing is known of them yet.
pub(super) fn targets(gslb: &Gslb, compiled: &Compiled) -> BTreeMap<Target, Checked> {
    let mut found: BTreeMap<Target, Checked> = BTreeMap::new();
    let mut counts = regions::first_numbers(gslb);
    for (number, chosen) in (0..).zip(compiled.chosen()) {
        let Answer::Policy(policy) = &chosen.answer else { continue };
        let Some(health) = &policy.health else { continue };
        for (region, targets) in candidates(gslb, &policy.targets) {
            for target in targets {
                let TargetAnswer::Address(address) = target.answer else { continue };
                let key = (address, identity(health));
                let checked = found.entry(key).or_insert_with(|| Checked {
                    health: TargetHealth::default(),
                    rules: TargetRules {
                        rise: health.check.rise.get(),
                        fall: health.check.fall.get(),
                        hold: health.hold,
                        interval: health.check.interval,
                    },
                    check: Arc::new(health.check.clone()),
                    votes: Vec::new(),
                    names: SmallVec::new(),
                });
                if checked.names.last() != Some(&number) {
                    checked.names.push(number);
                }
                let Some(region) = region else { continue };
                if checked.votes.iter().all(|(known, _)| *known != region)
                    && let Some(number) = regions::next_number(&mut counts, region)
                {
                    checked.votes.push((region, number));
                }
            }
        }
    }
    found
}

/// What is known of targets that were checked before stays.
pub(super) fn keep(targets: &mut BTreeMap<Target, Checked>, before: BTreeMap<Target, Checked>) {
    for (target, before) in before {
        if let Some(checked) = targets.get_mut(&target) {
            checked.health = before.health;
        }
    }
}

/// A check's identity: equal ones are made once.
pub(crate) fn identity(health: &PolicyHealth) -> u64 {
    foldhash::fast::FixedState::default().hash_one(health)
}
