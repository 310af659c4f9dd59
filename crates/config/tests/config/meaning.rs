//! Errors of meaning: what values say together.

use crate::check;

#[test]
fn no_such_service() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { host: a, to: api }
  - { host: b, to: wbe }
services: { api: { endpoints: [10.0.0.1:80] }, web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E201 5:20 route #2 sends to service `wbe`, which does not exist
  = services: api, web (did you mean `web`?)
"#,
    );
}

#[test]
fn no_services() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { host: a, to: api }
"#,
        r#"
E201 4:20 route #1 sends to service `api`, which does not exist
  = services: there are none
"#,
    );
}

#[test]
fn overlaps() {
    check(
        r#"
version: 1
admin: { bind: "127.0.0.1:80", socket: /run/a.sock }
listeners:
  a: { bind: ":80" }
  b: { bind: "[::]:80" }
  c: { bind: ["0.0.0.0:81", "[::]:81", "127.0.0.1:0", "127.0.0.1:0"] }
  d: { bind: ["127.0.0.1:81", "unix:/run/a.sock"] }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E203 2:16 `127.0.0.1:80` overlaps with `:80`
  = the other one: f.yaml:4:14
  = `:PORT` takes IPv4 and IPv6; for one family: `0.0.0.0:PORT` or `[::]:PORT`
E203 2:40 the unix socket `/run/a.sock` is given twice
  = the other one: f.yaml:7:31
E203 5:14 `[::]:80` overlaps with `:80`
  = the other one: f.yaml:4:14
  = `:PORT` takes IPv4 and IPv6; for one family: `0.0.0.0:PORT` or `[::]:PORT`
E203 7:15 `127.0.0.1:81` overlaps with `0.0.0.0:81`
  = the other one: f.yaml:6:15
"#,
    );
}

#[test]
fn duplicate_routes() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { host: [a.example, b.example], path: /x, to: web }
  - { host: B.example., path: /x/, to: web }
  - { host: c, match: { method: [GET, POST], query: { v: "1" } }, to: web }
  - { host: c, match: { method: [POST, GET], query: { v: "1" } }, redirect: https }
  - { path: { regex: "^/a" }, to: web }
  - { path: { regex: "^/a" }, to: web }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E204 5:5 another route has host `b.example`, path `/x`
  = the other one: f.yaml:4:5
E204 7:5 another route has host `c` and these matchers
  = the other one: f.yaml:6:5
E204 9:5 another route has every host, path `^/a`
  = the other one: f.yaml:8:5
"#,
    );
}

#[test]
fn shadowed_routes() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { host: a, match: { method: [GET, POST] }, to: web }
  - { host: a, match: { method: GET }, redirect: https }
  - { host: b, path: { regex: "^/" }, to: web }
  - { host: b, path: /x, redirect: https }
  - { host: c, path: /, to: web }
  - { host: c, redirect: https }
  - { path: { regex: ".*" }, to: web }
  - { path: { regex: "^/r" }, match: { method: PUT }, redirect: https }
  - { host: d, match: { headers: { x: { present: true } } }, to: web }
  - { host: d, match: { headers: { x: "1" } }, redirect: https }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E205 5:5 this route is never chosen: an earlier one matches all its requests
  = the earlier one: f.yaml:4:5
  = earlier is: host (exact, longest wildcard, any), path (exact, regex in file order, longest prefix), more matchers, file order
E205 7:5 this route is never chosen: an earlier one matches all its requests
  = the earlier one: f.yaml:6:5
  = earlier is: host (exact, longest wildcard, any), path (exact, regex in file order, longest prefix), more matchers, file order
E205 9:5 this route is never chosen: an earlier one matches all its requests
  = the earlier one: f.yaml:8:5
  = earlier is: host (exact, longest wildcard, any), path (exact, regex in file order, longest prefix), more matchers, file order
E205 11:5 this route is never chosen: an earlier one matches all its requests
  = the earlier one: f.yaml:10:5
  = earlier is: host (exact, longest wildcard, any), path (exact, regex in file order, longest prefix), more matchers, file order
E205 13:5 this route is never chosen: an earlier one matches all its requests
  = the earlier one: f.yaml:12:5
  = earlier is: host (exact, longest wildcard, any), path (exact, regex in file order, longest prefix), more matchers, file order
"#,
    );
}

#[test]
fn never_matches() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { to: web, path: /a//b }
  - { to: web, path: { exact: /a/../b } }
  - { to: web, path: /%7Eme }
  - { to: web, path: /../x }
  - { to: web, path: /y, rewrite: { strip_prefix: /y/./z } }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E206 4:22 `/a//b` is never seen: requests are normalised before matching
  = its normal form is `/a/b`
E206 5:31 `/a/../b` is never seen: requests are normalised before matching
  = its normal form is `/b`
E206 6:22 `/%7Eme` is never seen: requests are normalised before matching
  = its normal form is `/~me`
E206 7:22 `/../x` is refused in requests, and can never match
  = not allowed are `%` without two hexadecimal digits, `%00`, and `..` above the root
E206 8:51 `/y/./z` is never seen: requests are normalised before matching
  = its normal form is `/y/z`
"#,
    );
}

