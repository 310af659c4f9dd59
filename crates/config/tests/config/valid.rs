//! Good configurations and the values they give.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use fulcrum_config::{
    Action, Balance, Bind, Destination, EncodedSlash, HashKey, HostPattern, ListenerAction, LogFormat,
    LogLevel, Overload, PathPattern, Protocol, RedirectTarget, Underscores, ValueMatch, load_text,
};

use crate::good;

const LEAST: &str = "\
version: 1
listeners: { web: { bind: \":8080\" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
";

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let loaded = load_text("fulcrum.yaml", LEAST, &|_| None).expect("a good file");
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let config = loaded.config;
    assert_eq!(config.workers, None);
    assert!(config.trusted_proxies.is_empty());
    assert_eq!(config.state_dir.to_str(), Some("/var/lib/fulcrum"));
    assert_eq!(config.overload, Overload { memory: Some(85), connections: None });
    assert_eq!(config.metrics.max_series.get(), 100_000);
    assert_eq!(config.shutdown.pre_stop, Duration::ZERO);
    assert_eq!(config.shutdown.deadline, Duration::from_secs(30));
    assert_eq!(config.admin.socket, Some("/run/fulcrum/admin.sock".into()));
    assert_eq!((config.admin.bind, config.admin.token), (None, None));
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(
        (config.log.access.destination, config.log.access.format),
        (Destination::None, LogFormat::Json)
    );

    let listener = &config.listeners[0];
    assert_eq!(listener.name.as_str(), "web");
    assert_eq!(
        listener.binds,
        [Bind::Tcp { address: "[::]:8080".parse().expect("an address"), dual_stack: true }]
    );
    assert_eq!(listener.action, ListenerAction::Route);
    assert_eq!(listener.protocol, Protocol::Http);
    assert_eq!((listener.max_connections, listener.connections_per_source), (None, None));
    assert_eq!(listener.timeouts.header, Some(Duration::from_secs(10)));
    assert_eq!(listener.timeouts.body_idle, Some(Duration::from_secs(60)));
    assert_eq!(listener.timeouts.keep_alive, Some(Duration::from_secs(75)));
    let http = &listener.http;
    assert_eq!((http.request_line, http.header_field, http.headers), (8192, 16_384, 65_536));
    assert_eq!((http.header_count, http.body), (100, None));
    assert_eq!((http.underscores, http.encoded_slash), (Underscores::Reject, EncodedSlash::Keep));

    let route = &config.routes[0];
    assert_eq!(route.name.as_str(), "*/");
    assert!(route.hosts.is_empty() && route.path.is_none() && route.matchers.count() == 0);
    assert!(matches!(&route.action, Action::To(service) if service.as_str() == "web"));
    assert!(route.request_headers.is_empty() && route.response_headers.is_empty());

    let service = &config.services[0];
    assert_eq!(service.balance, Balance::LeastRequest);
    assert_eq!(service.endpoints[0].id.as_str(), "10.0.0.1:80");
    assert_eq!(service.endpoints[0].weight.get(), 1);
    assert_eq!(service.timeouts.connect, Some(Duration::from_secs(5)));
    assert_eq!(service.timeouts.response_header, Some(Duration::from_secs(60)));
    assert_eq!(service.timeouts.response_idle, Some(Duration::from_secs(60)));
    assert_eq!(service.timeouts.stream_idle, Some(Duration::from_secs(3600)));
    assert_eq!(service.pool.max_idle, 100);
    assert_eq!(service.pool.max_age, Some(Duration::from_secs(3600)));
    assert_eq!(service.pool.max_requests, NonZeroU64::new(100_000));
    assert_eq!(service.pool.idle, Some(Duration::from_secs(55)));
}

#[test]
fn every_key_has_its_effect() {
    let config = good(FULL);
    assert_eq!(config.workers, NonZeroUsize::new(2));
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.state_dir.to_str(), Some("/srv/fulcrum"));
    assert_eq!(config.overload, Overload { memory: Some(70), connections: NonZeroU64::new(100_000) });
    assert_eq!(config.metrics.max_series.get(), 5000);
    assert_eq!(config.shutdown.pre_stop, Duration::from_secs(5));
    assert_eq!(config.shutdown.deadline, Duration::from_secs(60));
    assert_eq!(config.admin.socket, None);
    assert_eq!(config.admin.bind, Some("127.0.0.1:9901".parse().expect("an address")));
    assert_eq!(config.admin.token.expect("a token").expose(), b"s3cret");
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.log.access.destination, Destination::File("/var/log/fulcrum/access.log".into()));
    assert_eq!(config.log.access.format, LogFormat::Template("{method} {target} {status}".into()));

    let web = &config.listeners[0];
    assert_eq!(web.binds.len(), 3);
    assert_eq!(web.binds[2], Bind::Unix("/run/fulcrum/web.sock".into()));
    assert_eq!(web.max_connections, NonZeroU32::new(50_000));
    assert_eq!(web.connections_per_source, NonZeroU32::new(100));
    assert_eq!(web.timeouts.header, Some(Duration::from_secs(3)));
    assert_eq!(web.timeouts.body_idle, None);
    assert_eq!(web.timeouts.keep_alive, Some(Duration::from_secs(90)), "inherited");
    assert_eq!((web.http.request_line, web.http.header_field, web.http.headers), (4096, 8192, 32_768));
    assert_eq!((web.http.header_count, web.http.body), (50, Some(10 << 20)));
    assert_eq!((web.http.underscores, web.http.encoded_slash), (Underscores::Drop, EncodedSlash::Redirect));
    assert_eq!(config.listeners[1].action, ListenerAction::RedirectToHttps);
    assert_eq!(config.listeners[1].http.body, Some(1 << 20), "inherited");
    assert!(matches!(&config.listeners[2].protocol, Protocol::Tcp(service) if service.as_str() == "db"));

    let pay = &config.routes[0];
    assert_eq!(pay.name.as_str(), "pay");
    let hosts =
        [HostPattern::Exact("pay.example.com".into()), HostPattern::Wildcard("pay.example.com".into())];
    assert_eq!(pay.hosts, hosts);
    assert!(matches!(&pay.path, Some(PathPattern::Prefix(path)) if path == "/v1"));
    let matchers = &pay.matchers;
    assert_eq!(matchers.methods, ["GET", "POST"]);
    assert_eq!(matchers.count(), 6);
    assert!(
        matches!(&matchers.headers[0], (name, ValueMatch::Exact(value)) if name == "x-beta" && value == "1")
    );
    assert!(
        matches!(&matchers.query[0], (name, ValueMatch::Regex(regex)) if name == "v" && regex.is_match("2"))
    );
    assert!(matches!(&matchers.cookies[0], (name, ValueMatch::Present(true)) if name == "lang"));
    assert!(matches!(&matchers.cookies[1], (name, ValueMatch::Present(false)) if name == "old"));
    assert_eq!(matchers.source.len(), 2);
    assert_eq!(pay.rewrite.strip_prefix.as_deref(), Some("/v1"));
    assert_eq!(pay.rewrite.add_prefix.as_deref(), Some("/pay"));
    assert_eq!(pay.request_headers.set, [("x-edge".to_owned(), "1".to_owned())]);
    assert_eq!(pay.request_headers.add, [("x-hop".to_owned(), "a".to_owned())]);
    assert_eq!(pay.request_headers.remove, ["x-debug", "x-trace"]);
    assert_eq!(pay.response_headers.set[0].0, "strict-transport-security");

    let redirect = |index: usize| match &config.routes[index].action {
        Action::Redirect(redirect) => (redirect.target.clone(), redirect.status),
        other => panic!("{other:?}"),
    };
    assert_eq!(redirect(1), (RedirectTarget::Origin("https://pay.example.com".into()), 301));
    assert_eq!(redirect(2), (RedirectTarget::Https, 308));
    assert_eq!(redirect(3), (RedirectTarget::Location("/new".into()), 308));
    match &config.routes[4].action {
        Action::Respond(response) => {
            assert_eq!((response.status, response.body.as_str()), (200, "User-agent: *"));
            assert_eq!(response.headers, [("content-type".to_owned(), "text/plain".to_owned())]);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(&config.routes[5].path, Some(PathPattern::Exact(path)) if path == "/health"));
    assert!(matches!(&config.routes[6].path, Some(PathPattern::Regex(regex)) if regex.is_match("/v12/x")));

    let pay = &config.services[0];
    assert_eq!(pay.balance, Balance::Ring(HashKey::Header("x-user".into())));
    assert_eq!(pay.endpoints[1].address.to_string(), "unix:/run/pay.sock");
    assert_eq!((pay.endpoints[2].id.as_str(), pay.endpoints[2].weight.get()), ("b", 2));
    assert_eq!(pay.timeouts.connect, Some(Duration::from_millis(1500)));
    assert_eq!(pay.timeouts.response_header, None);
    assert_eq!(pay.timeouts.response_idle, Some(Duration::from_secs(30)), "inherited");
    assert_eq!((pay.pool.max_idle, pay.pool.max_requests), (8, None));
    assert_eq!(pay.pool.idle, Some(Duration::from_secs(20)), "inherited");
    assert_eq!(config.services[1].balance, Balance::RoundRobin);
    assert_eq!(config.services[2].balance, Balance::Maglev(HashKey::Source));
}

