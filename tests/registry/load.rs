//! What instances say of their load with registrations and heartbeats: weights, limits, requests under way.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{IN_TURN, await_shares, shares, start};
use crate::harness::{Fulcrum, Upstream, eventually, path_of};
use crate::resilience::{Gated, await_in_flight, begin};

/// A heartbeat of `SERVICE/ID` that says this.
#[track_caller]
fn say(fulcrum: &Fulcrum, instance: &str, words: &Value) {
    let path = format!("{}/lease", path_of(instance));
    let response = fulcrum.ask_registry("PUT", &path, &words.to_string());
    assert_eq!(response.status, 200, "{instance}: {}", response.text());
}

/// What `/status` says of an endpoint of the service.
#[track_caller]
fn endpoint(fulcrum: &Fulcrum, id: &str) -> Value {
    let endpoints = fulcrum.endpoints("app");
    let found = endpoints.iter().find(|endpoint| endpoint["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {endpoints:?}")).clone()
}

/// Waits until an endpoint has this weight, by this word.
#[track_caller]
fn await_weight(fulcrum: &Fulcrum, id: &str, weight: u16, from: &str) {
    eventually(&format!("{id} weighs {weight} by {from}"), || {
        let endpoint = endpoint(fulcrum, id);
        (endpoint["weight"] == weight && endpoint["weight_from"] == from).then_some(())
    });
}

fn pair(service: &str, more: &Value) -> (Fulcrum, [Upstream; 2]) {
    let upstreams = ["a", "b"].map(Upstream::named);
    let fulcrum = start(service);
    for (id, upstream) in ["a", "b"].iter().zip(&upstreams) {
        fulcrum.register(&format!("web/{id}"), upstream.address(), more.clone());
    }
    fulcrum.await_endpoints("app", 2);
    (fulcrum, upstreams)
}

#[test]
fn a_heartbeat_changes_a_share_until_the_registry_is_restarted() {
    let (mut fulcrum, upstreams) = pair(IN_TURN, &json!({ "weight": 2, "incarnation": "one" }));
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);
    await_weight(&fulcrum, "b", 2, "discovery");
    let connections = upstreams[1].connections();
    say(&fulcrum, "web/b", &json!({ "epoch": 1, "weight": 6 }));
    await_shares(&fulcrum, [("a", 10), ("b", 30)]);
    await_weight(&fulcrum, "b", 6, "heartbeat");
    await_weight(&fulcrum, "a", 2, "discovery");
    let beats = json!({ "beats": [{ "s": "web", "i": "a", "e": 1, "w": 3 }, { "s": "web", "i": "b", "e": 1, "w": 3 }] });
    assert_eq!(fulcrum.ask_registry("POST", "/v1/heartbeats", &beats.to_string()).status, 200);
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);
    say(&fulcrum, "web/b", &json!({ "weight": 9 }));
    await_shares(&fulcrum, [("a", 10), ("b", 30)]);

    // An operator goes before it, in the registry and at the balancer.
    fulcrum.order("web/b", &json!({ "weight": 3 }));
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);
    await_weight(&fulcrum, "b", 3, "order");
    say(&fulcrum, "web/b", &json!({ "weight": 6 }));
    fulcrum.order("web/b", &Value::Null);
    await_shares(&fulcrum, [("a", 10), ("b", 20)]);
    let admin = fulcrum.admin();
    let ordered = crate::harness::fulcrum(["weight", "app/b", "12", "--admin", &admin]);
    assert_eq!(ordered.code, Some(0), "{}", ordered.stderr);
    await_shares(&fulcrum, [("a", 10), ("b", 40)]);
    await_weight(&fulcrum, "b", 12, "order");
    assert_eq!(crate::harness::fulcrum(["undrain", "app/b", "--admin", &admin]).code, Some(0));
    await_shares(&fulcrum, [("a", 10), ("b", 20)]);
    assert_eq!(upstreams[1].connections(), connections, "its pool is what it was");

    assert_eq!(fulcrum.stop(), Some(0));
    fulcrum.restart();
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);
    await_weight(&fulcrum, "b", 2, "discovery");
    say(&fulcrum, "web/b", &json!({ "epoch": 1, "weight": 6 }));
    await_shares(&fulcrum, [("a", 10), ("b", 30)]);
    fulcrum.register("web/b", upstreams[1].address(), json!({ "weight": 4, "incarnation": "one" }));
    await_shares(&fulcrum, [("a", 10), ("b", 20)]);
    await_weight(&fulcrum, "b", 4, "discovery");
}