#[test]
fn reserved_fields() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - to: web
    headers:
      request: { set: { Host: a }, add: { Content-Length: "1" }, remove: [Connection, TE] }
      response: { set: { transfer-encoding: gzip, host: ok }, remove: upgrade }
  - { path: /r, respond: { status: 200, headers: { content-length: "5" } } }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E207 6:25 the field `host` cannot be changed: it is what the request was routed by
  = the balancer writes it by itself, so that both sides read the same message
E207 6:43 the field `content-length` cannot be changed: it frames the message
  = the balancer writes it by itself, so that both sides read the same message
E207 6:75 the field `connection` cannot be changed: it concerns one connection alone
  = the balancer writes it by itself, so that both sides read the same message
E207 6:87 the field `te` cannot be changed: it frames the message
  = the balancer writes it by itself, so that both sides read the same message
E207 7:26 the field `transfer-encoding` cannot be changed: it frames the message
  = the balancer writes it by itself, so that both sides read the same message
E207 7:71 the field `upgrade` cannot be changed: it concerns one connection alone
  = the balancer writes it by itself, so that both sides read the same message
E207 8:52 the field `content-length` cannot be changed: it frames the message
  = the balancer writes it by itself, so that both sides read the same message
"#,
    );
}

#[test]
fn duplicate_endpoints() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80, 10.0.0.2:80, 10.0.0.1:80, { id: "10.0.0.2:80", address: "10.0.0.3:80" }] } }
"#,
        r#"
E208 4:58 the endpoint `10.0.0.1:80` is given twice
  = first in f.yaml:4:32
  = for two shares of traffic give one endpoint a `weight`
E208 4:77 the endpoint `10.0.0.2:80` is given twice
  = first in f.yaml:4:45
  = for two shares of traffic give one endpoint a `weight`
"#,
    );
}

#[test]
fn secrets() {
    check(
        r#"
version: 1
admin: { token: "file:/nonexistent/token" }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E209 2:17 cannot read `/nonexistent/token`: it does not exist
"#,
    );
}

#[test]
fn secret_with_spaces() {
    check(
        r#"
version: 1
admin: { token: "two words" }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E209 2:17 the token holds more than printable ASCII, which a bearer token cannot (RFC 6750 §2.1)
"#,
    );
}

#[test]
fn secret_empty() {
    check(
        r#"
version: 1
admin: { token: "" }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E209 2:17 the token is empty
"#,
    );
}

#[test]
fn secret_of_a_wrong_kind() {
    check(
        r#"
version: 1
admin: { bnd: x, token: 123456 }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E103 2:10 unknown field `bnd`, did you mean `bind`?
  = allowed here: bind, socket, token
E102 2:25 expected text
  = quote a secret that looks like a number
"#,
    );
}

#[test]
fn no_listener() {
    check(
        r#"
version: 1
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E210 1:1 there is no listener, so nothing would be served
  = like `listeners: { web: { bind: ":8080" } }`
"#,
    );
}

#[test]
fn no_listener_in_section() {
    check(
        r#"
version: 1
listeners: {}
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E210 2:1 there is no listener, so nothing would be served
  = like `listeners: { web: { bind: ":8080" } }`
"#,
    );
}

#[test]
fn conflicts() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":80", http: { headers: 4KiB, header_field: 8KiB } } }
routes:
  - { to: web }
  - { path: /a, redirect: https, rewrite: { strip_prefix: /a } }
  - { path: /b, respond: { status: 204, body: x }, headers: { request: { set: { x: "1" } } } }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E211 2:57 `header_field` is larger than `headers`, the block that holds all fields
E211 5:34 `rewrite` means something only together with `to`
E211 6:47 a response with status 204 has no body
E211 6:52 `headers.request` means something only together with `to`
"#,
    );
}

#[test]
fn route_names() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { name: a, path: /1, to: web }
  - { name: a, path: /2, to: web }
  - { path: /3, to: web }
  - { path: { exact: /3 }, to: web }
  - { name: "*/4", path: /5, to: web }
  - { path: /4, to: web }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E212 5:13 another route has the name `a`
  = the other one: f.yaml:4:13
E212 9:5 another route has the name `*/4`
  = the other one: f.yaml:8:13
  = give this route one of its own with `name: …`
"#,
    );
}

#[test]
fn long_route_name() {
    let path = "a".repeat(520);
    check(
        &format!(
            "version: 1\nlisteners: {{ web: {{ bind: \":80\" }} }}\nroutes: [{{ redirect: https, path: /{path} }}]\n"
        ),
        "E110 3:10 the name made of host, path and matchers is longer than 512 bytes\n  \
         = give the route a shorter one with `name: …`\n",
    );
}

#[test]
fn large_body() {
    let yaml = |size: usize| {
        let body = "a".repeat(size);
        format!(
            "version: 1\nlisteners: {{ web: {{ bind: \":80\" }} }}\nroutes: [{{ respond: {{ status: 200, body: {body} }} }}]\n"
        )
    };
    check(&yaml(65_536), "");
    check(&yaml(65_537), "E107 3:42 the body is larger than 64KiB\n");
}

#[test]
fn many_conditions() {
    let headers: Vec<String> = (0..65).map(|number| format!("x-{number}: \"1\"")).collect();
    let yaml = format!(
        "version: 1\nlisteners: {{ web: {{ bind: \":80\" }} }}\nroutes: [{{ redirect: https, match: {{ headers: {{ {} }} }} }}]\n",
        headers.join(", ")
    );
    check(&yaml, "E107 3:38 `headers` has 65 entries, more than 64\n");
}