#[test]
fn variables_take_the_type_of_their_text() {
    let config = good(
        "\
version: 1
workers: ${NONE:-3}
metrics: { max_series: \"${PORT}\" }
listeners: { web: { bind: \"127.0.0.1:${PORT}\", limits: { connections: \"${NONE:-none}\" } } }
routes:
  - { match: { headers: { x: \"${PORT}\", y: \"$${PORT}\" } }, to: web }
services: { web: { endpoints: [\"${NONE:-10.0.0.1}:${PORT}\"] } }
",
    );
    assert_eq!(config.workers, NonZeroUsize::new(3));
    assert_eq!(config.metrics.max_series.get(), 8080);
    assert!(matches!(&config.listeners[0].binds[0], Bind::Tcp { address, .. } if address.port() == 8080));
    assert_eq!(config.listeners[0].max_connections, None);
    let headers = &config.routes[0].matchers.headers;
    assert!(matches!(&headers[0].1, ValueMatch::Exact(value) if value == "8080"));
    assert!(matches!(&headers[1].1, ValueMatch::Exact(value) if value == "${PORT}"));
    assert_eq!(config.services[0].endpoints[0].id.as_str(), "10.0.0.1:8080");
}

#[test]
fn merge_keys_inherit_and_own_keys_win() {
    let config = good(
        "\
version: 1
listeners: { web: { bind: \":80\" } }
routes: [{ path: /a, to: a }, { path: /b, to: b }, { path: /c, to: c }]
services:
  a: &a { endpoints: &here [10.0.0.1:80], balance: random, pool: { max_idle: 1 } }
  b: { <<: *a, balance: ring }
  c: { <<: [{ balance: maglev }, *a], endpoints: *here, pool: { max_idle: 3 } }
",
    );
    let of = |index: usize| {
        let service = &config.services[index];
        (service.balance.clone(), service.pool.max_idle, service.endpoints.len())
    };
    assert_eq!(of(0), (Balance::Random, 1, 1));
    assert_eq!(of(1), (Balance::Ring(HashKey::Source), 1, 1));
    assert_eq!(of(2), (Balance::Maglev(HashKey::Source), 3, 1));
}

#[test]
fn unnamed_routes_that_share_host_and_path_are_told_apart_by_their_matchers() {
    let config = good(
        "\
version: 1
listeners: { web: { bind: \":80\" } }
routes:
  - { host: a.example, path: /x, to: web }
  - { host: a.example, path: /x, match: { method: [PUT, POST], headers: { x-beta: \"1\" } }, to: web }
  - { host: a.example, path: { exact: /x }, to: web }
  - { host: a.example, path: /x, match: { query: { v: { regex: \"^1\" } }, cookies: { c: { present: false } } }, to: web }
  - { host: [\"*.b.example\", c.example], to: web }
  - { path: { regex: \"^/v[0-9]+\" }, match: { source: 10.0.0.0/8 }, to: web }
services: { web: { endpoints: [10.0.0.1:80] } }
",
    );
    let names: Vec<_> = config.routes.iter().map(|route| route.name.as_str()).collect();
    let expected = [
        "a.example/x",
        "a.example/x method=PUT,POST header:x-beta=1",
        "a.example/x exact",
        "a.example/x query:v~^1 !cookie:c",
        "*.b.example/",
        "*~^/v[0-9]+",
    ];
    assert_eq!(names, expected);
}

#[test]
fn routes_that_differ_in_any_part_do_not_shadow_each_other() {
    good(
        "\
version: 1
listeners: { web: { bind: \":80\" } }
routes:
  - { host: \"*.example.com\", to: web }
  - { host: a.example.com, to: web }
  - { to: web }
  - { path: /, match: { method: GET }, to: web }
  - { path: { exact: / }, to: web }
  - { path: { regex: \"^/a\" }, to: web }
  - { path: { regex: \"^/a\" }, match: { method: PUT }, to: web }
  - { path: { regex: \".*\" }, match: { method: DELETE }, to: web }
  - { path: /a, to: web }
  - { path: /a, match: { method: GET }, to: web }
  - { path: /a, match: { method: [GET, PUT] }, to: web }
  - { path: /a, match: { headers: { x: \"1\" } }, to: web }
  - { path: /a, match: { headers: { x: \"2\" } }, to: web }
  - { path: /a, match: { source: 10.0.0.0/16 }, to: web }
  - { path: /a, match: { source: 10.0.0.0/8 }, to: web }
services: { web: { endpoints: [10.0.0.1:80] } }
",
    );
}

pub(crate) const FULL: &str = r#"
version: 1
workers: 2
trusted_proxies: [10.0.0.0/8, "2001:db8::1"]
defaults:
  timeouts: { keep_alive: 90s, response_idle: 30s }
  http: { body: 1MiB }
  pool: { idle: 20s }
  slow_start: 1m
  outlier: { eject: 10s, max_ejected: 50% }
  retry: { retries: 3, budget: 5% }
state_dir: /srv/fulcrum
overload: { memory: 70%, connections: 100000 }
metrics: { max_series: 5000 }
shutdown: { pre_stop: 5s, deadline: 1m }
admin: { socket: none, bind: "127.0.0.1:9901", token: s3cret }
log:
  level: debug
  access: { path: /var/log/fulcrum/access.log, format: "{method} {target} {status}" }
listeners:
  web:
    bind: ["0.0.0.0:80", "[::]:80", "unix:/run/fulcrum/web.sock"]
    protocol: http
    limits: { connections: 50000, connections_per_source: 100 }
    timeouts: { header: 3s, body_idle: none }
    http:
      request_line: 4KiB
      header_field: 8KiB
      headers: 32KiB
      header_count: 50
      body: 10MiB
      underscores: drop
      encoded_slash: redirect
  plain: { bind: ":8080", redirect: https }
  db: { bind: ":5432", protocol: tcp, to: db, limits: { connections: 100 } }
routes:
  - name: pay
    host: [pay.example.com, "*.pay.example.com"]
    path: /v1/
    match:
      method: [GET, POST]
      headers: { X-Beta: "1" }
      query: { v: { regex: "^[12]$" } }
      cookies: { lang: { present: true }, old: { present: false } }
      source: [10.0.0.0/8, 192.0.2.1]
    to: pay
    rewrite: { strip_prefix: /v1, add_prefix: /pay }
    headers:
      request: { set: { X-Edge: "1" }, add: { x-hop: a }, remove: [X-Debug, x-trace] }
      response: { set: { strict-transport-security: "max-age=31536000" } }
  - { host: old.example.com, redirect: { to: "https://pay.example.com", status: 301 } }
  - { host: plain.example.com, redirect: https }
  - { path: /old, redirect: /new }
  - { path: /robots.txt, respond: { status: 200, body: "User-agent: *", headers: { content-type: text/plain } } }
  - { path: { exact: /health }, to: web }
  - { path: { regex: "^/v[0-9]+/" }, to: hash }
services:
  pay:
    endpoints: [10.0.1.1:9000, "unix:/run/pay.sock", { id: b, address: "10.0.1.2:9000", weight: 2 }]
    balance: { policy: ring, key: "header:X-User" }
    timeouts: { connect: 1s500ms, response_header: none }
    pool: { max_idle: 8, max_age: none, max_requests: none }
    slow_start: none
    panic: { below: 30%, at_least: 4, then: 503 }
    health:
      http: /healthz?full=1
      method: HEAD
      host: pay.internal:9000
      port: 9001
      headers: { X-Probe: "1" }
      expect: { status: ["200-299", 404] }
      interval: 500ms
      timeout: 250ms
      rise: 1
      fall: 5
    outlier: { consecutive_errors: 3, max_eject: 1m }
    retry: { retries: 2, on: connect, budget_min: 3/s }
    limits: { max_requests: 200, max_connections: 300, queue: { max: 0, timeout: 1s } }
    sticky: { cookie: { name: shop, keys: [0123456789abcdef, fedcba9876543210], max_idle: 1h, max_life: none } }
    drain: { timeout: none }
  web: { endpoints: ["[2001:db8::1]:80"], balance: round_robin, health: /, sticky: cookie, retry: none, outlier: none }
  hash: { endpoints: [10.0.0.1:80], balance: maglev, health: { tcp: connect } }
  db:
    endpoints: ["Db.Internal:5432", { address: 10.0.2.1:5432, state: drain }, { address: 10.0.2.2:5432, state: maintenance }]
    health: { tcp: { send: "PING\r\n", expect: "+PONG" } }
    panic: { then: all }
"#;
