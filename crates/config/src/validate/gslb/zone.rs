//! Zones: where their records are, how they begin.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use fulcrum_model::{DnsName, Soa};

use crate::code::Code;
use crate::decode::{At, Named, NamedEntry, OneOrMany};
use crate::gslb::{InlineZone, Zone, ZoneSource};
use crate::node::quote;
use crate::raw::{RawSoa, RawZone};
use crate::source::Place;
use crate::validate::{Context, Names};

use super::at_most;
use super::region::Regions;
use super::{hidden, name};

/// What zones refer to.
pub(crate) struct Surroundings<'a> {
    pub(crate) regions: &'a Regions,
    pub(crate) services: &'a Names,
    /// A file says which networks belong to which region.
    pub(crate) has_nets: bool,
    /// `verdict.hold`.
    pub(crate) hold: Duration,
}

/// Every zone that is well-formed by itself.
pub(crate) fn all(
    raw: Option<Named<RawZone>>,
    about: &Surroundings<'_>,
    context: &mut Context<'_>,
) -> Vec<Zone> {
    let entries = raw.map(|raw| raw.0).unwrap_or_default();
    if let Some(extra) = entries.get(MOST_ZONES) {
        at_most(entries.len(), MOST_ZONES, "zones", extra.place, context);
    }
    let mut places: HashMap<DnsName, Place> = HashMap::new();
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(apex) = apex(&entry, context) else { continue };
        if let Some(&other) = places.get(&apex) {
            duplicate(&format!("the zone `{apex}`"), entry.place, other, context);
        }
        places.insert(apex.clone(), entry.place);
        found.push((apex, entry));
    }
    let apexes: HashSet<DnsName> = places.into_keys().collect();
    found.into_iter().filter_map(|(apex, entry)| zone(apex, entry, (&apexes, about), context)).collect()
}

fn apex(entry: &NamedEntry<RawZone>, context: &mut Context<'_>) -> Option<DnsName> {
    let apex = dns_name(&entry.name, entry.place, None, context)?;
    if apex.labels().any(|label| label == b"*") {
        let message = format!("{} is no zone: a `*` stands for names, not for zones", quote(&entry.name));
        context.problems.add(Code::DnsName, entry.place, message);
        return None;
    }
    Some(apex)
}

