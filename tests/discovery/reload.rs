//! Configurations that change where endpoints are found.

use std::fs;

use serde_json::Value;

use super::{await_shares, list, yaml};
use crate::harness::{Fulcrum, Upstream, eventually};

#[test]
fn another_source_takes_over_with_its_first_word() {
    let [a, b] = ["a", "b"].map(Upstream::named);
    let folder = tempfile::tempdir().expect("room for a directory");
    fs::write(folder.path().join("a.json"), list(&[a.address()])).expect("written");
    let daemon = Fulcrum::start_in(folder, &yaml("file: \"@DIR@/a.json\"", ""));
    await_shares(&daemon, [("a", 3)]);
    // Twice: what is kept is what the service has, not what the last source would say.
    for name in ["none", "b"] {
        daemon.change(&yaml(&format!("file: \"@DIR@/{name}.json\""), ""));
        let is_missing = |status: &Value| {
            status["last_failure"] == "missing"
                && status["source"].as_str().is_some_and(|path| path.ends_with(&format!("/{name}.json")))
        };
        eventually("it is looked for", || is_missing(&daemon.status()["discovery"][0]).then_some(()));
        assert_eq!(daemon.get("/").text(), "a");
    }
    fs::write(daemon.directory().join("b.json"), list(&[b.address()])).expect("written");
    await_shares(&daemon, [("b", 3)]);
    // Back and forth at once: what was forgotten in between is told again.
    for name in ["a", "b", "a"] {
        daemon.change(&yaml(&format!("file: \"@DIR@/{name}.json\""), ""));
    }
    await_shares(&daemon, [("a", 3)]);
    assert_eq!(daemon.status()["discovery"].as_array().map(Vec::len), Some(1));
    // Without a source nothing of it is left.
    let fixed = yaml("file: \"/x\"", &format!(", endpoints: [\"{}\"]", b.address()));
    daemon.change(&fixed.replace("discovery: { file: \"/x\" }, ", ""));
    await_shares(&daemon, [("b", 3)]);
    eventually("nothing is followed", || {
        daemon.status()["discovery"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
}

#[test]
fn a_reload_keeps_what_was_found() {
    let a = Upstream::named("a");
    let folder = tempfile::tempdir().expect("room for a directory");
    fs::write(folder.path().join("a.json"), list(&[a.address()])).expect("written");
    let text = yaml("file: \"@DIR@/a.json\"", "");
    let daemon = Fulcrum::start_in(folder, &text);
    await_shares(&daemon, [("a", 1)]);
    let mut client = daemon.connect();
    for number in 0..10 {
        let other = format!("routes: [{{ path: /{number}, respond: {{ status: 204 }} }}, ");
        daemon.change(&text.replace("routes: [", &other));
        assert_eq!(client.get(&format!("/{number}")).status, 204);
        assert_eq!(client.get("/").text(), "a");
    }
    assert_eq!(a.connections(), 1, "not even its connection was lost");
}
