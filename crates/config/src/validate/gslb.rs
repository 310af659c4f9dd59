//! The responder that answers DNS: its section as a whole.

mod hidden;
mod name;
mod policy;
mod records;
mod region;
mod rules;
mod targets;
mod zone;

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::code::Code;
use crate::decode::{At, OneOrMany, Switch};
use crate::gslb::{CookieKey, DnsTcp, Geo, Gslb, Headroom, QueryLog, ResponseRate};
use crate::raw::{RawDnsTcp, RawGeo, RawGslb, RawHeadroom, RawQueryLog, RawResponseRate};
use crate::secret::SecretText;
use crate::source::Place;

use super::{Context, Names, secret};
use region::Regions;

/// The responder of this daemon.
pub(crate) fn gslb(raw: RawGslb, names: &Names, context: &mut Context<'_>) -> Option<Gslb> {
    let known = Regions::of(&raw, context);
    let verdict = region::verdict(raw.verdict, context);
    let about = zone::Surroundings {
        regions: &known,
        services: names,
        has_nets: raw.geo.as_ref().is_some_and(|geo| geo.given.place("nets").is_some()),
        hold: verdict.hold,
    };
    let zones = zone::all(raw.zones, &about, context);
    known.warn_of_mute_targets(&zones, context);
    let bind = raw.bind.map(|binds| {
        at_most_binds(binds.0.len(), raw.given.place_or_whole("bind"), context);
        binds.0.iter().map(|bind| bind.value.0).collect()
    });
    Some(Gslb {
        geo: raw.geo.map(|geo| places(geo, &known, context)).unwrap_or_default(),
        overrides: raw
            .overrides
            .map(|overrides| region::overrides(overrides, &known, context))
            .unwrap_or_default(),
        regions: raw.regions.map(|regions| region::all(regions, names, context)).unwrap_or_default(),
        home: raw.home.and_then(|name| known.find(&name.value, name.place, context)),
        workers: raw
            .workers
            .and_then(|workers| NonZeroUsize::new(workers.0 as usize))
            .unwrap_or(NonZeroUsize::MIN),
        nsid: raw.nsid.and_then(|nsid| identifier(nsid, context)),
        tcp: tcp(raw.tcp),
        rate_limit: raw.rate_limit.and_then(|limit| rate_limit(&limit.0?)),
        query_log: raw.query_log.and_then(|log| query_log(log.0?)),
        headroom: headroom(raw.headroom, context),
        cookie_keys: raw.cookie_keys.map(|keys| cookie_keys(&keys, context)).unwrap_or_default(),
        bind: bind?,
        verdict,
        zones,
    })
}

fn tcp(raw: Option<RawDnsTcp>) -> DnsTcp {
    let raw = raw.as_ref();
    let all = raw.and_then(|raw| raw.max_connections).map_or(1000, |most| most.0);
    let of_source = raw.and_then(|raw| raw.connections_per_source);
    DnsTcp {
        idle_timeout: raw.and_then(|raw| raw.idle_timeout).map_or(Duration::from_secs(10), |idle| idle.0),
        max_connections: count(all),
        connections_per_source: count(of_source.map_or((all / 20).max(10), |most| most.0)),
    }
}

fn rate_limit(raw: &RawResponseRate) -> Option<ResponseRate> {
    let slip = raw.slip.map_or(2, |slip| slip.0);
    Some(ResponseRate {
        responses_per_second: count(raw.responses_per_second?.0),
        slip: u8::try_from(slip).unwrap_or(u8::MAX),
    })
}

fn query_log(raw: RawQueryLog) -> Option<QueryLog> {
    Some(QueryLog { path: raw.path?.0, one_in: count(raw.one_in.map_or(100, |one_in| one_in.0)) })
}

/// The types of the raw values keep them between.
fn count(number: u64) -> NonZeroU32 {
    u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}

fn places(raw: RawGeo, regions: &Regions, context: &mut Context<'_>) -> Geo {
    Geo {
        nets: raw.nets.map(|file| file.0),
        database: raw.database.map(|file| file.0),
        asn: raw.asn.map(|file| file.0),
        default: raw.default.and_then(|name| regions.find(&name.value, name.place, context)),
    }
}

/// What is told of the daemon to everybody who asks.
fn identifier(nsid: At<String>, context: &mut Context<'_>) -> Option<String> {
    let problem = match nsid.value.len() {
        0 => (Code::Nothing, "an empty text".to_owned()),
        length if length > LONGEST_NSID => {
            (Code::Range, format!("the identifier is longer than {LONGEST_NSID} bytes"))
        }
        _ => return Some(nsid.value),
    };
    context.problems.add(problem.0, nsid.place, problem.1);
    None
}

fn headroom(raw: Option<Switch<RawHeadroom>>, context: &mut Context<'_>) -> Option<Headroom> {
    let raw = match raw {
        Some(Switch(None)) => return None,
        Some(Switch(raw)) => raw,
        None => None,
    };
    let low = raw.as_ref().and_then(|raw| raw.low).map_or(10, |percent| percent.0);
    let high = raw.as_ref().and_then(|raw| raw.high).map_or(30, |percent| percent.0);
    if let Some(raw) = raw.filter(|_| low >= high) {
        let place = raw.given.place("low").or(raw.given.place("high")).unwrap_or(raw.given.whole());
        let message = format!("`low` ({low}%) is not below `high` ({high}%)");
        context.problems.add(Code::Conflict, place, message);
    }
    Some(Headroom { low, high })
}

fn cookie_keys(raw: &OneOrMany<SecretText>, context: &mut Context<'_>) -> Vec<CookieKey> {
    if let Some(first) = raw.0.first() {
        at_most(raw.0.len(), MOST_COOKIE_KEYS, "keys", first.place, context);
    }
    raw.0.iter().filter_map(|key| secret::dns_cookie_key(key, context)).collect()
}

/// Records that there are too many of something.
fn at_most(found: usize, most: usize, nouns: &str, place: Place, context: &mut Context<'_>) {
    if found > most {
        let message = format!("{found} {nouns}, and {most} are the most");
        context.problems.add(Code::TooMuch, place, message);
    }
}

/// Records that there are too many addresses for questions.
pub(super) fn at_most_binds(found: usize, place: Place, context: &mut Context<'_>) {
    at_most(found, MOST_BINDS, "addresses", place, context);
}

/// Each has a socket per worker.
const MOST_BINDS: usize = 16;

/// All of them are tried for each cookie that does not fit.
const MOST_COOKIE_KEYS: usize = 8;

/// It must fit into every answer beside the records.
const LONGEST_NSID: usize = 128;
