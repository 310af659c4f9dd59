//! How errors look to people and to machines.

use fulcrum_config::load_text;
use serde_json::json;

use crate::env;

const YAML: &str = r#"version: 1
admin: { bind: "0.0.0.0:9901", token: hunter22 }
listeners:
  web:
    bind: ":8080"
    timeouts: { header: 5 }
routes:
  - host: shop.example.com
    to: wbe
services:
  web:
    endpoints: [10.0.0.1:80]
    heath: /healthz
    balnce: random
  api: { endpoints: [api.internal], pool: { max_idl: 1 } }
"#;

#[test]
fn one_pass_finds_everything_and_prints_it_with_its_source() {
    let report = load_text("/etc/fulcrum/fulcrum.yaml", YAML, &env).expect_err("there are errors");
    let expected = "\
error[E105]: `5` is not a duration: the unit is missing
 --> /etc/fulcrum/fulcrum.yaml:6:25
  |
6 |     timeouts: { header: 5 }
  |                         ^
  = did you mean `5s` or `5ms`?
  = durations are whole numbers with units h, m, s, ms: `5s`, `250ms`, `1m30s`
error[E201]: route #1 sends to service `wbe`, which does not exist
 --> /etc/fulcrum/fulcrum.yaml:9:9
  |
9 |     to: wbe
  |         ^^^
  = services: web, api (did you mean `web`?)
error[E103]: unknown field `heath`, did you mean `health`?
  --> /etc/fulcrum/fulcrum.yaml:13:5
   |
13 |     heath: /healthz
   |     ^^^^^
   = allowed here: balance, discovery, drain, endpoints, health, limits, outlier, panic, pool, retry, slow_start, sticky, timeouts
error[E103]: unknown field `balnce`, did you mean `balance`?
  --> /etc/fulcrum/fulcrum.yaml:14:5
   |
14 |     balnce: random
   |     ^^^^^^
   = allowed here: balance, discovery, drain, endpoints, health, limits, outlier, panic, pool, retry, slow_start, sticky, timeouts
error[E109]: `api.internal` has no port
  --> /etc/fulcrum/fulcrum.yaml:15:22
   |
15 |   api: { endpoints: [api.internal], pool: { max_idl: 1 } }
   |                      ^^^^^^^^^^^^
   = did you mean `api.internal:80`?
   = addresses look like `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080` or `unix:/run/app.sock`
error[E103]: unknown field `max_idl`, did you mean `max_idle`?
  --> /etc/fulcrum/fulcrum.yaml:15:45
   |
15 |   api: { endpoints: [api.internal], pool: { max_idl: 1 } }
   |                                             ^^^^^^^
   = allowed here: idle, max_age, max_idle, max_requests
6 errors
";
    assert_eq!(report.to_text(), expected);
    assert_eq!(report.to_string(), expected);
    assert_eq!(report.summary(), "6 errors");
}

#[test]
fn machines_get_the_same_as_json() {
    let yaml = "version: 1\nlisteners: { web: { bind: 80 } }\n";
    let report = load_text("f.yaml", yaml, &env).expect_err("an error");
    let expected = json!([{
        "code": "E109",
        "severity": "error",
        "message": "`80` is not an address to listen on",
        "file": "f.yaml",
        "line": 2,
        "column": 27,
        "notes": [
            "did you mean `:80`?",
            "addresses look like `:80`, `127.0.0.1:80`, `[::1]:80` or `unix:/run/fulcrum/http.sock`"
        ],
    }]);
    assert_eq!(report.to_json(), expected);
    let empty = load_text("f.yaml", "", &env).expect_err("an error").to_json();
    assert_eq!((&empty[0]["line"], &empty[0]["column"]), (&json!(null), &json!(null)));
}

#[test]
fn secrets_are_never_printed() {
    let check = |yaml: &str| {
        let report = match load_text("f.yaml", yaml, &env) {
            Ok(loaded) => {
                assert!(!format!("{:?}", loaded.config).contains("hunter2"), "{yaml}");
                loaded.warnings
            }
            Err(report) => report,
        };
        let all = format!("{report}{:?}{}", report, report.to_json());
        assert!(!all.contains("hunter2"), "{yaml}\n{report}");
    };
    check(YAML);
    check("admin: { token: hunter2, bnd: x }\n");
    check("admin: { token: hunter2, bind: [ }\n");
    check("admin:\n  token: 'hunter2 x'\n");
    check("admin:\n  token: |\n    hunter2 x\n");
    check("admin:\n  token: [hunter2]\n");
    check("gslb: { bind: \":53\", cookie_keys: hunter2 }\n");
    check("gslb: { bind: \":53\", cookie_keys: [hunter2, 5] }\n");
    check("admin: { token: \"${WORD}\", bnd: x }\n");
    check(
        "admin: { socket: \"${WORD}\", bind: \"${WORD}\" }\nworkers: ${WORD}\nlog: { level: \"${WORD}\" }\n",
    );
    check("version: 1\nlisteners: { web: { bind: \"${WORD}\" } }\n");
    check(
        "version: 1\nlisteners: { web: { bind: \":80\" } }\nroutes: [{ to: x, headers: { request: { set: { authorization: \"hunter2\\n\" } } } }]\n",
    );
    check("version: 1\nlisteners: { web: { bind: \":80\" } }\nadmin: { token: hunter2 }\n");
    let keys =
        |keys: &str| check(&format!("services: {{ web: {{ bad: 1, sticky: {{ cookie: {keys} }} }} }}\n"));
    keys("{ keys: hunter2, bad: 1 }");
    keys("{ keys: [hunter2], bad: 1 }");
    keys("{ keys: [\"${WORD}\"], bad: 1 }");
    keys("{ keys: { hunter2: 1 } }");
    keys("{ bad: 1, keys: [a, hunter2 }");
    check(
        "services:\n  web:\n    sticky:\n      cookie:\n        keys:\n          - hunter2\n          - bad: [hunter2]\n",
    );
    check(
        "services:\n  web:\n    sticky:\n      cookie:\n        keys:\n          - a\n          - \"hunter2 }\n",
    );
    check("services: { web: &a { sticky: { cookie: { keys: [hunter2] } } }, api: *a, bad: 1 }\n");
}

#[test]
fn the_terminal_is_not_obeyed() {
    let report = load_text("f.yaml", "\"\\e[31mred\": 1\n", &env).expect_err("an error");
    assert!(!report.to_text().contains('\u{1b}'), "{report}");
}
