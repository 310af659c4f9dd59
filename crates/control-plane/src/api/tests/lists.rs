//! Lists, their tags for caches, the wait for a change, targets for Prometheus.

use std::time::Instant;

use super::*;

fn ids(reply: &Reply) -> Vec<String> {
    let document = reply.json();
    let instances = document["instances"].as_array().expect("a list").iter();
    instances.map(|instance| instance["id"].as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn a_list_has_what_is_asked_for() {
    let world = World::plain().await;
    world.register("a", json!({"tags": ["x", "y"], "meta": {"v": "1"}, "locality": "l1"})).await.is(201, "");
    world.register("b", json!({"tags": ["x"], "meta": {"v": "2"}, "locality": "l2"})).await.is(201, "");
    world.register("c", json!({})).await.is(201, "");
    world.call(&format!("PUT {WEB}/c/override"), r#"{"state":"drain"}"#).await.is(200, "");
    let check = async |query: &str, expected: &[&str]| {
        let reply = world.call(&format!("GET {WEB}?{query}"), "").await;
        assert_eq!(ids(&reply), expected, "{query}");
    };
    check("", &["a", "b", "c"]).await;
    check("tag=x", &["a", "b"]).await;
    check("tag=x&tag=y", &["a"]).await;
    check("meta.v=2", &["b"]).await;
    check("meta.v=2&tag=y", &[]).await;
    check("locality=l1", &["a"]).await;
    check("state=draining", &["c"]).await;
    check("health=ok&state=up", &["a", "b"]).await;
    check("health=suspect", &[]).await;
    for query in ["helth=ok", "health=up", "state=gone", "tag=%", "wait=1s", "wait=11m&since=1"] {
        assert_eq!(world.call(&format!("GET {WEB}?{query}"), "").await.status, 400, "{query}");
    }
    let services = world.call("GET /v1/services", "").await.json();
    let web = &services["services"][0];
    assert_eq!((&web["name"], &web["instances"], &web["up"]), (&json!("web"), &json!(3), &json!(2)));
    assert_eq!(services["index"], world.sequence());
    world.end().await;
}

#[tokio::test]
async fn a_list_that_has_not_changed_is_not_sent() {
    let world = World::plain().await;
    let list = format!("GET {WEB}");
    world.register("a", json!({})).await.is(201, "");
    let tag = world.call(&list, "").await.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.contains(&world.api.store_epoch()), "{tag}");
    let known = world.call_with(&list, &[("if-none-match", &tag)], "").await;
    assert_eq!((known.status, known.text.as_str(), known.header("etag")), (304, "", tag.as_str()));
    let weak = format!("\"other\", W/{tag}");
    assert_eq!(world.call_with(&list, &[("if-none-match", &weak)], "").await.status, 304);
    world.call(&format!("PUT {WEB}/a/lease"), "").await.is(200, "");
    let known = world.call_with(&list, &[("if-none-match", &tag)], "").await;
    assert_eq!(known.status, 304, "heartbeats change nothing of it");
    world.register("b", json!({})).await.is(201, "");
    world.call_with(&list, &[("if-none-match", &tag)], "").await.is(200, "");
    world.end().await;
}

#[tokio::test]
async fn who_waits_is_answered_when_the_list_changes() {
    let world = World::plain().await;
    let unknown = world.call(&format!("GET {WEB}"), "").await;
    assert_eq!((unknown.json()["index"].clone(), ids(&unknown)), (json!(0), vec![]));
    let from_nothing = format!("GET {WEB}?wait=10m&since=0");
    let (first, registered) = tokio::join!(world.call(&from_nothing, ""), world.register("a", json!({})));
    registered.is(201, "");
    assert_eq!(ids(&first), ["a"], "also of a service that was not there");
    let index = first.json()["index"].clone();
    let waiting = async {
        let reply = world.call(&format!("GET {WEB}?wait=10m&since={index}"), "").await;
        (ids(&reply), reply.json()["index"].clone())
    };
    let elsewhere = async {
        // Neither another service nor a heartbeat is a change of this one.
        world.call("PUT /v1/services/other/instances/x", r#"{"port":1}"#).await.is(201, "");
        world.call(&format!("PUT {WEB}/a/lease"), "").await.is(200, "");
        world.register("b", json!({})).await
    };
    let ((seen, later), registered) = tokio::join!(waiting, elsewhere);
    assert_eq!((seen, &later), (vec!["a".to_owned(), "b".to_owned()], &registered.json()["sequence"]));
    let began = Instant::now();
    assert_eq!(world.call(&format!("GET {WEB}?wait=100ms&since={later}"), "").await.json()["index"], later);
    assert!(began.elapsed() >= Duration::from_millis(100));
    let ahead = format!("GET {WEB}?wait=10m&since=999999");
    assert_eq!(world.call(&ahead, "").await.json()["index"], later, "a place in another history");
    assert_eq!(world.api.watchers.available_permits(), Limits::default().watchers);
    world.end().await;
}

#[tokio::test]
async fn prometheus_finds_targets() {
    let world = World::plain().await;
    let fields = json!({"tags": ["b", "a"], "meta": {"team-x": "t", "team.x": "u"}, "locality": "l1",
        "ports": {"metrics": 9100}});
    world.register("a", fields).await.is(201, "");
    world.call("PUT /v1/services/db/instances/d", r#"{"port":5432,"address":"::1"}"#).await.is(201, "");
    let all = world.call("GET /v1/prometheus/sd", "").await;
    assert_eq!(all.header("content-type"), "application/json", "Prometheus takes no other");
    let targets = all.json();
    assert_eq!(targets[0]["targets"], json!(["[::1]:5432"]));
    let expected = json!([{"targets": ["127.0.0.1:8080"], "labels": {
        "__meta_fulcrum_service": "web", "__meta_fulcrum_instance": "a", "__meta_fulcrum_state": "up",
        "__meta_fulcrum_weight": "1", "__meta_fulcrum_locality": "l1", "__meta_fulcrum_tags": ",a,b,",
        "__meta_fulcrum_port_metrics": "9100", "__meta_fulcrum_meta_team_x": "t"}}]);
    assert_eq!(world.call("GET /v1/prometheus/sd?service=web&service=none", "").await.json(), expected);
    assert_eq!(world.call("GET /v1/prometheus/sd?service=none", "").await.json(), json!([]));
    world.end().await;
}
