//! Errors of single values: what a duration, an address, a path looks like.

use crate::check;

#[test]
fn durations() {
    check(
        r#"
version: 1
shutdown: { pre_stop: 1.5s, deadline: 9000h }
listeners: { web: { bind: ":80", timeouts: { header: 5, body_idle: off, keep_alive: 0s } } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80], timeouts: { connect: false, response_header: , response_idle: 5 min, stream_idle: [1h] } } }
"#,
        r#"
E105 2:23 `1.5s` is not a duration: numbers are whole
  = 1.5 seconds are `1s500ms`
E107 2:39 `9000h` is longer than a year, `8760h`
  = no limit is written `none`, where that is possible
E105 3:54 `5` is not a duration: the unit is missing
  = did you mean `5s` or `5ms`?
  = durations are whole numbers with units h, m, s, ms: `5s`, `250ms`, `1m30s`
E104 3:68 `off` is not known here
  = no limit is written `none`
E107 3:85 `0s` would be over at once
  = the least duration here is `1ms`; no limit is written `none`, where that is possible
E102 5:67 expected a value or `none`, found the boolean `false`
  = no limit is written `none`
E102 5:89 expected a value or `none`, found nothing
  = no limit is written `none`
E105 5:108 `5 min` is not a duration: no spaces within
  = did you mean `5m`?
  = durations are whole numbers with units h, m, s, ms: `5s`, `250ms`, `1m30s`
E102 5:128 expected a duration like `5s` or `250ms`, found a list
"#,
    );
}

#[test]
fn sizes() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":80", http: { request_line: 8192, header_field: 16k, headers: 512B, body: unlimited } } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E106 2:56 `8192` is not a size: the unit is missing
  = did you mean `8KiB`? bytes are `8192B`
  = sizes are whole numbers with units: `64KiB` (1024), `1KB` (1000), `8MiB`, `1GiB`, `512B`
E106 2:76 `16k` is not a size
  = did you mean `16KiB`?
  = sizes are whole numbers with units: `64KiB` (1024), `1KB` (1000), `8MiB`, `1GiB`, `512B`
E107 2:90 `512B` is not from 1KiB to 1MiB
E104 2:102 `unlimited` is not known here
  = no limit is written `none`
"#,
    );
}

#[test]
fn numbers() {
    check(
        r#"
version: 1
workers: 0
metrics: { max_series: -1 }
listeners: { web: { bind: ":80", limits: { connections: 0 }, http: { header_count: 5000 } } }
routes: [{ to: web }]
services: { web: { endpoints: [{ address: "10.0.0.1:80", weight: 70000 }] } }
"#,
        r#"
E107 2:10 `0` is not from 1 to 1024
E107 3:24 `-1` is not from 1 to 100000000
E107 4:57 `0` is not from 1 to 4294967295
E107 4:84 `5000` is not from 8 to 1000
E107 6:66 `70000` is not from 1 to 65535
"#,
    );
}

