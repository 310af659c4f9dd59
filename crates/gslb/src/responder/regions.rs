//! From the configuration of regions to what the judge goes by.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::time::{Duration, SystemTime};

use fulcrum_config::gslb::{self as config, Answer, Gslb, OverrideState};
use fulcrum_model::ServiceName;

use super::{Checked, Target};
use crate::compiled::Compiled;
use crate::headroom::HeadroomRules;
use crate::region::Region;
use crate::verdict::{Failover, Forced, MAX_TARGETS, Order, Ramp, Rules, Site, Sites, Watcher};

/// The regions, and this daemon as the one that looks at them; `None` without regions.
pub(super) fn sites(gslb: &Gslb, targets: &BTreeMap<Target, Checked>) -> Option<Sites> {
    let numbers = targets.values().flat_map(|checked| &checked.votes);
    let mut counts = first_numbers(gslb);
    for (region, number) in numbers {
        counts[region.index()] = counts[region.index()].max(number + 1);
    }
    let order = |region: &config::Region| {
        let order = gslb.overrides.iter().find(|order| order.region == region.name)?;
        let forced = match order.state {
            OverrideState::Up => Forced::Up,
            OverrideState::Down => Forced::Down,
            OverrideState::Drain => Forced::Drain,
        };
        Some(Order {
            forced,
            until: SystemTime::UNIX_EPOCH + order.until,
            reason: order.reason.as_str().into(),
        })
    };
    let identity = |index: usize, service: Option<&ServiceName>| {
        let numbered = targets.iter().flat_map(|(target, checked)| {
            let of = checked.votes.iter().filter(move |(region, _)| region.index() == index);
            of.map(move |(_, number)| (*number, *target))
        });
        let numbered: BTreeMap<u16, Target> = numbered.collect();
        foldhash::fast::FixedState::default().hash_one((service, numbered))
    };
    let site = |(index, (region, count)): (usize, (&config::Region, &u16))| Site {
        name: region.name.clone(),
        targets: *count,
        identity: identity(index, region.service.as_ref()),
        observers: Vec::new(),
        order: order(region),
    };
    let regions: Vec<Site> = gslb.regions.iter().zip(&counts).enumerate().map(site).collect();
    let here = Watcher { name: "here".into(), home: gslb.home.clone() };
    // Names are unique, and there are at most 64: what remains is that there are none.
    Sites::new(regions, vec![here]).ok()
}

/// How many targets each region has before any is checked: its service is the first.
pub(super) fn first_numbers(gslb: &Gslb) -> Vec<u16> {
    gslb.regions.iter().map(|region| u16::from(region.service.is_some())).collect()
}

/// The number of another target of a region; beyond the most that votes are taken of, none.
pub(super) fn next_number(counts: &mut [u16], region: Region) -> Option<u16> {
    let count = counts.get_mut(region.index()).filter(|count| **count < MAX_TARGETS)?;
    *count += 1;
    Some(*count - 1)
}

pub(super) fn rules(gslb: &Gslb, largest_ttl: Duration) -> Rules {
    let config::Verdict { hold, failover: _, failback, failback_hold, ramp, brake } = &gslb.verdict;
    let intervals = gslb.zones.iter().filter_map(|zone| match &zone.source {
        config::ZoneSource::Inline(zone) => Some(&zone.names),
        config::ZoneSource::File(_) => None,
    });
    let intervals = intervals.flatten().filter_map(|name| match &name.answer {
        Some(Answer::Policy(policy)) => policy.health.as_ref().map(|health| health.check.interval),
        _ => None,
    });
    Rules {
        // The slowest check is as often as anything is heard.
        interval: intervals.max().unwrap_or(LOOK).max(LOOK),
        hold: *hold,
        failback: *failback,
        failback_hold: *failback_hold,
        ramp: Ramp::new(ramp.clone()).unwrap_or_default(),
        // Nobody has seen a step when the next one comes sooner than clients ask again.
        ramp_step: Rules::default().ramp_step.max(largest_ttl),
        brake: *brake,
        ..Rules::default()
    }
}

pub(super) fn failover(gslb: &Gslb) -> Failover {
    gslb.verdict.failover
}

pub(super) fn headroom(gslb: &Gslb) -> HeadroomRules {
    let part = |percent: u8| f64::from(percent) / 100.0;
    gslb.headroom.map_or_else(HeadroomRules::default, |headroom| HeadroomRules {
        low: part(headroom.low),
        high: part(headroom.high),
        ..HeadroomRules::default()
    })
}

/// How late clients may follow.
pub(super) fn largest_ttl(compiled: &Compiled) -> Duration {
    let ttl = |answer: &Answer| match answer {
        Answer::Policy(policy) => policy.ttl.max,
        Answer::Service(service) => service.ttl.max,
    };
    let largest = compiled.chosen().iter().map(|chosen| ttl(&chosen.answer)).max();
    Duration::from_secs(largest.unwrap_or(0).into())
}

/// How often services are looked at.
const LOOK: Duration = Duration::from_secs(1);
