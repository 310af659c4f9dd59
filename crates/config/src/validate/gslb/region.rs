//! Regions, when they count as down, and what an operator decided about them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use fulcrum_model::RegionName;

use crate::code::Code;
use crate::decode::{At, AtLeastOne, Named, NamedEntry};
use crate::gslb::{
    Failback, Failover, GeoMatch, MOST_REGIONS, MOST_VOTERS, PolicyHealth, Region, RegionOverride,
    RegionTargets, TargetAnswer, Targets, Verdict, Zone,
};
use crate::node::quote;
use crate::percent::Percent;
use crate::raw::{RawGslb, RawRegion, RawRegionOverride, RawVerdict};
use crate::source::Place;
use crate::suggest::nearest;
use crate::validate::{Context, Names, name};

use super::at_most;

/// Which regions there are, also of those that could not be read.
pub(crate) struct Regions {
    /// In file order.
    known: Vec<Known>,
    /// All regions are known, so one that is not among them does not exist.
    complete: bool,
}

struct Known {
    name: Rc<str>,
    place: Place,
    has_location: bool,
    has_rules: bool,
}

impl Regions {
    pub(crate) fn of(raw: &RawGslb, context: &mut Context<'_>) -> Self {
        let entries = raw.regions.as_ref().map_or(&[][..], |regions| &regions.0);
        if let Some(extra) = entries.get(MOST_REGIONS) {
            at_most(entries.len(), MOST_REGIONS, "regions", extra.place, context);
        }
        let is_given = |entry: &NamedEntry<RawRegion>, key| {
            entry.value.as_ref().is_none_or(|raw| raw.given.unknown() || raw.given.place(key).is_some())
        };
        let known = entries.iter().map(|entry| Known {
            name: Rc::clone(&entry.name),
            place: entry.place,
            has_location: is_given(entry, "location"),
            has_rules: is_given(entry, "match"),
        });
        let unread = raw.regions.is_none() && raw.given.place("regions").is_some();
        Regions { known: known.collect(), complete: !unread && !raw.given.unknown() }
    }

    /// The region that is meant, or `None` after recording that it does not exist.
    pub(crate) fn find(&self, text: &str, place: Place, context: &mut Context<'_>) -> Option<RegionName> {
        if !self.complete || self.known.iter().any(|known| &*known.name == text) {
            return text.parse().ok();
        }
        let names = || self.known.iter().map(|known| &*known.name);
        let list = names().take(SHOWN).collect::<Vec<_>>().join(", ");
        let list = match self.known.len() {
            0 => "there are none".to_owned(),
            count if count > SHOWN => list + ", ...",
            _ => list,
        };
        let guess = nearest(text, names()).map(|guess| format!(" (did you mean `{guess}`?)"));
        context
            .problems
            .add(Code::NoSuchRegion, place, format!("the region {} does not exist", quote(text)))
            .note(format!("regions: {list}{}", guess.unwrap_or_default()));
        None
    }

    /// Records regions with more checked targets than can have a vote.
    pub(crate) fn warn_of_mute_targets(&self, zones: &[Zone], context: &mut Context<'_>) {
        let mut checked: HashMap<&str, HashSet<(&IpAddr, &PolicyHealth)>> = HashMap::new();
        for policy in zones.iter().flat_map(Zone::policies) {
            let (Targets::Regions { regions, .. }, Some(health)) = (&policy.targets, &policy.health) else {
                continue;
            };
            for RegionTargets { region, targets } in regions {
                let addresses = targets.iter().filter_map(|target| match &target.answer {
                    TargetAnswer::Address(address) => Some((address, health)),
                    TargetAnswer::Alias(_) => None,
                });
                checked.entry(region.as_str()).or_default().extend(addresses);
            }
        }
        for Known { name, place, .. } in &self.known {
            let count = checked.get(&**name).map_or(0, HashSet::len);
            if count > usize::from(MOST_VOTERS) {
                let message = format!(
                    "`{name}` has {count} targets that are checked, and {MOST_VOTERS} can have a vote"
                );
                let problem = context.problems.add(Code::MuteTargets, *place, message);
                problem
                    .note("each is left out when it is down; the verdict on the region is that of the first");
            }
        }
    }

    /// False for a region that surely has no location.
    pub(crate) fn may_be_located(&self, region: &RegionName) -> bool {
        self.known(region).is_none_or(|known| known.has_location)
    }

    /// False for a region that surely has no rule about clients.
    pub(crate) fn may_have_rules(&self, region: &RegionName) -> bool {
        self.known(region).is_none_or(|known| known.has_rules)
    }

    fn known(&self, region: &RegionName) -> Option<&Known> {
        self.known.iter().find(|known| &*known.name == region.as_str())
    }
}

/// Every region that is well-formed by itself.
pub(crate) fn all(raw: Named<RawRegion>, names: &Names, context: &mut Context<'_>) -> Vec<Region> {
    let mut rules: HashMap<GeoMatch, Place> = HashMap::new();
    let regions = raw.0.into_iter();
    regions.filter_map(|entry| region(entry, names, &mut rules, context)).collect()
}

