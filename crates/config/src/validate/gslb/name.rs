//! Names: within their zone, each once, with what is answered for them.

use std::collections::HashMap;

use fulcrum_model::{DnsName, RecordType};

use crate::code::Code;
use crate::decode::{At, Named, NamedEntry};
use crate::gslb::{Answer, Name, Ttl};
use crate::node::quote;
use crate::raw::{RawName, RawSet, RawTtl, RawTtlLong};
use crate::source::Place;
use crate::validate::Context;

use super::zone::{Surroundings, dns_name, duplicate, warn_of_missing_dot};
use super::{policy, records};

/// A name and where it stands.
pub(crate) struct Placed {
    pub(crate) name: Name,
    pub(crate) place: Place,
    /// Where each of its name servers stands.
    pub(crate) servers: Vec<(DnsName, Place)>,
}

/// The names of a zone; `zone` is its apex and time-to-live.
pub(crate) fn all(
    raw: Named<RawName>,
    zone: (&DnsName, u32),
    about: &Surroundings<'_>,
    context: &mut Context<'_>,
) -> Vec<Placed> {
    let mut places: HashMap<DnsName, Place> = HashMap::with_capacity(raw.0.len());
    let mut names = Vec::with_capacity(raw.0.len());
    for entry in raw.0 {
        let Some(owner) = owner(&entry, zone.0, context) else { continue };
        if let Some(&other) = places.get(&owner) {
            duplicate(&format!("the name `{owner}`"), entry.place, other, context);
        }
        places.insert(owner.clone(), entry.place);
        let place = entry.place;
        let Some(raw) = entry.value else { continue };
        if let Some((name, servers)) = name(owner, raw, zone, about, context) {
            names.push(Placed { name, place, servers });
        }
    }
    names
}

fn owner(entry: &NamedEntry<RawName>, apex: &DnsName, context: &mut Context<'_>) -> Option<DnsName> {
    warn_of_missing_dot(&entry.name, entry.place, apex, context);
    let owner = dns_name(&entry.name, entry.place, Some(apex), context)?;
    if !owner.is_within(apex) {
        context
            .problems
            .add(Code::OutsideZone, entry.place, format!("{} is not within `{apex}`", quote(&entry.name)))
            .note("names without a dot at the end are relative to their zone");
        return None;
    }
    if owner.labels().skip(1).any(|label| label == b"*") {
        context
            .problems
            .add(
                Code::InnerWildcard,
                entry.place,
                format!("the `*` within {} stands for itself", quote(&entry.name)),
            )
            .note("only a `*` at the beginning stands for other names (RFC 4592 §2.1.1)");
    }
    Some(owner)
}

fn name(
    owner: DnsName,
    mut raw: RawName,
    (apex, zone_ttl): (&DnsName, u32),
    about: &Surroundings<'_>,
    context: &mut Context<'_>,
) -> Option<(Name, Vec<(DnsName, Place)>)> {
    let given = raw.keys.ttl.take();
    let ttl = match &given {
        Some(RawTtl::Short(seconds)) => Ttl { max: seconds.0, min: seconds.0 },
        Some(RawTtl::Long(long)) => range(long, context)?,
        None => Ttl { max: POLICY_TTL.max.min(zone_ttl), min: POLICY_TTL.min.min(zone_ttl) },
    };
    let static_ttl = given.as_ref().map_or(zone_ttl, |_| ttl.max);
    let read = records::all(&raw.sets, &owner, apex, context);
    let answer = policy::answer(&mut raw.keys, (&owner, apex), ttl, about, context);
    if let Some(RawTtl::Long(long)) = &given
        && !policy::is_asked_for(&raw.keys)
    {
        let message =
            "`max` and `min` mean something only beside `policy` or `service`: nothing else changes";
        context.problems.add(Code::Conflict, long.place, message);
    }
    if let Some(answer) = &answer {
        refuse_beside(answer, &raw.sets, &owner, context);
    }
    refuse_nothing(&raw, &owner, context);
    let name = Name { owner, ttl: static_ttl, records: read.records, answer };
    Some((name, read.servers))
}

fn range(long: &At<RawTtlLong>, context: &mut Context<'_>) -> Option<Ttl> {
    let (max, min) = (long.value.max?.0, long.value.min?.0);
    if min > max {
        context.problems.add(
            Code::Conflict,
            long.value.given.place_or_whole("min"),
            "`min` is more than `max`",
        );
    }
    Some(Ttl { max, min })
}

/// A type that an answer has cannot be always the same.
fn refuse_beside(answer: &Answer, sets: &[RawSet], owner: &DnsName, context: &mut Context<'_>) {
    let (source, types): (_, &[RecordType]) = match answer {
        Answer::Policy(policy) if policy.has_aliases() => {
            if let Some(set) = sets.first() {
                let message = format!("`{owner}` has aliases and other records");
                context.problems.add(Code::CnameAndOther, set.place, message).note(records::ALONE);
            }
            return;
        }
        Answer::Policy(_) => ("policy", &[RecordType::A, RecordType::AAAA]),
        Answer::Service(_) => ("service", &[RecordType::A, RecordType::AAAA, RecordType::SRV]),
    };
    for set in sets {
        if types.contains(&set.record_type) {
            let message = format!("`{}` cannot stand beside `{source}`, which answers it", set.name);
            context.problems.add(Code::Conflict, set.place, message);
        }
        if set.record_type == RecordType::CNAME {
            let message = format!("`{owner}` has a CNAME and a `{source}`");
            context.problems.add(Code::CnameAndOther, set.place, message).note(records::ALONE);
        }
    }
}

/// A name that is there has something.
fn refuse_nothing(raw: &RawName, owner: &DnsName, context: &mut Context<'_>) {
    let keys = &raw.keys.given;
    if !raw.sets.is_empty() || keys.any_but("ttl") {
        return;
    }
    context
        .problems
        .add(Code::Nothing, keys.whole(), format!("there is nothing to answer for `{owner}`"))
        .note("like `{ a: 192.0.2.1 }` or `{ policy: round_robin, endpoints: [192.0.2.1, 192.0.2.2] }`");
}

/// Of answers that may change: caches forget them soon, and very soon near a change.
const POLICY_TTL: Ttl = Ttl { max: 60, min: 5 };