fn zone(
    apex: DnsName,
    entry: NamedEntry<RawZone>,
    (apexes, about): (&HashSet<DnsName>, &Surroundings<'_>),
    context: &mut Context<'_>,
) -> Option<Zone> {
    let raw = entry.value?;
    if raw.given.place("file").is_some() {
        refuse_beside_file(&raw, context);
        return Some(Zone { name: apex, source: ZoneSource::File(raw.file?.0) });
    }
    require(&raw, entry.place, context);
    let ttl = raw.ttl.map_or(TTL, |ttl| ttl.0);
    let soa = raw.soa.and_then(|soa| start(soa, &apex, context));
    let servers = raw.ns.map(|ns| name_servers(&ns, &apex, context));
    let names = raw.names.map(|raw| name::all(raw, (&apex, ttl), about, context)).unwrap_or_default();
    let of_zone = servers.as_deref().unwrap_or_default();
    let zone = hidden::Check { apex: &apex, apexes, names: &names, servers: of_zone };
    zone.refuse_hidden(context);
    zone.warn_of_name_servers(context);
    let inline = InlineZone {
        soa: soa?,
        ttl,
        ns: servers?.into_iter().map(|(server, _)| server).collect(),
        names: names.into_iter().map(|name| name.name).collect(),
    };
    Some(Zone { name: apex, source: ZoneSource::Inline(Box::new(inline)) })
}

fn refuse_beside_file(raw: &RawZone, context: &mut Context<'_>) {
    for key in ["soa", "ttl", "ns", "names"] {
        let Some(place) = raw.given.place(key) else { continue };
        let message = format!("`{key}` cannot stand beside `file`: the file says it");
        context.problems.add(Code::Conflict, place, message);
    }
}

/// A zone begins with SOA and NS (RFC 1034 §4.2.1), which nobody can guess.
fn require(raw: &RawZone, place: Place, context: &mut Context<'_>) {
    if raw.given.unknown() {
        return;
    }
    let mut missing = |key: &str, like: &str| {
        if raw.given.place(key).is_none() {
            let message = format!("the key `{key}` is missing: a zone without `file` needs it");
            context.problems.add(Code::Missing, place, message).note(format!("like `{key}: {like}`"));
        }
    };
    missing("soa", "{ primary: ns1.example.com., contact: hostmaster.example.com. }");
    missing("ns", "[ns1.example.com., ns2.example.com.]");
}

fn start(raw: RawSoa, apex: &DnsName, context: &mut Context<'_>) -> Option<Soa> {
    let primary = raw.primary.and_then(|text| relative(&text, apex, context));
    let contact = raw.contact.and_then(|text| mailbox(&text, apex, context));
    Some(Soa {
        primary: primary?,
        contact: contact?,
        serial: raw.serial.map_or(1, |serial| u32::try_from(serial.0).unwrap_or(u32::MAX)),
        refresh: raw.refresh.map_or(REFRESH, |time| time.0),
        retry: raw.retry.map_or(RETRY, |time| time.0),
        expire: raw.expire.map_or(EXPIRE, |time| time.0),
        minimum: raw.minimum.map_or(MINIMUM, |time| time.0),
    })
}

/// A mailbox whose `@` is a dot.
fn mailbox(text: &At<String>, apex: &DnsName, context: &mut Context<'_>) -> Option<DnsName> {
    let Some((local, domain)) = text.value.split_once('@') else { return relative(text, apex, context) };
    let written = format!("{}.{}.", local.replace('.', "\\."), domain.trim_end_matches('.'));
    context
        .problems
        .add(Code::DnsName, text.place, format!("{} is a mail address, not a name", quote(&text.value)))
        .note(format!("the DNS writes it with a dot: `{written}`"));
    None
}

fn name_servers(raw: &OneOrMany<String>, apex: &DnsName, context: &mut Context<'_>) -> Vec<(DnsName, Place)> {
    if let Some(first) = raw.0.first() {
        at_most(raw.0.len(), MOST_NAME_SERVERS, "name servers", first.place, context);
    }
    let mut servers: Vec<(DnsName, Place)> = Vec::new();
    for text in &raw.0 {
        let Some(server) = relative(text, apex, context) else { continue };
        match servers.iter().find(|(other, _)| *other == server) {
            Some(&(_, other)) => {
                duplicate(&format!("the name server `{server}`"), text.place, other, context)
            }
            None => servers.push((server, text.place)),
        }
    }
    servers
}

/// A name that is relative to a zone unless it ends with a dot.
pub(crate) fn relative(text: &At<String>, apex: &DnsName, context: &mut Context<'_>) -> Option<DnsName> {
    warn_of_missing_dot(&text.value, text.place, apex, context);
    dns_name(&text.value, text.place, Some(apex), context)
}

/// A name, absolute where there is no origin.
pub(crate) fn dns_name(
    text: &str,
    place: Place,
    origin: Option<&DnsName>,
    context: &mut Context<'_>,
) -> Option<DnsName> {
    let parsed = match origin {
        Some(origin) => DnsName::relative(text, origin),
        None => text.parse(),
    };
    match parsed {
        Ok(name) => Some(name),
        Err(error) => {
            let message = format!("{} is no name of the DNS: {error}", quote(text));
            context.problems.add(Code::DnsName, place, message);
            None
        }
    }
}

/// `www.example.com` within `example.com` is `www.example.com.example.com.`, which nobody means.
pub(crate) fn warn_of_missing_dot(text: &str, place: Place, apex: &DnsName, context: &mut Context<'_>) {
    if text.ends_with('.') || apex.labels().next().is_none() {
        return;
    }
    let (Ok(absolute), Ok(name)) = (text.parse::<DnsName>(), DnsName::relative(text, apex)) else { return };
    if absolute.is_within(apex) {
        context
            .problems
            .add(Code::MissingDot, place, format!("{} is `{name}` here", quote(text)))
            .note(format!("a name that is not relative to its zone ends with a dot: `{absolute}`"));
    }
}

/// Records that something is there already.
pub(crate) fn duplicate(what: &str, place: Place, other: Place, context: &mut Context<'_>) {
    context
        .problems
        .add(Code::DuplicateRecord, place, format!("{what} is given twice"))
        .note(format!("first in {}", context.sources.label(other)));
}

/// More than one daemon is asked for, few enough to be looked through.
const MOST_ZONES: usize = 10_000;

/// More do not fit into an answer beside their addresses.
const MOST_NAME_SERVERS: usize = 32;

/// Time-to-live of records that say nothing else, in seconds.
const TTL: u32 = 300;

/// Secondaries look as often as RFC 1912 §2.2 advises for zones that change.
const REFRESH: u32 = 3600;

const RETRY: u32 = 600;

/// Two weeks.
const EXPIRE: u32 = 1_209_600;

/// What is new must be found soon by those who looked for it in vain.
const MINIMUM: u32 = 60;
