//! What is answered for a name by rules: from which targets, how many, and when there are none.

use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use fulcrum_model::DnsName;

use crate::code::Code;
use crate::gslb::{Answer, Choose, Panic, Policy, PolicyHealth, ServiceAnswer, ServiceChoose, Ttl};
use crate::health::{HealthCheck, HttpProbe, Probe, TcpProbe};
use crate::raw::{DnsPanic, RawNameKeys, RawPolicyHealth, exactly_one};
use crate::validate::Context;
use crate::validate::health::http_probe;

use super::rules::{self, Rules};
use super::zone::{Surroundings, duplicate};
use super::{at_most, region, targets};

/// Whether a name has anything but records.
pub(crate) fn is_asked_for(keys: &RawNameKeys) -> bool {
    SOURCES.iter().chain(["policy"].iter()).any(|key| keys.given.place(key).is_some())
}

/// What depends on health, place and weights, for a name and the apex of its zone; `None` when nothing does, or after recording why that cannot be said.
pub(crate) fn answer(
    keys: &mut RawNameKeys,
    name: (&DnsName, &DnsName),
    ttl: Ttl,
    about: &Surroundings<'_>,
    context: &mut Context<'_>,
) -> Option<Answer> {
    if !is_asked_for(keys) {
        let idle = ["max_answers", "key", "health", "panic", "fallback"];
        refuse_keys(keys, &idle, "means something only beside `policy` or `service`", context);
        return None;
    }
    exactly_one(&keys.given, &SOURCES, context.problems)?;
    if keys.given.place("service").is_some() {
        return service(keys, name.0, ttl, about, context).map(Answer::Service);
    }
    if keys.given.place("policy").is_none() && !keys.given.unknown() {
        let allowed = "round_robin, weighted, nearest, geo, failover, sticky";
        context
            .problems
            .add(Code::Missing, keys.given.whole(), "the key `policy` is missing")
            .note(format!("allowed here: {allowed}"));
    }
    policy(keys, name, ttl, about, context).map(|policy| Answer::Policy(Box::new(policy)))
}

fn service(
    keys: &mut RawNameKeys,
    owner: &DnsName,
    ttl: Ttl,
    about: &Surroundings<'_>,
    context: &mut Context<'_>,
) -> Option<ServiceAnswer> {
    refuse_keys(keys, &["key"], "means something only to the policy `sticky`", context);
    refuse_keys(
        keys,
        &["health"],
        "cannot stand beside `service`, which checks its endpoints itself",
        context,
    );
    let choose = match keys.policy.take() {
        Some(words) if words.sound => rules::of_service(&words.value, context),
        Some(_) => None,
        None => Some(ServiceChoose::All),
    };
    let panic = panic(keys, context);
    let service = keys.service.take()?;
    let service = about.services.service(&service, &format!("name `{owner}`"), context);
    let all = choose == Some(ServiceChoose::All);
    Some(ServiceAnswer {
        max_answers: max_answers(keys, if all { ALL } else { NonZeroU8::MIN }),
        service: service?,
        choose: choose?,
        panic: panic?,
        ttl,
    })
}

fn policy(
    keys: &mut RawNameKeys,
    name: (&DnsName, &DnsName),
    ttl: Ttl,
    about: &Surroundings<'_>,
    context: &mut Context<'_>,
) -> Option<Policy> {
    let words = keys.policy.take().filter(|words| words.sound).map(|words| words.value);
    let has_regions = keys.given.place("regions").is_some();
    let rules =
        words.as_ref().and_then(|words| rules::of_targets(words, has_regions, keys.key.as_ref(), context));
    if !matches!(rules, None | Some(Rules { choose: Choose::Sticky { .. }, .. })) {
        refuse_keys(keys, &["key"], "means something only to the policy `sticky`", context);
    }
    let panic = panic(keys, context);
    let health = keys.health.take().and_then(|raw| health(&raw, about.hold, context));
    let found = targets::all(keys, name.1, about, (rules, words.as_ref()), context);
    let (targets, rules) = (found?, rules?);
    let default = if rules.choose == Choose::All { ALL } else { NonZeroU8::MIN };
    let mut policy = Policy {
        targets,
        choose: rules.choose,
        max_answers: max_answers(keys, default),
        panic: panic?,
        health,
        ttl,
    };
    if policy.has_aliases() {
        refuse_for_aliases(keys, name, context);
        policy.max_answers = NonZeroU8::MIN;
    }
    Some(policy)
}

