//! Where services find endpoints.

use std::time::Duration;

use fulcrum_config::Discovery;
use fulcrum_model::{Pull, Source};

use crate::{check, good};

fn discovered(discovery: &str) -> Source {
    let config = good(&format!(
        "\nversion: 1\nlisteners: {{ web: {{ bind: \":8080\" }} }}\nroutes: [{{ to: web }}]\n\
         services: {{ web: {{ discovery: {{ {discovery} }} }} }}\n"
    ));
    match config.services[0].discovery.clone() {
        Some(Discovery::Source(source)) => source,
        other => panic!("no source: {other:?}"),
    }
}

#[test]
fn every_source() {
    let pull = |interval, timeout| {
        Source::Http(Pull {
            url: "http://sd:8080/web".parse().expect("a URL"),
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(timeout),
        })
    };
    let rows = [
        ("dns: \"App.internal:80\"", Source::Dns("app.internal:80".parse().expect("a name"))),
        ("srv: _http._tcp.App.internal", Source::Srv("_http._tcp.app.internal".parse().expect("a name"))),
        ("file: /etc/web.json", Source::File("/etc/web.json".into())),
        ("http: \"http://sd:8080/web\"", pull(10, 5)),
        ("http: { url: \"http://sd:8080/web\", interval: 1m, timeout: 1s }", pull(60, 1)),
    ];
    for (text, expected) in rows {
        assert_eq!(discovered(text), expected, "{text}");
    }
}

#[test]
fn mistakes() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: a }, { path: /b, to: b }, { path: /c, to: c }, { path: /d, to: d }, { path: /e, to: e }]
services:
  a: { discovery: {} }
  b: { discovery: { dns: "b:80", file: /b.json } }
  c: { discovery: { http: "https://sd/web" } }
  d: { discovery: { http: { url: "http://sd/web", interval: 10ms } } }
  e: { discovery: { file: web.json } }
"#,
        r#"
E117 5:19 exactly one of `registry`, `dns`, `srv`, `file`, `http` is needed, found none
E117 6:34 exactly one of `registry`, `dns`, `srv`, `file`, `http` is needed, found `dns` and `file`
E125 7:27 `https://sd/web` is asked over TLS, which is not possible yet
  = a URL begins with `http://`; for TLS put a proxy of this machine before the server
E107 8:61 `10ms` is not from 1s to 1h
E113 9:27 `web.json` is not the absolute path of a file
  = it begins with `/`, and ends with the name of the file
"#,
    );
}
