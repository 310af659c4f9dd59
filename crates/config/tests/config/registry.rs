//! The registry, and services that are discovered in it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use fulcrum_config::{AllowAddresses, Discovery, Grant};

use crate::{check, good};

#[test]
fn defaults() {
    let config = good(
        r#"
version: 1
state_dir: /srv/state
registry: { bind: "127.0.0.1:8500" }
"#,
    );
    assert!(config.listeners.is_empty(), "a registry alone is something to serve");
    let registry = config.registry.expect("it is given");
    assert_eq!(registry.bind, "127.0.0.1:8500".parse::<SocketAddr>().expect("an address"));
    assert_eq!(registry.store, Path::new("/srv/state/registry.redb"));
    assert_eq!((registry.ttl, registry.hold_max), (Duration::from_secs(30), Duration::from_secs(600)));
    assert_eq!((registry.evict_max, registry.empty_protect), (15, true));
    assert_eq!(registry.register_rate.map(|rate| rate.get()), Some(1000));
    assert_eq!(registry.allow_addresses, AllowAddresses { registrant: true, networks: Vec::new() });
    assert!(registry.tokens.is_empty());
    assert_eq!(registry.dns, None);
}

#[test]
fn everything_given() {
    let config = good(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services:
  web: { discovery: { registry: shop }, endpoints: [10.0.0.1:80] }
registry:
  bind: "10.0.0.9:8500"
  store: { embedded: /srv/r.redb }
  ttl: 10s
  evict_max: 50%
  hold_max: 1m
  empty_protect: false
  register_rate: none
  allow_addresses: [10.0.0.0/8]
  tokens: [{ name: web, secret: s3cret, grants: ["register:web-*", read] }, { name: ops, secret: t, grants: admin }]
  compat: { dns: { bind: [":8600", "127.0.0.1:53"], domain: Cluster.internal, ttl: 5s } }
"#,
    );
    let service = &config.services[0];
    assert_eq!(service.discovery, Some(Discovery::Registry("shop".parse().expect("a name"))));
    let registry = config.registry.expect("it is given");
    assert_eq!((registry.store.as_path(), registry.register_rate), (Path::new("/srv/r.redb"), None));
    let networks = vec!["10.0.0.0/8".parse().expect("a network")];
    assert_eq!(registry.allow_addresses, AllowAddresses { registrant: false, networks });
    let dns = registry.dns.expect("it is given");
    assert_eq!((dns.domain.to_string().as_str(), dns.ttl, dns.bind.len()), ("cluster.internal.", 5, 2));
    assert!(dns.bind[0].dual_stack && !dns.bind[1].dual_stack);
    let grants: Vec<_> =
        registry.tokens.iter().map(|token| (token.name.as_str(), &token.grants[..])).collect();
    assert_eq!(
        grants,
        [("web", &[Grant::Register("web-*".to_owned()), Grant::Read][..]), ("ops", &[Grant::Admin][..])]
    );
}

#[test]
fn mistakes() {
    check(
        r#"
version: 1
listeners: { web: { bind: "127.0.0.1:8500" } }
routes: [{ to: web }, { path: /b, to: b }]
services:
  web: { balance: random }
  b: { discovery: { registry: "a b" } }
registry:
  bind: "127.0.0.1:8500"
  ttl: 1s
  tokens: [{ name: web, secret: "", grants: write }, { name: web, secret: a, grants: "register:" }]
"#,
        r#"
E101 5:8 the key `endpoints` is missing
  = or, where they are found: `discovery: { registry: NAME }`, or `dns`, `srv`, `file` or `http`
E110 6:31 `a b` is not a name: ' ' is not allowed in this name
E203 8:9 `127.0.0.1:8500` overlaps with `127.0.0.1:8500`
  = the other one: f.yaml:2:27
E107 9:8 `1s` is not from 3s to 24h
E209 10:33 the token is empty
E124 10:45 `write` is no grant
  = allowed here: register:SERVICE, register:PREFIX*, read, drain, scale, admin
E202 10:62 the token `web` is given twice
  = first in f.yaml:10:20
E124 10:86 `register:` names no service
  = a service is named like `register:web`, several like `register:web-*`
"#,
    );
}

#[test]
fn discovery_needs_a_registry() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { discovery: { registry: web } } }
"#,
        r#"
E213 4:33 there is no registry to discover endpoints in
  = like `registry: { bind: "127.0.0.1:8500" }`
"#,
    );
}

#[test]
fn a_public_registry_without_tokens() {
    check(
        r#"
version: 1
registry: { bind: "0.0.0.0:8500" }
"#,
        r#"
W309 2:19 the registry's address is public and it has no tokens
  = only clients of this machine are served until it has
  = add `tokens: [{ name: web, secret: "file:/path", grants: ["register:web", read] }]`
"#,
    );
}

#[test]
fn services_as_names() {
    let long = "a.".repeat(70);
    check(
        &format!(
            r#"
version: 1
registry: {{ bind: "127.0.0.1:8500", compat: {{ dns: {{ bind: ":8500", domain: "{long}" }} }} }}
"#
        ),
        r#"
E203 2:60 `:8500` overlaps with `127.0.0.1:8500`
  = the other one: f.yaml:2:19
  = `:PORT` takes IPv4 and IPv6; for one family: `0.0.0.0:PORT` or `[::]:PORT`
E130 2:77 a domain of services has at most 123 bytes
"#,
    );
    check(
        r#"
version: 1
registry: { bind: "127.0.0.1:8500", compat: { dns: { domain: "a b" } } }
"#,
        r#"
E101 2:52 the key `bind` is missing
E130 2:62 `a b` is no name of the DNS: ' ' is not allowed in a name of the DNS
"#,
    );
}
