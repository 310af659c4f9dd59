//! What a service says about health, retries, limits and stickiness.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use fulcrum_config::{
    Config, EndpointState, HealthCheck, HttpProbe, Outlier, Panic, PanicAction, Probe, Queue, Retry, RetryOn,
    Secret, Service, ServiceLimits, Sticky, Target, TcpProbe,
};

use crate::good;
use crate::valid::FULL;

/// The only service of a configuration with this section.
pub(crate) fn service(section: &str) -> Service {
    let mut config = good(&yaml(section));
    config.services.pop().expect("one service")
}

/// A configuration whose only service has this section, in line 7.
pub(crate) fn yaml(section: &str) -> String {
    format!(
        "version: 1\nlisteners: {{ web: {{ bind: \":80\" }} }}\nroutes: [{{ to: web }}]\nservices:\n  web:\n    endpoints: [10.0.0.1:80]\n    {section}\n"
    )
}

fn of<'a>(config: &'a Config, name: &str) -> &'a Service {
    config.services.iter().find(|service| service.name.as_str() == name).expect("a service of this name")
}

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn default_outlier() -> Outlier {
    Outlier { consecutive_errors: count(5), eject: seconds(30), max_eject: seconds(300), max_ejected: 10 }
}

const DEFAULT_RETRY: Retry = Retry {
    retries: 1,
    on: RetryOn { connect: true, reset: true, timeout: false, unavailable: false },
    budget: 20,
    budget_min: 10,
};

#[test]
fn services_have_the_documented_defaults() {
    let web = service("balance: random");
    assert_eq!(web.slow_start, seconds(10));
    assert_eq!(web.panic, Panic { below: 50, at_least: 10, then: PanicAction::All });
    assert_eq!(web.health, None);
    assert_eq!(web.outlier, Some(default_outlier()));
    assert_eq!(web.retry, DEFAULT_RETRY);
    let queue = Queue { max: 1000, timeout: seconds(5) };
    assert_eq!(web.limits, ServiceLimits { max_requests: None, max_connections: None, queue });
    assert_eq!(web.sticky, None);
    assert_eq!(web.drain, Some(seconds(300)));
    assert_eq!(web.endpoints[0].state, EndpointState::Up);
}

#[test]
fn every_key_of_a_service_has_its_effect() {
    let config = good(FULL);
    let pay = of(&config, "pay");
    assert_eq!(pay.slow_start, Duration::ZERO);
    assert_eq!(pay.panic, Panic { below: 30, at_least: 4, then: PanicAction::Refuse });
    let probe = HttpProbe {
        path: "/healthz?full=1".into(),
        method: "HEAD".into(),
        host: Some("pay.internal:9000".into()),
        headers: vec![("x-probe".into(), "1".into())],
        status: vec![(200, 299), (404, 404)],
        body: None,
    };
    let expected = HealthCheck {
        probe: Probe::Http(probe),
        port: NonZeroU16::new(9001),
        interval: Duration::from_millis(500),
        timeout: Duration::from_millis(250),
        rise: count(1),
        fall: count(5),
    };
    assert_eq!(pay.health, Some(expected));
    let limits = ServiceLimits {
        max_requests: Some(count(200)),
        max_connections: Some(count(300)),
        queue: Queue { max: 0, timeout: seconds(1) },
    };
    assert_eq!(pay.limits, limits);
    let sticky = Sticky {
        cookie: "shop".into(),
        keys: vec![Secret::new(*b"0123456789abcdef"), Secret::new(*b"fedcba9876543210")],
        max_idle: Some(seconds(3600)),
        max_life: None,
    };
    assert_eq!(pay.sticky, Some(sticky));
    assert_eq!(pay.drain, None);
}

