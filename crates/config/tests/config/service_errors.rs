//! What is wrong with settings of a service.

use crate::check;
use crate::service::{service, yaml};

/// Errors of a section.
fn refused(section: &str, expected: &str) {
    check(&yaml(section), expected);
}

#[test]
fn percentages_and_rates() {
    refused("panic: 50", "E102 7:12 expected a mapping, found the number `50`\n");
    refused(
        "retry: { budget: 20, budget_min: 10, retries: 4, on: [conect] }",
        "\
E121 7:22 `20` is not a percentage: the `%` is missing
  = did you mean `20%`?
  = percentages are whole numbers: `10%`
E122 7:38 `10` is not a rate: the unit is missing
  = did you mean `10/s`?
  = rates are whole numbers a second: `10/s`
E107 7:51 `4` is not from 0 to 3
E104 7:59 `conect` is not known here, did you mean `connect`?
  = allowed here: connect, reset, timeout, unavailable
",
    );
    refused(
        "outlier: { consecutive_errors: 0, max_ejected: 0%, eject: 0s }",
        "\
E107 7:36 `0` is not from 1 to 1000000
E107 7:52 `0%` is not from 1% to 100%
E107 7:63 `0s` would be over at once
  = the least duration here is `1ms`; no limit is written `none`, where that is possible
",
    );
    refused(
        "panic: { below: 101%, at_least: 0, then: 502 }",
        "\
E107 7:21 `101%` is not from 0% to 100%
E107 7:37 `0` is not from 1 to 1000000
E104 7:46 `502` is not known here
  = allowed here: all, 503
",
    );
}

#[test]
fn health_checks() {
    refused(
        "health: { http: healthz, tcp: conect, method: get, port: 0, interval: 1ms, timeout: 2m, rise: 0 }",
        "\
E113 7:21 `healthz` does not begin with `/`
  = did you mean `/healthz`?
E117 7:30 exactly one of `http`, `tcp` is needed, found `http` and `tcp`
E104 7:35 `conect` is not known here, did you mean `connect`?
  = allowed here: connect
E104 7:51 `get` is not known here, did you mean `GET`?
  = allowed here: GET, HEAD, OPTIONS
E107 7:62 `0` is not from 1 to 65535
E107 7:75 `1ms` is not from 100ms to 1h
E107 7:89 `2m` is not from 10ms to 1m
E107 7:99 `0` is not from 1 to 1000
",
    );
    refused(
        "health: { http: /, expect: { status: [2xx, 700, 399-200], body: \"\" }, headers: { host: a, \"x y\": b } }",
        "\
E123 7:43 `2xx` is neither a status nor a range of statuses
  = statuses are like `204`, ranges like `200-399`; from 100 to 599
E123 7:48 `700` is neither a status nor a range of statuses
  = statuses are like `204`, ranges like `200-399`; from 100 to 599
E123 7:53 `399-200` is an empty range
  = did you mean `200-399`?
  = statuses are like `204`, ranges like `200-399`; from 100 to 599
E116 7:69 an empty text
E207 7:86 the field `host` cannot be changed: the key `host` of the check says it
  = the balancer writes it by itself, so that both sides read the same message
E115 7:95 `x y` is not the name of a header field: it holds ' '
",
    );
    refused(
        "health: { http: healthz, method: GET, headers: { te: x } }",
        "\
E113 7:21 `healthz` does not begin with `/`
  = did you mean `/healthz`?
E207 7:54 the field `te` cannot be changed: it frames the message
  = the balancer writes it by itself, so that both sides read the same message
",
    );
    refused("health: {}", "E117 7:13 exactly one of `http`, `tcp` is needed, found none\n");
    refused("health: off", "E104 7:13 `off` is not known here\n  = it is switched off with `none`\n");
    refused(
        "health: false",
        "E102 7:13 expected a value or `none`, found the boolean `false`\n  = it is switched off with `none`\n",
    );
    refused(
        "health: { htp: / }",
        "E103 7:15 unknown field `htp`, did you mean `http`?\n  = allowed here: expect, fall, headers, host, http, interval, method, port, rise, tcp, timeout\n",
    );
}

