//! Registrations, heartbeats, departures, orders.

use super::*;

#[tokio::test]
async fn a_registration_is_made_repeated_and_renewed() {
    let world = World::plain().await;
    let a = format!("PUT {WEB}/a");
    let first = world.register("a", json!({"tags": ["blue"]})).await;
    first.is(201, "");
    let document = first.json();
    let next = document["next_ms"].as_u64().expect("a number");
    assert!((9000..=11_000).contains(&next), "{next}");
    assert_eq!(document["ttl_ms"], 30_000);
    assert_eq!((&document["epoch"], &document["state"]), (&json!(1), &json!("up")));
    let sequence = document["sequence"].clone();
    assert_eq!(first.header("etag"), format!("\"{sequence}\""));

    let again = world.register("a", json!({"tags": ["blue"], "epoch": 1})).await;
    again.is(200, "");
    assert_eq!(again.json()["sequence"], sequence, "nothing has changed");
    let other = world.register("a", json!({"tags": ["green"]})).await;
    other.is(201, "");
    assert_eq!(other.json()["epoch"], 2, "other words are of another process");
    world.register("a", json!({"tags": ["blue"], "epoch": 1})).await.is(409, "stale_epoch");

    world.register("b", json!({"incarnation": "x", "ttl": "3s"})).await.is(201, "");
    let heavier = world.register("b", json!({"incarnation": "x", "ttl": "3s", "weight": 7})).await;
    heavier.is(200, "");
    assert_eq!((&heavier.json()["epoch"], &heavier.json()["ttl_ms"]), (&json!(1), &json!(3000)));

    let body = r#"{"port":81}"#;
    let at = |value: &'static str| [("if-match", value)];
    world.call_with(&a, &[("if-none-match", "*")], body).await.is(412, "precondition");
    world.call_with(&a, &at("\"1\""), body).await.is(412, "precondition");
    world.call_with(&a, &at("7"), body).await.is(400, "header");
    world.call_with(&format!("PUT {WEB}/new"), &at("*"), body).await.is(412, "precondition");
    let tag = other.header("etag").to_owned();
    world.call_with(&a, &[("if-match", &tag)], body).await.is(201, "");
    world.call_with(&format!("PUT {WEB}/new"), &[("if-none-match", "*")], body).await.is(201, "");
    world.end().await;
}

#[tokio::test]
async fn an_instance_is_shown_as_it_is() {
    let world = World::plain().await;
    let fields = json!({"ports": {"metrics": 9100}, "locality": "eu-1a", "region": "eu-1", "tags": ["b", "a"],
        "meta": {"v": "1"}, "load": {"limit": 64}, "launch_id": "l-1", "weight": 5});
    world.register("host:8080", fields).await.is(201, "");
    let reply = world.call(&format!("GET {WEB}/host%3A8080"), "").await;
    reply.is(200, "");
    let shown = reply.json();
    let expected = json!({"service": "web", "id": "host:8080", "address": "127.0.0.1", "port": 8080,
        "ports": {"metrics": 9100}, "weight": 5, "locality": "eu-1a", "region": "eu-1", "tags": ["a", "b"],
        "meta": {"v": "1"}, "ttl_ms": 30_000, "load": {"limit": 64}, "launch_id": "l-1", "epoch": 1,
        "owner": "local", "state": "up", "health": "ok"});
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&shown[name], value, "{name}");
    }
    assert!(shown["lease"]["remaining_ms"].as_u64().expect("a number") > 20_000);
    assert_eq!(reply.header("etag"), format!("\"{}\"", shown["sequence"]));
    assert_eq!(world.call(&format!("HEAD {WEB}/host:8080"), "").await.status, 200);
    world.call(&format!("GET {WEB}/other"), "").await.is(404, "unknown");
    world.call("GET /v1/services/none/instances/other", "").await.is(404, "unknown");
    world.end().await;
}