#[test]
fn sections_are_inherited_key_by_key() {
    let config = good(FULL);
    let pay = of(&config, "pay");
    let outlier =
        Outlier { consecutive_errors: count(3), eject: seconds(10), max_eject: seconds(60), max_ejected: 50 };
    assert_eq!(pay.outlier, Some(outlier));
    let on = RetryOn { connect: true, reset: false, timeout: false, unavailable: false };
    assert_eq!(pay.retry, Retry { retries: 2, on, budget: 5, budget_min: 3 });
    let web = of(&config, "web");
    assert_eq!((&web.outlier, web.retry.retries), (&None, 0), "switched off");
    let hash = of(&config, "hash");
    assert_eq!(hash.retry, Retry { retries: 3, budget: 5, ..DEFAULT_RETRY });
    assert_eq!(hash.slow_start, seconds(60));
}

#[test]
fn what_defaults_switch_off_a_service_switches_on() {
    let config = good(
        "\
version: 1
defaults: { outlier: none, retry: none, slow_start: none }
listeners: { web: { bind: \":80\" } }
routes: [{ path: /a, to: a }, { path: /b, to: b }]
services:
  a: { endpoints: [10.0.0.1:80], outlier: {}, retry: { budget: 1% }, slow_start: 5s }
  b: { endpoints: [10.0.0.1:80] }
",
    );
    let a = of(&config, "a");
    assert_eq!(a.outlier, Some(default_outlier()));
    assert_eq!((&a.retry, a.slow_start), (&Retry { budget: 1, ..DEFAULT_RETRY }, seconds(5)));
    let b = of(&config, "b");
    assert_eq!((&b.outlier, b.retry.retries, b.slow_start), (&None, 0, Duration::ZERO));
}

#[test]
fn short_forms_stand_for_long_ones() {
    fn same(short: &str, long: &str) {
        assert_eq!(service(short), service(long), "{short}");
    }
    same("health: /healthz", "health: { http: /healthz, method: GET, expect: { status: 200-399 } }");
    same("health: none", "balance: least_request");
    same("health: { tcp: connect }", "health: { tcp: connect, interval: 2s, timeout: 1s, rise: 2, fall: 3 }");
    same("sticky: cookie", "sticky: { cookie: { name: fulcrum_web, max_idle: none } }");
    same("sticky: none", "balance: least_request");
    same("outlier: {}", "outlier: { consecutive_errors: 5, eject: 30s, max_eject: 5m, max_ejected: 10% }");
    same("retry: {}", "retry: { retries: 1, on: [reset, connect], budget: 20%, budget_min: 10/s }");
    same("panic: { then: 503 }", "panic: { then: \"503\", below: 50%, at_least: 10 }");
}

#[test]
fn tcp_checks_send_and_expect_bytes() {
    let probe = |section: &str| match service(section).health.map(|health| health.probe) {
        Some(Probe::Tcp(probe)) => (probe.send, probe.expect),
        other => panic!("{other:?}"),
    };
    assert_eq!(probe("health: { tcp: connect }"), (None, None));
    let ping = probe(r#"health: { tcp: { send: "PING\r\n", expect: "+PONG" } }"#);
    assert_eq!(ping, (Some(b"PING\r\n".to_vec()), Some(b"+PONG".to_vec())));
    assert_eq!(probe("health: { tcp: { expect: SSH } }"), (None, Some(b"SSH".to_vec())));
    assert_eq!(TcpProbe::default(), TcpProbe { send: None, expect: None });
}

#[test]
fn endpoints_are_addresses_or_names_in_a_state() {
    let config = good(FULL);
    let endpoints = &of(&config, "db").endpoints;
    let found: Vec<_> = endpoints.iter().map(|endpoint| (endpoint.id.as_str(), endpoint.state)).collect();
    let expected = [
        ("db.internal:5432", EndpointState::Up),
        ("10.0.2.1:5432", EndpointState::Drain),
        ("10.0.2.2:5432", EndpointState::Maintenance),
    ];
    assert_eq!(found, expected);
    assert!(matches!(&endpoints[0].address, Target::Host(host) if host.host == "db.internal"));
    assert!(matches!(&endpoints[1].address, Target::Address(_)));
}
