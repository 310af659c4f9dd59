//! Instances come, stay as long as they beat, and go.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{IN_TURN, await_shares, shares, start};
use crate::harness::{Fulcrum, Upstream, eventually, hold};

#[test]
fn who_registers_gets_traffic_at_once() {
    let upstream = Upstream::named("a");
    let fulcrum = start("");
    assert_eq!(fulcrum.get("/").status, 503, "nobody is there");
    let mut delays: Vec<Duration> = (0..9)
        .map(|_| {
            let answer = fulcrum.register("web/a", upstream.address(), json!({}));
            let registered = Instant::now();
            assert_eq!((&answer["state"], &answer["ttl_ms"]), (&"up".into(), &30_000.into()), "{answer}");
            let mut client = fulcrum.connect();
            eventually("it is served", || (client.get("/").status == 200).then_some(()));
            let delay = registered.elapsed();
            fulcrum.leave("web/a", "");
            fulcrum.await_endpoints("app", 0);
            delay
        })
        .collect();
    delays.sort();
    // The median, for a machine that has something else to do as well.
    assert!(delays[4] < Duration::from_millis(100), "{delays:?}");
    assert_eq!(fulcrum.get("/").status, 503, "nobody is there any more");
}

/// The registry has said that there is nobody: no request waits for a first word.
#[test]
fn a_service_that_has_nobody_says_so_at_once() {
    let upstream = Upstream::named("a");
    let fulcrum = start("");
    let check = || {
        let began = Instant::now();
        assert_eq!(fulcrum.get("/").status, 503);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    };
    check();
    fulcrum.register("web/a", upstream.address(), json!({}));
    await_shares(&fulcrum, [("a", 2)]);
    fulcrum.leave("web/a", "");
    fulcrum.await_endpoints("app", 0);
    check();
}

#[test]
fn heartbeats_keep_an_instance_and_silence_does_not() {
    let (beating, silent) = (Upstream::named("beating"), Upstream::named("silent"));
    let fulcrum = start(IN_TURN);
    let epoch = fulcrum.register("web/beating", beating.address(), json!({ "ttl": "3s" }))["epoch"].clone();
    fulcrum.register("web/silent", silent.address(), json!({ "ttl": "3s" }));
    await_shares(&fulcrum, [("beating", 5), ("silent", 5)]);
    let began = Instant::now();
    eventually("the silent one is gone", || {
        let beat = fulcrum.beat("web/beating", &epoch);
        assert_eq!((beat.status, &beat.json()["state"]), (200, &"up".into()), "{}", beat.text());
        fulcrum.instance("web/silent").is_none().then_some(())
    });
    assert!(began.elapsed() > Duration::from_millis(2500), "it has its time: {:?}", began.elapsed());
    await_shares(&fulcrum, [("beating", 10)]);
    let gone = fulcrum.beat("web/silent", &1.into());
    assert_eq!((gone.status, &gone.json()["code"]), (404, &"unknown".into()), "{}", gone.text());
    assert!(
        gone.json()["re_register_after_ms"].as_u64().is_some_and(|wait| wait <= 15_000),
        "{}",
        gone.text()
    );
    assert_eq!(fulcrum.metric("fulcrum_registry_evictions_total", &[]), 1.0);
}

#[test]
fn the_last_one_stays_while_nothing_is_known_against_it() {
    let upstream = Upstream::named("last");
    let fulcrum = start("");
    fulcrum.register("web/last", upstream.address(), json!({ "ttl": "3s" }));
    let is_suspect = |instance: &Value| instance["suspect"] == "last_instance";
    eventually("it is suspect", || fulcrum.instance("web/last").filter(is_suspect));
    assert_eq!(fulcrum.get("/").text(), "last");
    assert_eq!(fulcrum.metric("fulcrum_registry_suspects", &[]), 1.0);
    fulcrum.beat("web/last", &1.into());
    eventually("it is believed again", || {
        fulcrum.instance("web/last").filter(|instance| instance["health"] == "ok")
    });
}

#[test]
fn who_was_replaced_is_told_to_end() {
    let (old, new) = (Upstream::named("old"), Upstream::named("new"));
    let fulcrum = start("");
    fulcrum.register("web/a", old.address(), json!({ "incarnation": "first" }));
    await_shares(&fulcrum, [("old", 3)]);
    let again = fulcrum.register("web/a", old.address(), json!({ "incarnation": "first" }));
    assert_eq!(again["epoch"], 1, "a retry is no other process: {again}");
    let answer = fulcrum.register("web/a", new.address(), json!({ "incarnation": "second" }));
    assert_eq!(answer["epoch"], 2);
    await_shares(&fulcrum, [("new", 3)]);
    let beat = fulcrum.beat("web/a", &1.into());
    assert_eq!((beat.status, &beat.json()["code"]), (409, &"stale_epoch".into()), "{}", beat.text());
    let late = fulcrum.ask_registry("DELETE", "/v1/services/web/instances/a?epoch=1", "");
    assert_eq!(late.status, 409, "{}", late.text());
    await_shares(&fulcrum, [("new", 3)]);
}

