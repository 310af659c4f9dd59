//! What of the registry follows a changed file, and what asks for a restart.

use serde_json::json;

use super::{await_shares, start, yaml};
use crate::harness::{Fulcrum, Upstream, path_of, registration};

fn with_token(secret: &str, grants: &str) -> String {
    yaml(&format!(", tokens: [{{ name: web, secret: \"{secret}\", grants: [{grants}] }}]"), "")
}

#[track_caller]
fn status_with(fulcrum: &Fulcrum, token: &str) -> u16 {
    let body = registration("127.0.0.1:1", json!({}));
    fulcrum.ask_registry_as(token, "PUT", &path_of("web/a"), &body).status
}

#[test]
fn other_tokens_open_at_once_and_the_old_ones_no_more() {
    let fulcrum = Fulcrum::start(&with_token("the-first-secret-of-this-test", "\"register:*\""));
    assert_eq!(status_with(&fulcrum, "the-first-secret-of-this-test"), 201);
    assert_eq!(status_with(&fulcrum, "the-second-secret-of-this-test"), 401);
    assert_eq!(status_with(&fulcrum, ""), 401, "with tokens nobody is trusted for being near");
    // A connection that was open before follows, too.
    let mut kept = crate::harness::Client::connect(fulcrum.registry());
    let question = "GET /v1/services/web/instances/a HTTP/1.1\r\nHost: localhost\r\n\
        Authorization: Bearer the-first-secret-of-this-test\r\n\r\n";
    assert_eq!(kept.ask(question).status, 200);

    fulcrum.change(&with_token("the-second-secret-of-this-test", "\"register:*\""));
    assert_eq!(status_with(&fulcrum, "the-first-secret-of-this-test"), 401);
    assert_eq!(status_with(&fulcrum, "the-second-secret-of-this-test"), 200);
    assert_eq!(kept.ask(question).status, 401);

    fulcrum.change(&with_token("the-second-secret-of-this-test", "read"));
    assert_eq!(status_with(&fulcrum, "the-second-secret-of-this-test"), 403);
    fulcrum.change(&yaml("", ""));
    let gone = fulcrum.ask_registry("DELETE", &path_of("web/a"), "");
    assert_eq!(gone.status, 204, "without tokens this machine may do everything: {}", gone.text());
    assert_eq!(status_with(&fulcrum, ""), 201);
}

#[test]
fn another_ttl_counts_for_whoever_registers_then() {
    let fulcrum = start("");
    let ttl = |id: &str| fulcrum.register(id, "127.0.0.1:1", json!({}))["ttl_ms"].clone();
    assert_eq!(ttl("web/a"), 30_000);
    fulcrum.change(&yaml(", ttl: 7s", ""));
    assert_eq!(ttl("web/b"), 7000);
    assert_eq!(fulcrum.instance("web/a").expect("it is there")["ttl_ms"], 30_000);
}

#[test]
fn allowed_networks_and_the_rate_follow() {
    let fulcrum = start("");
    let put = |id: &str, ip: &str| {
        let body = registration(&format!("{ip}:80"), json!({}));
        fulcrum.ask_registry("PUT", &path_of(id), &body).status
    };
    assert_eq!(put("web/a", "10.1.2.3"), 403);
    fulcrum.change(&yaml(", allow_addresses: [registrant, 10.0.0.0/8]", ""));
    assert_eq!(put("web/a", "10.1.2.3"), 201);
    fulcrum.change(&yaml(", allow_addresses: [10.0.0.0/8], register_rate: 1/s", ""));
    assert_eq!(put("web/b", "127.0.0.1"), 403);
    let statuses: Vec<u16> = (0..5).map(|_| put("web/c", "10.1.2.3")).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[test]
fn another_place_asks_for_a_restart_and_changes_nothing() {
    let upstream = Upstream::named("a");
    let fulcrum = start("");
    fulcrum.register("web/a", upstream.address(), json!({}));
    await_shares(&fulcrum, [("a", 3)]);
    let bind = yaml("", "").replace("registry: { bind: \"127.0.0.1:0\"", "registry: { bind: \"127.0.0.2:0\"");
    let store = yaml(", store: { embedded: \"@DIR@/other.redb\" }", "");
    let none = "listeners: { web: { bind: \"127.0.0.1:0\" } }\nroutes: [{ respond: { status: 204 } }]\n";
    for (name, text, part) in [
        ("bind", bind.as_str(), "to change `bind` or `store` restart the daemon"),
        ("store", store.as_str(), "to change `bind` or `store` restart the daemon"),
        ("none", none, "to remove it restart the daemon"),
    ] {
        fulcrum.move_config(text);
        let output = fulcrum.reload_with(&["--wait"]);
        assert_eq!(output.code, Some(1), "{name}: {}", output.stdout);
        assert!(output.stderr.contains(part), "{name}: {}", output.stderr);
        assert!(output.stderr.contains("nothing has changed"), "{name}: {}", output.stderr);
        assert_eq!(fulcrum.generation(), 1, "{name}");
        await_shares(&fulcrum, [("a", 3)]);
        assert!(fulcrum.instance("web/a").is_some(), "{name}");
    }
    assert!(!fulcrum.directory().join("other.redb").exists(), "nothing was made");

    let plain = Fulcrum::start(none);
    plain.move_config(&yaml("", ""));
    let output = plain.reload_with(&["--wait"]);
    assert_eq!(output.code, Some(1), "{}", output.stdout);
    assert!(output.stderr.contains("to add one restart the daemon"), "{}", output.stderr);
    assert_eq!((plain.get("/").status, plain.generation()), (204, 1));
}