#[tokio::test]
async fn a_heartbeat_renews_and_tells() {
    let world = World::plain().await;
    world.register("a", json!({"ttl": "9s"})).await.is(201, "");
    let lease = format!("PUT {WEB}/a/lease");
    let renewed = world.call(&lease, "").await;
    renewed.is(200, "");
    assert_eq!((&renewed.json()["ttl_ms"], &renewed.json()["state"]), (&json!(9000), &json!("up")));
    world.call(&lease, r#"{"epoch":1,"load":{"in_flight":12,"cpu":0.5},"later":1}"#).await.is(200, "");
    let shown = world.call(&format!("GET {WEB}/a"), "").await.json();
    assert_eq!((&shown["lease"]["in_flight"], &shown["lease"]["cpu"]), (&json!(12), &json!(0.5)));
    let stale = world.call(&lease, r#"{"epoch":2}"#).await;
    stale.is(409, "stale_epoch");
    assert_eq!(stale.json()["epoch"], 1);
    world.call(&lease, r#"{"load":{"cpu":-1}}"#).await.is(422, "invalid");
    for weight in ["0", "65536", "-1", "\"5\"", "1.5", "true"] {
        let reply = world.call(&lease, &format!(r#"{{"weight":{weight}}}"#)).await;
        assert!([400, 422].contains(&reply.status), "{weight}: {}", reply.status);
    }
    assert_eq!((&shown["weight"], &shown["weight_from"]), (&json!(1), &json!("discovery")));
    world.call(&lease, r#"{"epoch":1,"weight":65535}"#).await.is(200, "");
    world.await_weight("a", 65535).await;
    let unknown = world.call(&format!("PUT {WEB}/b/lease"), "{}").await;
    unknown.is(404, "unknown");
    assert!(unknown.json()["re_register_after_ms"].as_u64().expect("a number") <= 15_000);
    world.end().await;
}

/// Those of a batch say it in short, each for itself; those that say nothing leave it as it is.
#[tokio::test]
async fn many_heartbeats_change_weights() {
    let world = World::plain().await;
    for id in ["a", "b", "c"] {
        world.register(id, json!({"weight": 3})).await.is(201, "");
    }
    let beats = json!({"beats": [{"s": "web", "i": "a", "e": 1, "w": 10}, {"s": "web", "i": "b"},
        {"s": "web", "i": "c", "e": 2, "w": 10}, {"s": "web", "i": "a", "w": 11}]});
    let reply = world.call("POST /v1/heartbeats", &beats.to_string()).await;
    reply.is(200, "");
    assert_eq!(reply.json()["results"][0]["code"], "stale_epoch");
    world.await_weight("a", 11).await;
    for id in ["b", "c"] {
        let shown = world.call(&format!("GET {WEB}/{id}"), "").await.json();
        assert_eq!((&shown["weight"], &shown["weight_from"]), (&json!(3), &json!("discovery")));
    }
    world.end().await;
}

#[tokio::test]
async fn many_heartbeats_are_answered_where_there_is_something_to_say() {
    let world = World::plain().await;
    for id in ["a", "b", "c"] {
        world.register(id, json!({"ttl": if id == "c" { "6s" } else { "30s" }})).await.is(201, "");
    }
    world.call(&format!("DELETE {WEB}/b?drain=30s"), "").await.is(202, "");
    let beats = json!({"beats": [{"s": "web", "i": "a", "e": 1, "load": {"in_flight": 3}}, {"s": "web", "i": "b"},
        {"s": "web", "i": "c", "e": 9}, {"s": "web", "i": "d", "e": 1}, {"s": "none", "i": "a"}]});
    let reply = world.call("POST /v1/heartbeats", &beats.to_string()).await;
    reply.is(200, "");
    let document = reply.json();
    let results: Vec<_> = document["results"].as_array().expect("a list").iter().collect();
    let words = |name: &str| results.iter().map(|result| result[name].clone()).collect::<Vec<_>>();
    assert_eq!(words("code"), ["draining", "stale_epoch", "unknown", "unknown"]);
    assert_eq!(words("i"), ["b", "c", "d", "a"]);
    assert_eq!(words("epoch"), [json!(1), json!(1), Value::Null, Value::Null]);
    assert!(results[2]["re_register_after_ms"].as_u64().expect("a number") <= 15_000);
    let shortest = json!({"beats": [{"s": "web", "i": "a"}, {"s": "web", "i": "c"}]});
    let next = world.call("POST /v1/heartbeats", &shortest.to_string()).await.json()["next_ms"].as_u64();
    assert!(next.expect("a number") <= 2200, "in time for the shortest of their leases");
    world.end().await;
}

#[tokio::test]
async fn a_heartbeat_that_cannot_be_lets_none_be() {
    let world = World::plain().await;
    world.register("a", json!({})).await.is(201, "");
    let renewals = || world.api.registry.counters().renewals.load(std::sync::atomic::Ordering::Relaxed);
    let before = renewals();
    let check = async |second: &str, pointer: &str| {
        let body = format!(r#"{{"beats":[{{"s":"web","i":"a"}},{second}]}}"#);
        let reply = world.call("POST /v1/heartbeats", &body).await;
        reply.is(422, "invalid");
        assert_eq!(reply.json()["pointer"], pointer);
    };
    check(r#"{"s":"we b","i":"a"}"#, "/beats/1/s").await;
    check(r#"{"s":"web","i":""}"#, "/beats/1/i").await;
    check(r#"{"s":"web","i":"a","load":{"cpu":2000}}"#, "/beats/1/load/cpu").await;
    check(r#"{"s":"web","i":"a","w":0}"#, "/beats/1/w").await;
    let beats =
        |count: usize| format!(r#"{{"beats":[{}]}}"#, vec![r#"{"s":"web","i":"a"}"#; count].join(","));
    world.call("POST /v1/heartbeats", &beats(10_001)).await.is(413, "too_large");
    assert_eq!(renewals(), before);
    world.call("POST /v1/heartbeats", &beats(10_000)).await.is(200, "");
    assert_eq!(renewals(), before + 10_000);
    world.end().await;
}

#[tokio::test]
async fn an_instance_leaves_at_once_or_when_it_has_finished() {
    let world = World::plain().await;
    let a = format!("DELETE {WEB}/a");
    world.register("a", json!({})).await.is(201, "");
    world.call(&format!("{a}?drain=30s&epoch=2"), "").await.is(409, "stale_epoch");
    world.call(&format!("{a}?drain=25h"), "").await.is(400, "query");
    world.call(&format!("{a}?epcoh=1"), "").await.is(400, "query");
    let leaving = world.call(&format!("{a}?drain=30s&epoch=1&reason=deploy"), "").await;
    leaving.is(202, "");
    assert_eq!(leaving.json()["state"], "draining");
    let beat = world.call(&format!("PUT {WEB}/a/lease"), "").await;
    assert_eq!(beat.json()["state"], "draining", "it is told to finish");
    let again = world.call(&format!("{a}?drain=60s"), "").await;
    assert_eq!((again.status, &again.json()["sequence"]), (202, &leaving.json()["sequence"]));
    world.call(&a, "").await.is(204, "");
    world.call(&a, "").await.is(404, "unknown");
    world.call(&format!("GET {WEB}/a"), "").await.is(404, "unknown");
    let entries = world.call("GET /v1/audit", "").await.json();
    let actions = entries["entries"].as_array().expect("a list").iter();
    let actions: Vec<_> = actions.map(|entry| (entry["action"].clone(), entry["reason"].clone())).collect();
    let (no, deploy) = (Value::Null, json!("deploy"));
    let expected = [(json!("register"), no.clone()), (json!("leave"), deploy), (json!("leave"), no)];
    assert_eq!(actions, expected, "what changes nothing is not written down");
    world.end().await;
}

#[tokio::test]
async fn an_operator_orders_and_takes_back() {
    let world = World::plain().await;
    world.register("a", json!({"weight": 10})).await.is(201, "");
    let order = format!("PUT {WEB}/a/override");
    let body = r#"{"state":"maintenance","weight":3,"reason":"disk","until":"2099-01-01T00:00:00Z"}"#;
    let ordered = world.call(&order, body).await;
    ordered.is(200, "");
    let shown = ordered.json();
    assert_eq!((&shown["state"], &shown["weight"]), (&json!("maintenance"), &json!(3)));
    let expected = json!({"state": "maintenance", "weight": 3, "reason": "disk",
        "until": "2099-01-01T00:00:00Z", "by": "local"});
    assert_eq!(shown["override"], expected);
    world.call(&order, r#"{"state":"drain","until":"2001-01-01T00:00:00Z"}"#).await.is(422, "invalid");
    world.call(&order, r#"{"state":"drain","sate":1}"#).await.is(400, "json");
    world.call(&format!("PUT {WEB}/b/override"), r#"{"state":"drain"}"#).await.is(404, "unknown");
    let again = world.register("a", json!({"weight": 10, "incarnation": "new"})).await;
    assert_eq!(again.json()["state"], "maintenance", "it outlives registrations");
    let cleared = world.call(&format!("DELETE {WEB}/a/override?reason=fixed"), "").await;
    cleared.is(200, "");
    assert_eq!((&cleared.json()["state"], &cleared.json()["weight"]), (&json!("up"), &json!(10)));
    assert_eq!(cleared.json().get("override"), None);
    let audit = world.call("GET /v1/audit?since=2", "").await.json();
    assert_eq!(audit["entries"].as_array().map(Vec::len), Some(2));
    assert_eq!(audit["entries"][1]["action"], "clear_override");
    assert_eq!(audit["entries"][1]["reason"], "fixed");
    world.end().await;
}