/// Nothing new reaches it; whoever is pinned to it may finish.
#[test]
fn a_draining_instance_keeps_its_clients_and_gets_no_others() {
    let upstreams = ["a", "b"].map(Upstream::named);
    let fulcrum = start(", balance: round_robin, slow_start: none, sticky: cookie");
    for (id, upstream) in ["a", "b"].iter().zip(&upstreams) {
        fulcrum.register(&format!("web/{id}"), upstream.address(), json!({}));
    }
    fulcrum.await_endpoints("app", 2);
    let first = fulcrum.get("/");
    let home = first.text();
    let other = if home == "a" { "b" } else { "a" };
    let cookie = first.field("set-cookie").expect("it is pinned").split(';').next().expect("a first part");
    let pinned = format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n");

    fulcrum.leave(&format!("web/{home}"), "?drain=4s&reason=deploy");
    eventually("the data plane knows", || {
        fulcrum.endpoints("app").iter().any(|endpoint| endpoint["state"] == "draining").then_some(())
    });
    assert_eq!(fulcrum.beat(&format!("web/{home}"), &1.into()).json()["state"], "draining");
    assert_eq!(shares(&mut fulcrum.connect(), 10).get(&home), None, "nothing new");
    let again = fulcrum.connect().ask(&pinned);
    assert_eq!((again.text(), again.field("set-cookie")), (home.clone(), None), "the pin holds");

    fulcrum.await_endpoints("app", 1);
    assert_eq!(fulcrum.instance(&format!("web/{home}")), None, "its time is over");
    let moved = fulcrum.connect().ask(&pinned);
    assert_eq!(moved.text(), other);
    assert!(moved.field("set-cookie").is_some(), "and pinned anew");
}

#[test]
fn what_is_under_way_at_an_instance_that_leaves_is_finished() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let upstream = Upstream::new(move |mut conversation| {
        while conversation.request().is_some() {
            let _ = gate.lock().expect("nobody panics with the gate").recv();
            conversation.send(crate::harness::ok("done"));
        }
    });
    let fulcrum = start("");
    fulcrum.register("web/a", upstream.address(), json!({}));
    fulcrum.await_endpoints("app", 1);
    let mut client = fulcrum.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    upstream.await_requests(1);
    fulcrum.leave("web/a", "");
    fulcrum.await_endpoints("app", 0);
    assert_eq!(fulcrum.get("/").status, 503);
    release.send(()).expect("the upstream waits");
    assert_eq!(client.response().text(), "done");
}

#[test]
fn what_cannot_be_changes_nothing() {
    let upstream = Upstream::named("a");
    let fulcrum = start("");
    fulcrum.register("web/a", upstream.address(), json!({}));
    await_shares(&fulcrum, [("a", 3)]);
    let put = |path: &str, body: &str| fulcrum.ask_registry("PUT", path, body);
    let rows = [
        (put("/v1/services/web/instances/a", "{"), 400),
        (put("/v1/services/web/instances/a", "{}"), 400),
        (put("/v1/services/web/instances/a", r#"{"port":0}"#), 422),
        (put("/v1/services/web/instances/a", r#"{"port":1,"ttl":"1s"}"#), 422),
        (put("/v1/services/web/instances/%00", r#"{"port":1}"#), 400),
        (put("/v1/services/web/instances/a/lease", r#"{"epoch":7}"#), 409),
        (put("/v1/services/web/instances/b/lease", ""), 404),
        (fulcrum.ask_registry("DELETE", "/v1/services/web/instances/b", ""), 404),
        (fulcrum.ask_registry("POST", "/v1/services/web/instances/a", ""), 405),
    ];
    for (place, (response, status)) in rows.iter().enumerate() {
        assert_eq!(response.status, *status, "row {place}: {}", response.text());
        assert_eq!(response.field("content-type"), Some("application/problem+json"), "row {place}");
    }
    hold_share(&fulcrum);
}

#[track_caller]
fn hold_share(fulcrum: &Fulcrum) {
    hold("it is served", Duration::from_millis(200), || fulcrum.get("/").text() == "a");
}
