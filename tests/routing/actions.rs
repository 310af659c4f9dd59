//! What we answer ourselves.

use crate::harness::{Client, Fulcrum, Setup, Upstream};

use super::{answering, get};

#[test]
fn without_a_route_there_is_nothing() {
    let fulcrum = answering(&[("only", "host: known.test")]);
    let mut client = fulcrum.connect();
    let response = get(&mut client, "unknown.test", "/");
    assert_eq!((response.status, response.field("content-type")), (404, Some("text/plain; charset=utf-8")));
    let text = response.text();
    assert!(text.starts_with("404 Not Found\nreason: no_route\nrequest-id: "), "{text}");
    fulcrum.await_errors("no_route", 1);
    let record = &fulcrum.records(1)[0];
    assert_eq!(
        (&record["reason"], &record["route"]),
        (&"no_route".into(), &serde_json::Value::Null),
        "{record}"
    );
    assert!(text.contains(record["request_id"].as_str().expect("an id")), "{text} {record}");
    assert_eq!(get(&mut client, "known.test", "/").text(), "only", "the connection goes on");
}

#[test]
fn fixed_responses_are_what_they_say() {
    let unused = Upstream::named("unused");
    let setup = Setup::new(&unused)
        .route("{ host: unused.invalid, to: app }")
        .route("{ path: /robots.txt, respond: { status: 200, body: \"User-agent: *\", headers: { content-type: text/plain, x-a: b } } }")
        .route("{ path: /gone, respond: { status: 410 } }")
        .route("{ path: /empty, respond: { status: 204 } }");
    let fulcrum = setup.start();
    let mut client = fulcrum.connect();
    let robots = client.get("/robots.txt");
    assert_eq!((robots.status, robots.text().as_str()), (200, "User-agent: *"));
    assert_eq!((robots.field("content-type"), robots.field("x-a")), (Some("text/plain"), Some("b")));
    let gone = client.get("/gone");
    assert_eq!((gone.status, gone.text().as_str(), gone.field("content-length")), (410, "", Some("0")));
    assert_eq!(client.get("/empty").status, 204);
    assert_eq!(unused.connections(), 0);
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0, "meant so");
}

#[test]
fn redirects_lead_where_they_say() {
    let unused = Upstream::named("unused");
    let setup = Setup::new(&unused)
        .route("{ host: unused.invalid, to: app }")
        .route("{ path: /secure, redirect: https }")
        .route("{ path: /origin, redirect: \"https://new.test:8443\" }")
        .route("{ path: /place, redirect: { to: \"https://new.test/here?a=b\", status: 302 } }")
        .route("{ path: /path, redirect: { to: /elsewhere, status: 303 } }");
    let fulcrum = setup.start();
    let mut client = fulcrum.connect();
    for (host, target, status, location) in [
        ("test", "/secure/x?y=z", 308, "https://test/secure/x?y=z"),
        ("test:8080", "/secure", 308, "https://test/secure"),
        ("test", "/origin/x?y=z", 308, "https://new.test:8443/origin/x?y=z"),
        ("test", "/place/x?y=z", 302, "https://new.test/here?a=b"),
        ("test", "/path/x?y=z", 303, "/elsewhere"),
        ("[::1]:80", "/secure", 308, "https://[::1]/secure"),
        // Nobody is led to another host by a target.
        ("test", "/secure//evil.test/..//evil.test", 308, "https://test/secure/evil.test"),
    ] {
        let response = get(&mut client, host, target);
        assert_eq!((response.status, response.field("location")), (status, Some(location)), "{host}{target}");
    }
}

#[test]
fn a_listener_can_redirect_everything_to_https() {
    let upstream = Upstream::named("app");
    let yaml = format!(
        "listeners:\n  web: {{ bind: \"127.0.0.1:0\" }}\n  plain: {{ bind: \"127.0.0.1:0\", redirect: https }}\n\
         routes: [{{ to: app }}]\nservices: {{ app: {{ endpoints: [\"{}\"] }} }}",
        upstream.address()
    );
    let fulcrum = Fulcrum::start(&yaml);
    let mut client = Client::connect(&fulcrum.addresses("plain")[0]);
    for (host, location) in [("test", "https://test/a?b=c"), ("Test:8080", "https://test/a?b=c")] {
        let response = get(&mut client, host, "/a?b=c");
        let given = response.field("location").expect("a location");
        assert_eq!((response.status, given.to_ascii_lowercase().as_str()), (308, location), "{host}");
    }
    assert_eq!(upstream.connections(), 0);
    assert_eq!(fulcrum.get("/").text(), "app");
}
