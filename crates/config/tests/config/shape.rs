//! Errors of structure: which keys there are and what kind of value each has. All errors of a file are found in one
//! pass.

use crate::check;

#[test]
fn missing() {
    check(
        r#"
listeners: { web: {} }
routes: [{ to: web }, { respond: {} }]
services: { web: { endpoints: [{ id: a }], balance: { key: path } } }
log: { access: { format: json } }
"#,
        r#"
E101 1:1 the key `version` is missing
  = this release reads `version: 1`
E101 1:19 the key `bind` is missing
E101 2:34 the key `status` is missing
E101 3:32 the key `address` is missing
E101 3:53 the key `policy` is missing
E101 4:16 the key `path` is missing
"#,
    );
}

#[test]
fn version() {
    check(
        r#"
version: 2
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E108 1:10 `2` is not a version of this format
  = this release reads `version: 1`
"#,
    );
}

#[test]
fn version_text() {
    check(
        r#"
version: "1"
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E108 1:10 `1` is not a version of this format
  = this release reads `version: 1`
"#,
    );
}

#[test]
fn kinds() {
    check(
        r#"
version: 1
listeners: [web]
routes: { to: web }
services: web
workers: [2]
admin: none
log:
"#,
        r#"
E102 2:12 expected a mapping of names, found a list
E102 3:9 expected a list, found a mapping
E102 4:11 expected a mapping of names, found the text `web`
E102 5:10 expected a whole number, found a list
E102 6:8 expected a mapping, found the text `none`
E102 7:4 expected a mapping, found nothing
"#,
    );
}

#[test]
fn kinds_of_scalars() {
    check(
        r#"
version: 1
workers: 2.5
log: { level: 1 }
metrics: { max_series: many }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web, match: { headers: { x: 1, y: { present: yes } } } }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E102 2:10 expected a whole number, found the number `2.5`
E102 3:15 expected a word, found the number `1`
E102 4:24 expected a whole number, found the text `many`
E102 6:44 expected text, found the number `1`
  = quote it to make it text: `"1"`
E102 6:61 expected `true` or `false`, found the text `yes`
"#,
    );
}

#[test]
fn null_values() {
    check(
        r#"
version: 1
listeners: { web: { bind: , limits: ~ } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E102 2:25 expected an address like `:80`, found nothing
E102 2:37 expected a mapping, found nothing
"#,
    );
}

#[test]
fn unknown_fields_everywhere() {
    check(
        r#"
version: 1
worker: 2
listeners:
  web: { bind: ":8080", tiemouts: { header: 1s }, http: { body: none, bodies: 1 } }
routes:
  - { to: web, hosts: a.example.com, match: { methods: GET }, path: { exactly: /a } }
  - { respond: { status: 200, bdy: x }, headers: { requests: {} } }
services:
  web: { endpoints: [{ address: 10.0.0.1:80, wieght: 1 }], heath: /healthz, balance: { policy: ring, keys: path } }
  api: { endpoints: [10.0.0.1:80], pools: {} }
"#,
        r#"
E103 2:1 unknown field `worker`, did you mean `workers`?
  = allowed here: admin, defaults, gslb, include, listeners, log, metrics, overload, registry, routes, services, shutdown, state_dir, trusted_proxies, version, workers
E103 4:25 unknown field `tiemouts`, did you mean `timeouts`?
  = allowed here: bind, http, limits, protocol, redirect, timeouts, to
E103 4:71 unknown field `bodies`
  = allowed here: body, encoded_slash, header_count, header_field, headers, request_line, underscores
E103 6:16 unknown field `hosts`, did you mean `host`?
  = allowed here: headers, host, match, name, path, redirect, respond, rewrite, to
E103 6:47 unknown field `methods`, did you mean `method`?
  = allowed here: cookies, headers, method, query, source
E103 6:71 unknown field `exactly`, did you mean `exact`?
  = allowed here: exact, regex
E103 7:31 unknown field `bdy`, did you mean `body`?
  = allowed here: body, headers, status
E103 7:52 unknown field `requests`, did you mean `request`?
  = allowed here: request, response
E103 9:46 unknown field `wieght`, did you mean `weight`?
  = allowed here: address, id, state, weight
E103 9:60 unknown field `heath`, did you mean `health`?
  = allowed here: balance, discovery, drain, endpoints, health, limits, outlier, panic, pool, retry, slow_start, sticky, timeouts
E103 9:102 unknown field `keys`, did you mean `key`?
  = allowed here: key, policy
E103 10:36 unknown field `pools`, did you mean `pool`?
  = allowed here: balance, discovery, drain, endpoints, health, limits, outlier, panic, pool, retry, slow_start, sticky, timeouts
"#,
    );
}

#[test]
fn unknown_words() {
    check(
        r#"
version: 1
log: { level: inf }
listeners: { web: { bind: ":80", protocol: htp, redirect: http, http: { underscores: off, encoded_slash: keep_it } } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80], balance: round-robin } }
"#,
        r#"
E104 2:15 `inf` is not known here, did you mean `info`?
  = allowed here: error, warn, info, debug, trace
E104 3:44 `htp` is not known here, did you mean `http`?
  = allowed here: http, tcp
E104 3:59 `http` is not known here, did you mean `https`?
  = allowed here: https
E104 3:86 `off` is not known here
  = allowed here: reject, drop, allow
E104 3:106 `keep_it` is not known here
  = allowed here: keep, reject, redirect
E104 5:55 `round-robin` is not known here, did you mean `round_robin`?
  = allowed here: round_robin, least_request, random, ring, maglev
"#,
    );
}

#[test]
fn nothing() {
    check(
        r#"
version: 1
listeners: { web: { bind: [] } }
routes: [{ to: web, host: [] , rewrite: { strip_prefix: / }, match: { query: { "": a } } }]
services: { web: { endpoints: [] } }
"#,
        r#"
E116 2:27 an empty list
E116 3:27 an empty list
E116 3:57 `/` changes nothing
E116 3:80 the name of a query parameter is empty
E116 4:31 an empty list
"#,
    );
}

#[test]
fn one_of() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { host: a }
  - { host: b, to: web, redirect: https }
  - { host: c, to: web, match: { headers: { x: {} } } }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E117 4:5 exactly one of `to`, `redirect`, `respond` is needed, found none
E117 5:25 exactly one of `to`, `redirect`, `respond` is needed, found `to` and `redirect`
E117 6:48 exactly one of `regex`, `present` is needed, found none
"#,
    );
}

#[test]
fn boolean_words() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web, match: { query: { debug: on } }, headers: { request: { set: { x-debug: yes, x-quoted: "yes" } } } }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
W306 3:46 `on` is text here, but a boolean in YAML 1.1
  = quote it: `"on"`
W306 3:92 `yes` is text here, but a boolean in YAML 1.1
  = quote it: `"yes"`
"#,
    );
}
