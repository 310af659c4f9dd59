//! The registry, and who may use it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use fulcrum_model::{DnsName, ServiceName};

use crate::code::Code;
use crate::decode::{At, OneOrMany};
use crate::network::AllowedAddress;
use crate::node::quote;
use crate::raw::{RawRegistry, RawRegistryDns, RawToken};
use crate::registry::{AllowAddresses, Registry, RegistryDns, Token};
use crate::source::Place;

use super::{Context, gslb, name, secret};

/// The registry of this daemon.
pub(crate) fn registry(raw: RawRegistry, state_dir: &Path, context: &mut Context<'_>) -> Option<Registry> {
    let tokens = tokens(raw.tokens.unwrap_or_default(), context);
    let bind = raw.bind?;
    if tokens.is_empty() && !bind.value.0.ip().is_loopback() && raw.given.place("tokens").is_none() {
        context
            .problems
            .add(
                Code::RegistryWithoutTokens,
                bind.place,
                "the registry's address is public and it has no tokens",
            )
            .note("only clients of this machine are served until it has")
            .note("add `tokens: [{ name: web, secret: \"file:/path\", grants: [\"register:web\", read] }]`");
    }
    let store = raw.store.and_then(|store| store.embedded).map(|file| file.value.0);
    let rate =
        raw.register_rate.map_or(NonZeroU32::new(1000), |limit| limit.0.map(|rate| at_least_one(rate.0)));
    Some(Registry {
        bind: bind.value.0,
        store: store.unwrap_or_else(|| state_dir.join("registry.redb")),
        ttl: raw.ttl.map_or(Duration::from_secs(30), |ttl| ttl.0),
        evict_max: raw.evict_max.map_or(15, |percent| percent.0),
        hold_max: raw.hold_max.map_or(Duration::from_secs(600), |hold| hold.0),
        empty_protect: raw.empty_protect.unwrap_or(true),
        register_rate: rate,
        allow_addresses: allow_addresses(raw.allow_addresses),
        dns: raw.compat.and_then(|compat| compat.dns).and_then(|raw| dns(raw, context)),
        tokens,
    })
}

fn dns(raw: RawRegistryDns, context: &mut Context<'_>) -> Option<RegistryDns> {
    let bind = raw.bind.map(|binds| {
        gslb::at_most_binds(binds.0.len(), raw.given.place_or_whole("bind"), context);
        binds.0.iter().map(|bind| bind.value.0).collect()
    });
    let domain = raw.domain.and_then(|domain| self::domain(&domain, context));
    Some(RegistryDns { bind: bind?, domain: domain?, ttl: raw.ttl.map_or(1, |ttl| ttl.0) })
}

/// A name with room in front of it: for an instance and a service, each as long as they may be, and `svc`.
fn domain(text: &At<String>, context: &mut Context<'_>) -> Option<DnsName> {
    let problem = match text.value.parse::<DnsName>() {
        Ok(name) if name.as_wire().len() <= LONGEST_DOMAIN => return Some(name),
        Ok(_) => format!("a domain of services has at most {LONGEST_DOMAIN} bytes"),
        Err(error) => format!("{} is no name of the DNS: {error}", quote(&text.value)),
    };
    context.problems.add(Code::DnsName, text.place, problem);
    None
}

/// A rate of zero would be no registry.
fn at_least_one(rate: u32) -> NonZeroU32 {
    NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN)
}

fn allow_addresses(raw: Option<OneOrMany<AllowedAddress>>) -> AllowAddresses {
    let Some(raw) = raw else { return AllowAddresses { registrant: true, networks: Vec::new() } };
    let mut allowed = AllowAddresses { registrant: false, networks: Vec::new() };
    for address in raw.0 {
        match address.value {
            AllowedAddress::Registrant => allowed.registrant = true,
            AllowedAddress::Network(network) => allowed.networks.push(network.0),
        }
    }
    allowed
}

fn tokens(raw: Vec<RawToken>, context: &mut Context<'_>) -> Vec<Token> {
    let mut places: HashMap<String, Place> = HashMap::new();
    let mut tokens = Vec::new();
    for raw in raw {
        let token_name = raw.name.and_then(|name| principal(&name, &mut places, context));
        let token = raw.secret.and_then(|text| secret::token(&text, context));
        let grants = raw.grants.map(|grants| grants.0.into_iter().map(|grant| grant.value.0).collect());
        if let (Some(name), Some(secret), Some(grants)) = (token_name, token, grants) {
            tokens.push(Token { name, secret, grants });
        }
    }
    tokens
}

/// A name that no other token has: it owns what it registers.
fn principal(
    text: &At<String>,
    places: &mut HashMap<String, Place>,
    context: &mut Context<'_>,
) -> Option<String> {
    // The rules are those of services.
    name::<ServiceName>(&text.value, text.place, context)?;
    if let Some(&other) = places.get(&text.value) {
        context
            .problems
            .add(Code::DuplicateName, text.place, format!("the token `{}` is given twice", text.value))
            .note(format!("first in {}", context.sources.label(other)));
        return None;
    }
    places.insert(text.value.clone(), text.place);
    Some(text.value.clone())
}

/// 255 bytes of a name, less two labels of 63 and `svc`, each with its length.
const LONGEST_DOMAIN: usize = 255 - 2 * 64 - 4;
