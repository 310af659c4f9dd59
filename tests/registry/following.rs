//! Services that follow names, in every combination.

use std::collections::BTreeMap;

use serde_json::json;

use super::{IN_TURN, await_shares, start, yaml};
use crate::harness::{Fulcrum, Upstream, eventually};

#[test]
fn two_services_follow_one_name() {
    let yaml = "state_dir: \"@DIR@/state\"\nregistry: { bind: \"127.0.0.1:0\" }\n\
        listeners: { web: { bind: \"127.0.0.1:0\" } }\nroutes: [{ to: app }, { path: /api, to: api }]\n\
        services: { app: { discovery: { registry: web } }, api: { discovery: { registry: web } } }\n";
    let upstream = Upstream::named("a");
    let fulcrum = Fulcrum::start(yaml);
    fulcrum.register("web/a", upstream.address(), json!({}));
    for (service, target) in [("app", "/"), ("api", "/api")] {
        fulcrum.await_endpoints(service, 1);
        assert_eq!(fulcrum.get(target).text(), "a");
    }
    fulcrum.leave("web/a", "");
    for (service, target) in [("app", "/"), ("api", "/api")] {
        fulcrum.await_endpoints(service, 0);
        assert_eq!(fulcrum.get(target).status, 503);
    }
}

#[test]
fn endpoints_and_instances_serve_together() {
    let [fixed, found] = ["fixed", "found"].map(Upstream::named);
    let fulcrum = start(&format!("{IN_TURN}, endpoints: [\"{}\"]", fixed.address()));
    await_shares(&fulcrum, [("fixed", 10)]);
    fulcrum.register("web/a", found.address(), json!({}));
    await_shares(&fulcrum, [("fixed", 10), ("found", 10)]);
    fulcrum.leave("web/a", "");
    await_shares(&fulcrum, [("fixed", 10)]);
}

#[test]
fn a_service_only_follows_its_own_name() {
    let [ours, other] = ["ours", "other"].map(Upstream::named);
    let fulcrum = start("");
    fulcrum.register("db/a", other.address(), json!({}));
    fulcrum.register("web/a", ours.address(), json!({}));
    await_shares(&fulcrum, [("ours", 10)]);
    fulcrum.leave("db/a", "");
    await_shares(&fulcrum, [("ours", 10)]);
    assert!(other.requests().is_empty());
}

/// What a new configuration follows is there at once, also what was registered long before.
#[test]
fn a_reload_follows_another_name() {
    let [web, shop] = ["web", "shop"].map(Upstream::named);
    let fulcrum = start("");
    fulcrum.register("web/a", web.address(), json!({}));
    fulcrum.register("shop/a", shop.address(), json!({}));
    await_shares(&fulcrum, [("web", 5)]);
    fulcrum.change(&yaml("", "").replace("registry: web", "registry: shop"));
    await_shares(&fulcrum, [("shop", 5)]);
    fulcrum.change(&yaml("", ""));
    await_shares(&fulcrum, [("web", 5)]);
}

/// A reload that does not touch the service leaves its endpoints where they are: no request is without one.
#[test]
fn a_reload_keeps_what_was_found() {
    let upstream = Upstream::named("a");
    let fulcrum = start("");
    fulcrum.register("web/a", upstream.address(), json!({}));
    await_shares(&fulcrum, [("a", 1)]);
    let mut client = fulcrum.connect();
    for number in 0..10 {
        let other = format!("routes: [{{ path: /{number}, respond: {{ status: 204 }} }}, ");
        fulcrum.change(&yaml("", "").replace("routes: [", &other));
        assert_eq!(client.get(&format!("/{number}")).status, 204);
        assert_eq!(client.get("/").text(), "a");
    }
    assert_eq!(upstream.connections(), 1, "not even its connection was lost");
}

#[test]
fn a_registry_serves_without_listeners() {
    let fulcrum = Fulcrum::start("state_dir: \"@DIR@/state\"\nregistry: { bind: \"127.0.0.1:0\" }\n");
    assert_eq!(fulcrum.ready["listeners"], json!({}));
    let answer = fulcrum.register("web/a", "127.0.0.1:8080", json!({ "tags": ["blue"] }));
    assert_eq!(answer["epoch"], 1);
    let list = fulcrum.ask_registry("GET", "/v1/services/web/instances?tag=blue", "").json();
    assert_eq!(list["instances"][0]["port"], 8080, "{list}");
    let metrics = fulcrum.metrics();
    assert_eq!(metrics.value("fulcrum_registry_instances", &[]), 1.0);
    assert_eq!(fulcrum.ask_admin("/readyz").status, 200);
}

#[test]
fn a_watcher_sees_what_the_data_plane_does() {
    let upstream = Upstream::named("a");
    let fulcrum = start("");
    let mut watcher = crate::harness::Client::connect(fulcrum.registry());
    watcher.send("GET /v1/watch?service=web HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(watcher.wire.head().expect("a head").word(1), "200");
    let mut text = String::new();
    let mut await_event = |event: &str| {
        while !text.contains(event) {
            text += &String::from_utf8_lossy(
                &watcher.wire.some().unwrap_or_else(|end| panic!("{end:?}: {text}")),
            );
        }
    };
    await_event("event: snapshot");
    fulcrum.register("web/a", upstream.address(), json!({}));
    await_event("\"cause\":\"registered\"");
    fulcrum.leave("web/a", "?drain=1s");
    await_event("\"state\":\"draining\"");
    await_event("\"cause\":\"drained\"");
    fulcrum.await_endpoints("app", 0);
}

/// A hundred instances of one service, each of which is asked.
#[test]
fn many_instances_share() {
    let fulcrum = start(IN_TURN);
    let upstreams: Vec<Upstream> = (0..100).map(|number| Upstream::named(&number.to_string())).collect();
    for (number, upstream) in upstreams.iter().enumerate() {
        fulcrum.register(&format!("web/{number}"), upstream.address(), json!({}));
    }
    fulcrum.await_endpoints("app", 100);
    let shares: BTreeMap<String, usize> =
        eventually("everyone is asked", || Some(super::shares(&mut fulcrum.connect(), 200)));
    assert!(shares.len() == 100 && shares.values().all(|&count| count == 2), "{shares:?}");
}

/// What was registered before the daemon itself listened there gets nothing: it would forward to itself.
#[test]
fn an_address_that_becomes_ours_is_left_out() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let address = free.expect("a port");
    let fulcrum = start("");
    fulcrum.register("web/a", &address.to_string(), json!({}));
    fulcrum.await_endpoints("app", 1);
    let web = "web: { bind: \"127.0.0.1:0\" }";
    let more = format!("{web}, more: {{ bind: \"0.0.0.0:{}\" }}", address.port());
    fulcrum.change(&yaml("", "").replace(web, &more));
    fulcrum.await_endpoints("app", 0);
    fulcrum.change(&yaml("", ""));
    fulcrum.await_endpoints("app", 1);
}
