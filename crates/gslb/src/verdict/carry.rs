//! A reload: what is known of regions and observers that keep their names goes over to the new configuration.

use std::collections::HashMap;

use super::{Judge, Now, Observer, Rules, Sites};
use crate::region::{Region, RegionSet};

impl Judge {
    /// The judge of a new configuration, who goes on where this one is: nothing that was seen has to be seen again.
    /// A region with other targets keeps its verdict, but is looked at anew.
    pub fn reconfigured(&self, sites: Sites, rules: Rules, now: Now) -> Judge {
        let mut next = Judge::new(sites, rules, None, now);
        let regions: Vec<(Region, Region)> =
            next.sites().regions().filter_map(|new| self.was(&next, new)).collect();
        for &(old, new) in &regions {
            let (Some(before), Some(after)) = (self.watched(old), next.watched_mut(new)) else { continue };
            let configured = after.orders.configured.take();
            *after = before.clone();
            after.orders.configured = configured;
        }
        self.hand_over_views(&mut next, &regions, now);
        (next.brake, next.watch.failing) = (self.brake, self.watch.failing);
        let is_good = |pair: &&(Region, Region)| self.watch.last_good.contains(pair.0);
        next.watch.last_good = regions.iter().filter(is_good).map(|pair| pair.1).collect::<RegionSet>();
        (next.last_call, next.last_tick) = (self.last_call, self.last_tick);
        next.recorder = self.recorder.clone();
        next
    }

    fn was(&self, next: &Judge, new: Region) -> Option<(Region, Region)> {
        let old = self.sites().find(next.sites().site(new)?.name.as_str())?;
        Some((old, new))
    }

    fn hand_over_views(&self, next: &mut Judge, regions: &[(Region, Region)], now: Now) {
        let watchers = self.sites().watchers().iter().zip(0..);
        let old: HashMap<&str, Observer> =
            watchers.map(|(watcher, number)| (&*watcher.name, Observer(number))).collect();
        let names: Vec<_> = next.sites().watchers().iter().map(|watcher| watcher.name.clone()).collect();
        for (name, number) in names.iter().zip(0u8..) {
            let Some(&before) = old.get(&**name) else { continue };
            for &(from, to) in regions {
                let looked_at = |judge: &Judge, region| {
                    let site = judge.sites().site(region)?;
                    Some((site.targets, site.identity))
                };
                if looked_at(self, from) == looked_at(next, to) {
                    let mut view = self.view(before, from).clone();
                    view.recount(now.clock, &next.rules);
                    next.views[usize::from(number)][to.index()] = view;
                }
            }
        }
    }
}