fn region(
    entry: NamedEntry<RawRegion>,
    names: &Names,
    rules: &mut HashMap<GeoMatch, Place>,
    context: &mut Context<'_>,
) -> Option<Region> {
    let region = name::<RegionName>(&entry.name, entry.place, context);
    let raw = entry.value?;
    let mut matches = Vec::new();
    for rule in raw.r#match.iter().flat_map(|rules| &rules.0) {
        if let Some(&other) = rules.get(&rule.value.0) {
            context
                .problems
                .add(Code::Conflict, rule.place, "this rule is given twice, and a client has one region")
                .note(format!("first in {}", context.sources.label(other)));
            continue;
        }
        rules.insert(rule.value.0, rule.place);
        matches.push(rule.value.0);
    }
    let sender = format!("region `{}`", entry.name);
    let service = raw.service.and_then(|service| names.service(&service, &sender, context));
    Some(Region {
        name: region?,
        location: raw.location.map(|location| location.0),
        bias: raw.bias.map_or(0, |bias| bias.0),
        matches,
        service,
    })
}

/// When a region counts as down, and as up again.
pub(crate) fn verdict(raw: Option<RawVerdict>, context: &mut Context<'_>) -> Verdict {
    let raw = raw.as_ref();
    let hold = raw.and_then(|raw| raw.hold.as_ref());
    Verdict {
        hold: hold.map_or(HOLD, |hold| {
            warn_of_short_hold(hold.value.0, hold.place, context);
            hold.value.0
        }),
        failover: raw.and_then(|raw| raw.failover).map_or(Failover::Auto, |word| word.0),
        failback: raw.and_then(|raw| raw.failback).map_or(Failback::Ramp, |word| word.0),
        failback_hold: raw.and_then(|raw| raw.failback_hold).map_or(FAILBACK_HOLD, |hold| hold.0),
        ramp: raw
            .and_then(|raw| raw.ramp.as_ref())
            .and_then(|shares| ramp(shares, context))
            .unwrap_or_else(|| RAMP.to_vec()),
        brake: raw.and_then(|raw| raw.brake).map_or(BRAKE, |brake| brake.0),
    }
}

/// One lost packet or a restart must not move the clients of a region.
pub(crate) fn warn_of_short_hold(hold: Duration, place: Place, context: &mut Context<'_>) {
    if hold < SHORTEST_ADVISED {
        context
            .problems
            .add(Code::ShortHold, place, "clients are sent away after a short break that would have passed")
            .note("30s or more are advised; caches keep answers longer than that anyway");
    }
}

/// Shares that rise up to all.
fn ramp(raw: &At<AtLeastOne<At<Percent<1, 100>>>>, context: &mut Context<'_>) -> Option<Vec<u8>> {
    let steps = &raw.value.0;
    at_most(steps.len(), MOST_STEPS, "shares", raw.place, context);
    for pair in steps.windows(2) {
        let [before, share] = pair else { continue };
        if before.value.0 >= share.value.0 {
            let message = format!("`{}%` is not more than the share before it", share.value.0);
            context.problems.add(Code::Conflict, share.place, message);
            return None;
        }
    }
    let last = steps.last()?;
    if last.value.0 != 100 {
        context.problems.add(Code::Conflict, last.place, "the last share is not `100%`");
        return None;
    }
    Some(steps.iter().map(|share| share.value.0).collect())
}

/// What an operator decided; each region is there once because keys are unique.
pub(crate) fn overrides(
    raw: Named<RawRegionOverride>,
    regions: &Regions,
    context: &mut Context<'_>,
) -> Vec<RegionOverride> {
    raw.0.into_iter().filter_map(|entry| decision(entry, regions, context)).collect()
}

fn decision(
    entry: NamedEntry<RawRegionOverride>,
    regions: &Regions,
    context: &mut Context<'_>,
) -> Option<RegionOverride> {
    let region = regions.find(&entry.name, entry.place, context);
    let raw = entry.value?;
    let reason = raw.reason?;
    if reason.value.trim().is_empty() {
        context.problems.add(Code::Nothing, reason.place, "an empty text");
    }
    if reason.value.len() > LONGEST_REASON {
        let message = format!("the reason is longer than {LONGEST_REASON} bytes");
        context.problems.add(Code::Range, reason.place, message);
    }
    Some(RegionOverride { region: region?, state: raw.state?.0, until: raw.until?.0, reason: reason.value })
}

/// gdnsd needs about 100 s, Route 53 90 s.
const HOLD: Duration = Duration::from_secs(90);

const FAILBACK_HOLD: Duration = Duration::from_secs(300);

const BRAKE: Duration = Duration::from_secs(60);

const RAMP: [u8; 4] = [5, 25, 50, 100];

const SHORTEST_ADVISED: Duration = Duration::from_secs(30);

const MOST_STEPS: usize = 16;

const LONGEST_REASON: usize = 500;

/// How many regions an error lists.
const SHOWN: usize = 12;
