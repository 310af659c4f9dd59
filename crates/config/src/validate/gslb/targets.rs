//! What a policy chooses from.

use std::collections::HashMap;

use fulcrum_model::DnsName;

use crate::code::Code;
use crate::decode::{Named, NamedEntry, OneOrMany, Word};
use crate::gslb::{Choose, RegionOrder, RegionTargets, Target, TargetAnswer, Targets};
use crate::raw::{DnsPolicy, RawNameKeys, RawTarget, RawTargetLong, exactly_one};
use crate::source::Place;
use crate::validate::Context;

use super::at_most;
use super::rules::Rules;
use super::zone::{Surroundings, duplicate, relative};

/// The targets of a policy, by region or without. The rules are `None` when they are not known.
pub(crate) fn all(
    keys: &mut RawNameKeys,
    apex: &DnsName,
    about: &Surroundings<'_>,
    (rules, words): (Option<Rules>, Option<&OneOrMany<Word<DnsPolicy>>>),
    context: &mut Context<'_>,
) -> Option<Targets> {
    let mut reader = Reader { apex, rules, places: HashMap::new(), kind: None };
    if let Some(endpoints) = keys.endpoints.take() {
        let place = keys.given.place_or_whole("endpoints");
        return Some(Targets::Endpoints(reader.list(endpoints, place, context)));
    }
    let raw = keys.regions.take()?;
    if raw.0.is_empty() {
        context.problems.add(Code::Nothing, keys.given.place_or_whole("regions"), "there are no regions");
    }
    let order = rules.map(|rules| rules.order);
    let regions = regions(raw, &mut reader, (order, about), context);
    if order == Some(RegionOrder::Geo)
        && !about.has_nets
        && !regions.is_empty()
        && !regions.iter().any(|of| about.regions.may_have_rules(&of.region))
        && let Some(word) = words.and_then(|words| words.0.first())
    {
        context
            .problems
            .add(Code::Conflict, word.place, "`geo` cannot tell whose region is which")
            .note("give a region rules, like `match: [\"continent:EU\"]`, or name a file in `geo.nets`");
    }
    Some(Targets::Regions { order: order?, regions })
}

fn regions(
    raw: Named<OneOrMany<RawTarget>>,
    reader: &mut Reader<'_>,
    (order, about): (Option<RegionOrder>, &Surroundings<'_>),
    context: &mut Context<'_>,
) -> Vec<RegionTargets> {
    let mut regions = Vec::with_capacity(raw.0.len());
    for NamedEntry { name, place, value } in raw.0 {
        let region = about.regions.find(&name, place, context);
        if order != Some(RegionOrder::Together) {
            reader.places.clear();
        }
        let targets = value.map(|targets| reader.list(targets, place, context));
        let (Some(region), Some(targets)) = (region, targets) else { continue };
        if order == Some(RegionOrder::Nearest) && !about.regions.may_be_located(&region) {
            context
                .problems
                .add(Code::Conflict, place, format!("`nearest` needs to know where `{region}` is"))
                .note("like `location: [50.1, 8.7]` in `gslb.regions`");
        }
        regions.push(RegionTargets { region, targets });
    }
    regions
}

/// Reads targets that are chosen from together.
struct Reader<'a> {
    apex: &'a DnsName,
    rules: Option<Rules>,
    places: HashMap<TargetAnswer, Place>,
    /// The first target: all are of its kind.
    kind: Option<(bool, Place)>,
}

impl Reader<'_> {
    fn list(&mut self, raw: OneOrMany<RawTarget>, place: Place, context: &mut Context<'_>) -> Vec<Target> {
        at_most(raw.0.len(), MOST_TARGETS, "targets", place, context);
        let mut targets = Vec::with_capacity(raw.0.len());
        for raw in raw.0 {
            let Some(target) = self.target(raw.value, context) else { continue };
            self.refuse_mixture(&target.answer, raw.place, context);
            if let Some(&other) = self.places.get(&target.answer) {
                let what = match &target.answer {
                    TargetAnswer::Address(address) => format!("the target `{address}`"),
                    TargetAnswer::Alias(name) => format!("the target `{name}`"),
                };
                duplicate(&what, raw.place, other, context);
            }
            self.places.insert(target.answer.clone(), raw.place);
            targets.push(target);
        }
        targets
    }

    fn target(&self, raw: RawTarget, context: &mut Context<'_>) -> Option<Target> {
        let long = match raw {
            RawTarget::Short(address) => {
                return Some(Target { answer: TargetAnswer::Address(address.value.0), weight: 1 });
            }
            RawTarget::Long(long) => long,
        };
        exactly_one(&long.given, &["address", "cname"], context.problems)?;
        self.refuse_weight(&long, context);
        let weight = long.weight.map_or(1, |weight| u16::try_from(weight.0).unwrap_or(u16::MAX));
        let answer = match long.cname {
            Some(name) => TargetAnswer::Alias(relative(&name, self.apex, context)?),
            None => TargetAnswer::Address(long.address?.value.0),
        };
        Some(Target { answer, weight })
    }

    fn refuse_weight(&self, long: &RawTargetLong, context: &mut Context<'_>) {
        let counts = match self.rules {
            Some(rules) => matches!(rules.choose, Choose::Weighted | Choose::Sticky { .. }),
            None => true,
        };
        if let Some(place) = long.given.place("weight").filter(|_| !counts) {
            context.problems.add(
                Code::Conflict,
                place,
                "`weight` means something only to `weighted` and `sticky`",
            );
        }
    }

    /// Addresses and aliases of one name would be a CNAME and other data for the caches between.
    fn refuse_mixture(&mut self, answer: &TargetAnswer, place: Place, context: &mut Context<'_>) {
        let is_alias = matches!(answer, TargetAnswer::Alias(_));
        match self.kind {
            None => self.kind = Some((is_alias, place)),
            Some((first, _)) if first == is_alias => {}
            Some((_, other)) => {
                context
                    .problems
                    .add(Code::CnameAndOther, place, "a policy has addresses or aliases, not both")
                    .note(format!("the other kind: {}", context.sources.label(other)));
            }
        }
    }
}

/// More in one place are a service.
pub(crate) const MOST_TARGETS: usize = 64;