#[test]
fn parts_of_health_checks_that_do_not_go_together() {
    refused(
        "health: { tcp: connect, method: GET, host: a, headers: {}, expect: { body: x } }",
        "\
E211 7:29 `method` means something only to `http` checks
E211 7:42 `host` means something only to `http` checks
E211 7:51 `headers` means something only to `http` checks
E211 7:64 `expect` means something only to `http` checks
  = what must come back over TCP: `tcp: { expect: … }`
",
    );
    refused(
        "health: { http: /, method: HEAD, expect: { body: ok } }",
        "E211 7:54 a response to HEAD has no body\n",
    );
    refused(
        "health: { tcp: {} }",
        "E116 7:20 there is nothing to send and nothing to expect\n  = if it is enough that a connection can be made: `tcp: connect`\n",
    );
    let large = "a".repeat(65_537);
    refused(
        &format!("health: {{ http: /, expect: {{ body: {large} }} }}"),
        "E107 7:40 the text is larger than 64KiB\n",
    );
}

#[test]
fn ejections_last_longer_than_they_begin() {
    refused("outlier: { eject: 10m }", "E211 7:16 `max_eject`, which is 5m, is shorter than `eject`\n");
    refused("outlier: { max_eject: 10s }", "E211 7:16 `max_eject` is shorter than `eject`\n");
    assert!(service("outlier: { eject: 10m, max_eject: 10m }").outlier.is_some());
    check(
        "version: 1\ndefaults: { outlier: { eject: 10m } }\nlisteners: { web: { bind: \":80\" } }\nroutes: [{ to: web }]\nservices: { web: { endpoints: [10.0.0.1:80] } }\n",
        "E211 2:24 `max_eject`, which is 5m, is shorter than `eject`\n",
    );
}

#[test]
fn limits() {
    refused(
        "limits: { max_requests: 0, max_connections: unlimited, queue: { max: -1, timeout: none } }",
        "\
E107 7:29 `0` is not from 1 to 4294967295
E104 7:49 `unlimited` is not known here
  = no limit is written `none`
E107 7:74 `-1` is not from 0 to 1000000
E105 7:87 `none` is not a duration
  = durations are whole numbers with units h, m, s, ms: `5s`, `250ms`, `1m30s`
",
    );
    refused(
        "limits: { queue: { max: 10 } }",
        "E211 7:15 `queue` means something only together with `max_requests` or `max_connections`\n",
    );
    refused("slow_start: 2h", "E107 7:17 `2h` is not from 1ms to 1h\n");
    refused(
        "drain: { timeout: 0s }",
        "E107 7:23 `0s` would be over at once\n  = the least duration here is `1ms`; no limit is written `none`, where that is possible\n",
    );
}

#[test]
fn stickiness() {
    refused(
        "sticky: cokie",
        "E104 7:13 `cokie` is not known here, did you mean `cookie`?\n  = allowed here: cookie\n",
    );
    refused("sticky: {}", "E101 7:13 the key `cookie` is missing\n");
    refused(
        "sticky: { cookie: { name: \"a b\", keys: [short, 12345678901234567890, 0123456789abcdef, \"file:/nonexistent/key\"] } }",
        "\
E115 7:31 `a b` is not the name of a cookie: it holds ' '
E209 7:45 the key is shorter than 16 bytes
E102 7:52 expected text
  = quote a secret that looks like a number
E107 7:92 there are more than 2 keys
  = the first one signs, the second one is the previous one
E209 7:92 cannot read `/nonexistent/key`: it does not exist
",
    );
    let long = "a".repeat(129);
    refused(
        &format!("sticky: {{ cookie: {{ name: {long} }} }}"),
        &format!("E115 7:31 `{}…` is not the name of a cookie: it is longer than 128 bytes\n", &long[..60]),
    );
}

#[test]
fn states_of_endpoints() {
    check(
        &yaml("balance: random").replace("[10.0.0.1:80]", "[{ address: 10.0.0.1:80, state: dran }]"),
        "E104 6:48 `dran` is not known here, did you mean `drain`?\n  = allowed here: up, drain, maintenance\n",
    );
    check(
        &yaml("balance: random").replace("[10.0.0.1:80]", "[app.internal:80, App.internal:80]"),
        "\
E208 6:34 the endpoint `app.internal:80` is given twice
  = first in f.yaml:6:17
  = for two shares of traffic give one endpoint a `weight`
",
    );
}
