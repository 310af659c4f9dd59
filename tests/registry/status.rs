//! What operators see of the registry.

use serde_json::{Value, json};

use super::start;
use crate::harness::{Fulcrum, Setup, Upstream, eventually, fulcrum};

#[track_caller]
fn text(daemon: &Fulcrum) -> String {
    let output = fulcrum(["status", "--admin", &daemon.admin()]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    output.stdout
}

#[test]
fn the_status_tells_of_the_registry() {
    let daemon = start("");
    let empty = daemon.status()["registry"].clone();
    let found = (&empty["address"], &empty["instances"], &empty["last_commit_seconds"], &empty["mood"]);
    assert_eq!(found, (&daemon.registry().into(), &0.into(), &Value::Null, &"normal".into()), "{empty}");
    daemon.register("web/a", "127.77.0.1:1", json!({ "ttl": "3s" }));
    daemon.register("web/b", "127.77.0.1:2", json!({ "ttl": "1h" }));
    daemon.register("db/a", "127.77.0.1:3", json!({ "ttl": "1h" }));
    daemon.leave("db/a", "");
    let full = daemon.status()["registry"].clone();
    let found = (&full["services"], &full["instances"], &full["suspects"], &full["sequence"]);
    assert_eq!(found, (&1.into(), &2.into(), &0.into(), &4.into()), "{full}");
    assert!(full["watchers"].as_u64() >= Some(1), "the data plane follows: {full}");
    assert!(full["last_commit_seconds"].as_f64().is_some_and(|seconds| seconds < 10.0), "{full}");
    assert_eq!(full["writable"], true);
    let line = format!("registry {}: 1 services, 2 instances, 0 suspect,", daemon.registry());
    assert!(text(&daemon).contains(&line), "{}", text(&daemon));
}

#[test]
fn suspects_are_named_with_the_reason() {
    let upstream = Upstream::named("last");
    let daemon = start("");
    daemon.register("web/last", upstream.address(), json!({ "ttl": "3s" }));
    let registry = eventually("it is suspect", || {
        Some(daemon.status()["registry"].clone()).filter(|registry| registry["suspects"] == 1)
    });
    let suspect = &registry["first_suspects"][0];
    let found = (&suspect["service"], &suspect["instance"], &suspect["hold"]);
    assert_eq!(found, (&"web".into(), &"last".into(), &"last_instance".into()), "{registry}");
    let since = suspect["since"].as_str().expect("a time");
    let table = text(&daemon);
    assert!(
        table.contains("web/last") && table.contains("last_instance") && table.contains(since),
        "{table}"
    );
    daemon.beat("web/last", &1.into());
    eventually("it is believed", || (daemon.status()["registry"]["suspects"] == 0).then_some(()));
}

#[test]
fn without_a_registry_nothing_is_told_of_one() {
    let upstream = Upstream::named("app");
    let daemon = Setup::new(&upstream).start();
    assert!(daemon.status().get("registry").is_none());
    assert!(!text(&daemon).contains("registry"));
    assert_eq!(daemon.ready["registry"], json!([]));
}
