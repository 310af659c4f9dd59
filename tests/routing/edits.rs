//! What changes on the way to a service and back.

use crate::harness::{Setup, Upstream, ok};

use super::{get, request};

#[test]
fn prefixes_are_rewritten_on_the_way_upstream() {
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream)
        .route("{ path: /strip, to: app, rewrite: { strip_prefix: /strip } }")
        .route("{ path: /add, to: app, rewrite: { add_prefix: /v2 } }")
        .route("{ path: /both, to: app, rewrite: { strip_prefix: /both, add_prefix: /v2/x } }")
        .route("{ path: /, to: app, rewrite: { strip_prefix: /other } }");
    let fulcrum = setup.start();
    for (target, forwarded) in [
        ("/strip/a/b?c=/strip", "/a/b?c=/strip"),
        ("/strip", "/"),
        ("/strip/", "/"),
        ("/strip?a", "/?a"),
        ("/strip//a", "/a"),
        ("/strip/./a/../b", "/b"),
        ("/strip/strip/a", "/strip/a"),
        ("/add/a?b", "/v2/add/a?b"),
        ("/add", "/v2/add"),
        ("/both/a", "/v2/x/a"),
        ("/both", "/v2/x/"),
        ("/other/a", "/a"),
        // By whole segments.
        ("/otherwise", "/otherwise"),
    ] {
        assert_eq!(fulcrum.get(target).status, 200, "{target}");
        assert_eq!(upstream.last_request().target(), forwarded, "{target}");
        assert_eq!(fulcrum.record_of(target)["target"], target, "the log says what was asked for");
    }
}

#[test]
fn request_fields_are_edited() {
    let upstream = Upstream::named("app");
    let edits =
        "{ set: { x-set: new, x-both: set }, add: { x-add: more, x-both: added }, remove: [x-gone, x-both] }";
    let setup = Setup::new(&upstream).route(&format!("{{ to: app, headers: {{ request: {edits} }} }}"));
    let fulcrum = setup.start();
    let lines = "X-Set: 1\r\nX-Set: 2\r\nX-Add: 3\r\nX-Gone: 4\r\nx-GONE: 5\r\nX-Both: 6\r\nX-Kept: 7\r\n";
    assert_eq!(fulcrum.connect().ask(request("GET", "/", "test", lines)).status, 200);
    let head = upstream.only_request().head;
    for (name, values) in [
        ("x-set", vec!["new"]),
        ("x-add", vec!["3", "more"]),
        ("x-gone", vec![]),
        ("x-both", vec!["set", "added"]),
        ("x-kept", vec!["7"]),
    ] {
        assert_eq!(head.values(name), values, "{name}");
    }
}

#[test]
fn response_fields_are_edited() {
    let answer = "HTTP/1.1 200 OK\r\nServer: app/1.0\r\nX-Add: 3\r\nX-Set: 1\r\nX-Set: 2\r\nContent-Length: 2\r\n\r\nok";
    let upstream = Upstream::answering(answer);
    let edits = "{ set: { x-set: new, strict-transport-security: \"max-age=31536000\" }, add: { x-add: more }, remove: server }";
    let setup = Setup::new(&upstream)
        .route(&format!("{{ path: /app, to: app, headers: {{ response: {edits} }} }}"))
        .route(&format!(
            "{{ path: /own, respond: {{ status: 200, body: own }}, headers: {{ response: {edits} }} }}"
        ))
        .route("{ path: /plain, to: app }");
    let fulcrum = setup.start();
    let mut client = fulcrum.connect();
    for (target, added) in [("/app", vec!["3", "more"]), ("/own", vec!["more"])] {
        let response = client.get(target);
        assert_eq!(response.head.values("x-set"), ["new"], "{target}");
        assert_eq!(response.head.values("x-add"), added, "{target}");
        assert_eq!(response.field("strict-transport-security"), Some("max-age=31536000"), "{target}");
        assert!(!response.head.has("server"), "{target}: {:?}", response.head);
    }
    assert_eq!(client.get("/plain").field("server"), Some("app/1.0"));
}

#[test]
fn routes_are_counted_and_logged_by_name() {
    let upstream = Upstream::answering(ok("app"));
    let setup = Setup::new(&upstream)
        .route("{ name: shop, host: shop.test, to: app }")
        .route("{ host: shop.test, path: /api, to: app }");
    let fulcrum = setup.start();
    let mut client = fulcrum.connect();
    for target in ["/", "/a", "/api"] {
        assert_eq!(get(&mut client, "shop.test", target).status, 200);
    }
    fulcrum.await_metric("fulcrum_http_route_requests_total", &[("route", "shop"), ("code", "2xx")], 2.0);
    fulcrum.await_metric("fulcrum_http_route_requests_total", &[("route", "shop.test/api")], 1.0);
    let routes: Vec<_> = fulcrum.records(3).iter().map(|record| record["route"].clone()).collect();
    assert_eq!(routes, ["shop", "shop", "shop.test/api"]);
}