#[test]
fn addresses() {
    check(
        r#"
version: 1
admin: { bind: ":9901", socket: admin.sock }
listeners: { web: { bind: [80, "localhost:80", "10.0.0.1", "unix:web.sock"] } }
routes: [{ to: web }]
services: { web: { endpoints: ["app.internal", 10.0.0.1, "10.0.0.1:0", "unix:a", 9000] } }
"#,
        r#"
E109 2:16 `:9901` names no IP address
  = did you mean `127.0.0.1:9901`? for every interface: `0.0.0.0:9901`
E109 2:33 `admin.sock` is not an absolute path of at most 107 bytes, as a unix socket needs
E109 3:28 `80` is not an address to listen on
  = did you mean `:80`?
  = addresses look like `:80`, `127.0.0.1:80`, `[::1]:80` or `unix:/run/fulcrum/http.sock`
E109 3:32 `localhost:80` is not an address to listen on
  = did you mean `127.0.0.1:80`?
  = addresses look like `:80`, `127.0.0.1:80`, `[::1]:80` or `unix:/run/fulcrum/http.sock`
E109 3:48 `10.0.0.1` is not an address to listen on
  = the port is missing: did you mean `10.0.0.1:80`?
  = addresses look like `:80`, `127.0.0.1:80`, `[::1]:80` or `unix:/run/fulcrum/http.sock`
E109 3:60 `unix:web.sock` is not an absolute path of at most 107 bytes, as a unix socket needs
E109 5:32 `app.internal` has no port
  = did you mean `app.internal:80`?
  = addresses look like `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080` or `unix:/run/app.sock`
E109 5:48 `10.0.0.1` has no port
  = did you mean `10.0.0.1:80`?
  = addresses look like `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080` or `unix:/run/app.sock`
E109 5:58 `10.0.0.1:0` has port 0, to which nobody can connect
  = addresses look like `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080` or `unix:/run/app.sock`
E109 5:72 `unix:a` is not the address of a unix socket
  = expected `unix:` and an absolute path of at most 107 bytes
E109 5:82 `9000` is not an address
  = addresses look like `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080` or `unix:/run/app.sock`
"#,
    );
}