fn refuse_keys(keys: &RawNameKeys, idle: &[&str], why: &str, context: &mut Context<'_>) {
    for key in idle {
        if let Some(place) = keys.given.place(key) {
            context.problems.add(Code::Conflict, place, format!("`{key}` {why}"));
        }
    }
}

/// An alias is answered alone, and where it leads is not known here.
fn refuse_for_aliases(keys: &RawNameKeys, (owner, apex): (&DnsName, &DnsName), context: &mut Context<'_>) {
    refuse_keys(keys, &["max_answers"], "cannot stand beside aliases, of which one is answered", context);
    refuse_keys(keys, &["health"], "cannot stand beside aliases, which are not probed", context);
    refuse_keys(keys, &["fallback"], "has addresses, and the policy has aliases", context);
    if owner == apex {
        let message = format!("`{apex}` cannot be an alias: it has SOA and NS records");
        context.problems.add(Code::CnameAndOther, keys.given.whole(), message).note(super::records::ALONE);
    }
}

fn max_answers(keys: &RawNameKeys, default: NonZeroU8) -> NonZeroU8 {
    let given = keys.max_answers.and_then(|most| u8::try_from(most.0).ok());
    given.and_then(NonZeroU8::new).unwrap_or(default)
}

/// What is answered when nothing is eligible.
fn panic(keys: &mut RawNameKeys, context: &mut Context<'_>) -> Option<Panic> {
    let fallback = keys.fallback.take();
    let wanted = keys.panic.map_or(DnsPanic::All, |word| word.0);
    let was_read = keys.given.place("panic").is_none() || keys.panic.is_some();
    if wanted != DnsPanic::Fallback && was_read {
        refuse_keys(keys, &["fallback"], "means something only to `panic: fallback`", context);
    }
    Some(match wanted {
        DnsPanic::All => Panic::All,
        DnsPanic::LastGood => Panic::LastGood,
        DnsPanic::NoData => Panic::NoData,
        DnsPanic::Fallback => {
            let place = keys.given.place_or_whole("panic");
            if keys.given.place("fallback").is_none() && !keys.given.unknown() {
                context
                    .problems
                    .add(Code::Missing, place, "the key `fallback` is missing")
                    .note("like `fallback: [192.0.2.1]`");
            }
            let addresses = fallback?.0;
            at_most(addresses.len(), targets::MOST_TARGETS, "addresses", place, context);
            for (index, address) in addresses.iter().enumerate() {
                let before = addresses[..index].iter().find(|other| other.value == address.value);
                if let Some(other) = before {
                    duplicate(
                        &format!("the address `{}`", address.value.0),
                        address.place,
                        other.place,
                        context,
                    );
                }
            }
            Panic::Fallback(addresses.into_iter().map(|address| address.value.0).collect())
        }
    })
}

/// How targets are probed: as endpoints of services are, and with a hold.
fn health(raw: &RawPolicyHealth, hold: Duration, context: &mut Context<'_>) -> Option<PolicyHealth> {
    exactly_one(&raw.given, &["http", "tcp"], context.problems)?;
    let hold = raw.hold.as_ref().map_or(hold, |hold| {
        region::warn_of_short_hold(hold.value.0, hold.place, context);
        hold.value.0
    });
    let (probe, port) = match (&raw.http, raw.tcp) {
        (Some(url), _) => {
            let probe = HttpProbe { host: url.host.clone(), ..http_probe(url.path.clone()) };
            (Probe::Http(probe), url.port)
        }
        (None, Some(url)) => (Probe::Tcp(TcpProbe::default()), url.0),
        (None, None) => return None,
    };
    let times = |given: Option<u64>, default| {
        given.and_then(|times| u32::try_from(times).ok()).and_then(NonZeroU32::new).unwrap_or(default)
    };
    let check = HealthCheck {
        probe,
        port: Some(port),
        interval: raw.interval.map_or(Duration::from_secs(2), |interval| interval.0),
        timeout: raw.timeout.map_or(Duration::from_secs(1), |timeout| timeout.0),
        rise: times(raw.rise.map(|rise| rise.0), RISE),
        fall: times(raw.fall.map(|fall| fall.0), FALL),
    };
    Some(PolicyHealth { check, hold })
}

/// From where targets come.
const SOURCES: [&str; 3] = ["regions", "endpoints", "service"];

/// As many as fit into 512 bytes for clients without EDNS, and as Route 53 gives.
const ALL: NonZeroU8 = NonZeroU8::new(8).expect("it is not zero");

const RISE: NonZeroU32 = NonZeroU32::new(5).expect("it is not zero");

const FALL: NonZeroU32 = NonZeroU32::new(4).expect("it is not zero");