#[test]
fn whoever_watches_hears_of_another_weight_once() {
    let (fulcrum, _upstreams) = pair("", &json!({}));
    let mut watcher = crate::harness::Client::connect(fulcrum.registry());
    watcher.send("GET /v1/watch?service=web HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut text = String::new();
    let mut await_text = |wanted: &str| {
        while !text.contains(wanted) {
            let more = watcher.wire.some().unwrap_or_else(|end| panic!("{end:?}: {text}"));
            text += &String::from_utf8_lossy(&more);
        }
        text.clone()
    };
    await_text("\"done\":true");
    for _ in 0..10 {
        say(&fulcrum, "web/a", &json!({ "weight": 6 }));
    }
    fulcrum.leave("web/b", "");
    let seen = await_text("event: delete");
    assert_eq!(seen.matches("\"cause\":\"reported\"").count(), 1, "{seen}");
    assert!(seen.contains("\"weight\":6,\"weight_from\":\"heartbeat\""), "{seen}");
}

/// More than an instance can work on waits here, in the order in which it came.
#[test]
fn a_limit_of_the_instance_is_kept() {
    let endpoint_of_one = Gated::new("a");
    let fulcrum = start("");
    let register = |limit: u32| {
        let more = json!({ "incarnation": "one", "load": { "limit": limit } });
        fulcrum.register("web/a", endpoint_of_one.upstream.address(), more);
        fulcrum.await_endpoints("app", 1);
        eventually(&format!("a limit of {limit}"), || {
            (endpoint(&fulcrum, "a")["limit"] == limit).then_some(())
        });
    };
    register(2);
    let mut clients: Vec<_> = (0..4u32)
        .map(|number| {
            let client = begin(&fulcrum, &format!("/{number}"));
            await_in_flight(&fulcrum, number + 1);
            client
        })
        .collect();
    endpoint_of_one.upstream.await_requests(2);
    let waiting = || fulcrum.status()["services"][0]["queue"]["waiting"].clone();
    eventually("two wait", || (waiting() == 2).then_some(()));
    assert_eq!((endpoint_of_one.arrived(), &endpoint(&fulcrum, "a")["in_flight"]), (2, &json!(2)));
    // It takes more from now on: whoever waits hears of it.
    register(3);
    endpoint_of_one.upstream.await_requests(3);
    eventually("one waits", || (waiting() == 1).then_some(()));
    // And less: what is there ends before anything comes.
    register(1);
    endpoint_of_one.release();
    endpoint_of_one.release();
    eventually("one is left", || (endpoint(&fulcrum, "a")["in_flight"] == 1).then_some(()));
    assert_eq!((endpoint_of_one.arrived(), waiting()), (3, json!(1)));
    endpoint_of_one.release();
    endpoint_of_one.upstream.await_requests(4);
    endpoint_of_one.release();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
}

/// Where both say how much, the smaller number is the one that counts.
#[test]
fn the_smaller_limit_counts() {
    let upstream = Upstream::named("a");
    let check = |limits: &str, own: Value, expected: Value| {
        let fulcrum = start(limits);
        fulcrum.register("web/a", upstream.address(), json!({ "load": own }));
        fulcrum.await_endpoints("app", 1);
        assert_eq!(endpoint(&fulcrum, "a")["limit"], expected, "{limits} {own}");
        assert_eq!(fulcrum.get("/").status, 200);
    };
    check("", json!({}), Value::Null);
    check("", json!({ "limit": 7 }), json!(7));
    check(", limits: { max_requests: 3 }", json!({}), json!(3));
    check(", limits: { max_requests: 3 }", json!({ "limit": 7 }), json!(3));
    check(", limits: { max_requests: 9 }", json!({ "limit": 7 }), json!(7));
    check(", limits: { max_connections: 5 }", json!({ "limit": 7 }), json!(5));
}

/// What others have under way at an instance counts like requests of our own, until nobody says so any more.
#[test]
fn what_others_send_counts_for_a_while() {
    let (fulcrum, _upstreams) = pair(", slow_start: none", &json!({ "ttl": "3s", "incarnation": "one" }));
    let mut client = fulcrum.connect();
    let spread = shares(&mut client, 40);
    assert!(spread.len() == 2, "{spread:?}");
    assert_eq!(endpoint(&fulcrum, "a")["elsewhere"], 0);

    let began = Instant::now();
    say(&fulcrum, "web/a", &json!({ "load": { "in_flight": 50 } }));
    assert_eq!(endpoint(&fulcrum, "a")["elsewhere"], 50);
    let spread = shares(&mut client, 40);
    assert!(spread.get("b") == Some(&40) || began.elapsed() > TTL, "{spread:?}");
    // Heartbeats without a word of it keep the lease, not the news.
    let mut renewals = 0;
    eventually("it is no news any more", || {
        renewals += 1;
        ["web/a", "web/b"].iter().for_each(|instance| say(&fulcrum, instance, &json!({})));
        (shares(&mut client, 4).contains_key("a")).then_some(())
    });
    assert!(began.elapsed() >= TTL, "after {:?}", began.elapsed());
    let endpoint_now = endpoint(&fulcrum, "a");
    assert_eq!((&endpoint_now["elsewhere"], &endpoint_now["state"]), (&json!(0), &json!("up")));
    assert!(renewals > 1);
    // And the other way round, as soon as it is said.
    say(&fulcrum, "web/b", &json!({ "load": { "in_flight": 50 } }));
    let began = Instant::now();
    let spread = shares(&mut client, 40);
    assert!(spread.get("a") == Some(&40) || began.elapsed() > TTL, "{spread:?}");
    say(&fulcrum, "web/b", &json!({ "load": { "in_flight": 0 } }));
    assert_eq!(shares(&mut client, 40).len(), 2);
}

/// Our own requests are part of what an instance counts, and not those of others.
#[test]
fn our_own_requests_are_not_counted_twice() {
    let gated = Gated::new("a");
    let fulcrum = start("");
    fulcrum.register("web/a", gated.upstream.address(), json!({}));
    fulcrum.await_endpoints("app", 1);
    let clients: Vec<_> = (0..3).map(|number| begin(&fulcrum, &format!("/{number}"))).collect();
    gated.upstream.await_requests(3);
    for (reported, elsewhere) in [(3, 0), (10, 7), (1, 0)] {
        say(&fulcrum, "web/a", &json!({ "load": { "in_flight": reported } }));
        let shown = endpoint(&fulcrum, "a");
        assert_eq!((&shown["in_flight"], &shown["elsewhere"]), (&json!(3), &json!(elsewhere)), "{reported}");
    }
    (0..3).for_each(|_| gated.release());
    for mut client in clients {
        assert_eq!(client.response().status, 200);
    }
}

/// The shortest that there is.
const TTL: Duration = Duration::from_secs(3);
