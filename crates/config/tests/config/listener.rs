//! Listeners that speak TCP, and the process as a whole.

use crate::{check, good};

/// Errors of a configuration with an HTTP route to `web` and this rest.
fn refused(rest: &str, expected: &str) {
    let rest = rest.trim_start_matches('\n');
    check(&format!("version: 1\nroutes: [{{ to: web }}]\n{rest}"), expected.trim_start_matches('\n'));
}

#[test]
fn a_tcp_listener_needs_a_service() {
    refused(
        r#"
listeners:
  web: { bind: ":80" }
  db: { bind: ":1", protocol: tcp }
  pg: { bind: ":2", protocol: tcp, to: pgs }
  my: { bind: ":3", protocol: tcp, too: pg }
services: { web: { endpoints: [10.0.0.1:80] }, pg: { endpoints: [10.0.0.1:5432] } }
"#,
        r#"
E101 5:7 the key `to` is missing
  = a tcp listener sends every connection to one service
E201 6:40 listener `pg` sends to service `pgs`, which does not exist
  = services: web, pg (did you mean `pg`?)
E103 7:36 unknown field `too`, did you mean `to`?
  = allowed here: bind, http, limits, protocol, redirect, timeouts, to
"#,
    );
}

#[test]
fn keys_belong_to_one_protocol() {
    refused(
        r#"
listeners:
  web: { bind: ":80", to: web }
  db:
    bind: ":1"
    protocol: tcp
    to: pg
    redirect: https
    http: { body: 1MiB }
    timeouts: { header: 1s, body_idle: none, keep_alive: 1s }
services: { web: { endpoints: [10.0.0.1:80] }, pg: { endpoints: [10.0.0.1:5432] } }
"#,
        r#"
E211 4:23 `to` means something only to tcp listeners
  = where requests go is said by `routes`; for connections add `protocol: tcp`
E211 9:5 `redirect` means something only to http listeners
E211 10:5 `http` means something only to http listeners
E211 11:17 `timeouts.header` means something only to http listeners
E211 11:29 `timeouts.body_idle` means something only to http listeners
E211 11:46 `timeouts.keep_alive` means something only to http listeners
"#,
    );
}

#[test]
fn a_misspelt_protocol_is_told_once() {
    refused(
        r#"
listeners:
  web: { bind: ":80" }
  db: { bind: ":1", protocol: tpc, to: pg }
services: { web: { endpoints: [10.0.0.1:80] }, pg: { endpoints: [10.0.0.1:5432] } }
"#,
        r#"
E104 5:31 `tpc` is not known here, did you mean `tcp`?
  = allowed here: http, tcp
"#,
    );
}

#[test]
fn connections_have_no_cookies() {
    refused(
        r#"
listeners:
  web: { bind: ":80" }
  db: { bind: ":1", protocol: tcp, to: pg }
  both: { bind: ":2", protocol: tcp, to: web }
services:
  web: { endpoints: [10.0.0.1:80], sticky: cookie, balance: { policy: ring, key: "header:x-user" } }
  pg: { endpoints: [10.0.0.1:5432], sticky: cookie, balance: { policy: maglev, key: source } }
"#,
        r#"
E211 8:82 `header:x-user` is part of a request, but the tcp listener `both` sends to this service
  = connections have only a `source`
E211 9:37 `sticky` needs HTTP, but only the tcp listener `db` sends to this service
  = a connection keeps to its client with `balance: { policy: ring, key: source }`
"#,
    );
}

#[test]
fn an_unread_route_may_use_any_service() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":80" }, db: { bind: ":1", protocol: tcp, to: pg } }
routes: [{ to: 5 }]
services: { pg: { endpoints: [10.0.0.1:5432], sticky: cookie } }
"#,
        r#"
E102 3:16 expected text, found the number `5`
  = quote it to make it text: `"5"`
"#,
    );
}

#[test]
fn connections_use_a_service_and_need_no_routes() {
    let config = good(
        "version: 1\nlisteners: { db: { bind: \":1\", protocol: tcp, to: pg } }\nservices: { pg: { endpoints: [10.0.0.1:5432] } }\n",
    );
    assert!(config.routes.is_empty());
    check(
        r#"
version: 1
listeners: { db: { bind: ":1", protocol: tcp, to: pg } }
services: { pg: { endpoints: [10.0.0.1:5432] }, idle: { endpoints: [10.0.0.1:5433] } }
"#,
        "W302 3:49 nothing uses the service `idle`\n",
    );
}

#[test]
fn the_process_as_a_whole() {
    refused(
        r#"
state_dir: state
overload: { memory: 0%, connections: 0 }
listeners: { web: { bind: ":80", limits: { connections_per_source: 0 } } }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E113 3:12 `state` is not an absolute path
  = like `/var/lib/fulcrum`
E107 4:21 `0%` is not from 1% to 100%
E107 4:38 `0` is not from 1 to 9223372036854775807
E107 5:68 `0` is not from 1 to 4294967295
"#,
    );
    let config = good(
        "version: 1\noverload: { memory: none }\nlisteners: { web: { bind: \":80\", redirect: https } }\n",
    );
    assert_eq!(config.overload.memory, None);
}