#[test]
fn names() {
    check(
        r#"
version: 1
listeners: { "a b": { bind: ":80" } }
routes: [{ to: web, name: "" }]
services: { web: { endpoints: [10.0.0.1:80, { id: "a\nb", address: "10.0.0.2:80" }] }, "ä": { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E110 2:14 `a b` is not a name: ' ' is not allowed in this name
E110 3:27 empty text is not a name: a name has 1 to 512 bytes
E110 4:51 `a�b` is not a name: '\n' is not allowed in this name
E110 4:88 `ä` is not a name: 'ä' is not allowed in this name
"#,
    );
}

#[test]
fn networks() {
    check(
        r#"
version: 1
trusted_proxies: [10.0.0.1/8, intern]
listeners: { web: { bind: ":8080" } }
routes: [{ to: web, match: { source: 10.0.0.0/33 } }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E111 2:19 `10.0.0.1/8` has bits beyond its prefix length
  = did you mean `10.0.0.0/8` or `10.0.0.1`?
E111 2:31 `intern` is not a network
  = networks look like `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`
E111 4:38 `10.0.0.0/33` is not a network
  = networks look like `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`
"#,
    );
}

#[test]
fn hosts() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { to: web, host: "a.example.com:80" }
  - { to: web, host: ["*.*.example.com", bücher.example] }
  - { to: web, host: ["*", b.example] }
  - { to: web, host: [c.example, C.example.] }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E112 4:22 `a.example.com:80` has a port
  = did you mean `a.example.com`?
  = a host matches on every port of the listener
E112 5:23 `*.*.example.com` has `*` where it is not allowed
  = `*.example.com` matches every name below example.com, `*` every host
E112 5:42 `bücher.example` is not ASCII
  = clients send international names in punycode, like `xn--bcher-kva.example`: write that
E211 6:23 `*` matches every host, so the others say nothing
E204 7:34 this host is listed twice
"#,
    );
}

#[test]
fn paths() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { to: web, path: api }
  - { to: web, path: /api/* }
  - { to: web, path: "/a?b=c" }
  - { to: web, path: { exact: /a, regex: b } }
  - { to: web, path: {} }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E113 4:22 `api` does not begin with `/`
  = did you mean `/api`?
E113 5:22 `/api/*` ends with `*`, which has no special meaning
  = a path matches everything below it: `/api` matches `/api/x`; also `{ exact: … }`, `{ regex: … }`
E113 6:22 `/a?b=c` holds '?', which no path has
  = queries are matched with `match: { query: … }`
E117 7:35 exactly one of `exact`, `regex` is needed, found `exact` and `regex`
E117 8:22 exactly one of `exact`, `regex` is needed, found none
"#,
    );
}

#[test]
fn regexes() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { to: web, path: { regex: "(" } }
  - { to: web, match: { query: { q: { regex: "" } } } }
  - { to: web, match: { headers: { x: { regex: "(a{1000}){1000}" } } } }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E114 4:31 `(` is not a regular expression
  = unclosed group
E116 5:46 empty text would match everything
  = leave the condition out to match everything
E114 6:48 `(a{1000}){1000}` needs more than 1 MiB when compiled
"#,
    );
}

#[test]
fn fields() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { to: web, match: { method: [get, "G T", CONNECT], headers: { "x y": "1" }, cookies: { "a b": "1" } } }
  - { to: web, path: /a, headers: { request: { set: { "x:": "1", x-a: "a\r\nb: c" }, remove: [""] }, response: { add: { x-a: " a" } } } }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E115 4:34 `get` is not a method: methods are case-sensitive
  = did you mean `GET`?
E115 4:39 `G T` is not a method: it holds ' '
E206 4:46 `CONNECT` is refused in requests, and can never match
E115 4:67 `x y` is not the name of a header field: it holds ' '
E115 4:92 `a b` is not the name of a cookie: it holds ' '
E115 5:55 `x:` is not the name of a header field: it holds ':'
E115 5:71 the value holds '\r', which no field value may hold
E115 5:95 empty text is not the name of a header field: it is empty
E115 5:126 the value begins or ends with a space, which no field value does
"#,
    );
}

#[test]
fn redirects() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { host: a, to: web }
  - { host: b, redirect: www.example.com }
  - { host: c, redirect: { to: https, status: 304 } }
  - { host: d, redirect: { to: https, status: 200 } }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E118 5:26 `www.example.com` is no target of a redirect
  = allowed here: `https`, an origin like `https://example.com`, a URL, a path that begins with `/`
E107 6:47 `304` is not the status of a redirect
  = allowed here: 301, 302, 303, 307, 308
E107 7:47 `200` is not from 301 to 308
"#,
    );
}

#[test]
fn hash_keys() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: a }]
services:
  a: { endpoints: [10.0.0.1:80], balance: { policy: ring, key: sorce } }
  b: { endpoints: [10.0.0.1:80], balance: { policy: maglev, key: "header:x y" } }
  c: { endpoints: [10.0.0.1:80], balance: { policy: random, key: path } }
"#,
        r#"
E119 5:64 `sorce` is nothing to hash by, did you mean `source`?
  = allowed here: source, path, header:NAME, cookie:NAME, query:NAME
E119 6:66 `header:x y` names no header: it holds ' '
  = allowed here: source, path, header:NAME, cookie:NAME, query:NAME
E211 7:66 `key` means something only to `ring` and `maglev`
"#,
    );
}

#[test]
fn access_log() {
    check(
        r#"
version: 1
log: { access: { path: stdot, format: jsn } }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E104 2:24 `stdot` is no place for the access log, did you mean `stdout`?
  = allowed here: none, stdout, or the path of a file like `/var/log/fulcrum/access.log`
E120 2:39 `jsn` is no format for the access log, did you mean `json`?
  = allowed here: json, clf, or a template like `{method} {target} {status}`
"#,
    );
}

#[test]
fn access_log_template() {
    check(
        r#"
version: 1
log: { access: { path: /a, format: "{methd} {status" } }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E120 2:36 a record has no field `methd`, did you mean `method`?
  = fields: time, listener, client, peer, method, target, host, protocol, status, bytes_in, bytes_out, duration, route, service, endpoint, attempts, upstream_status, time_head, time_connect, time_first_byte, time_response, request_id, user_agent, referer, reason
E120 2:36 the template has a brace without its counterpart
"#,
    );
}

#[test]
fn access_log_stderr() {
    check(
        r#"
version: 1
log: { access: stderr }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E104 2:16 `stderr` is no place for the access log
  = allowed here: none, stdout, or the path of a file like `/var/log/fulcrum/access.log`
  = standard error carries the diagnostics
"#,
    );
}
