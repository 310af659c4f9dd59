//! The registry's file without its daemon: looked at, written down, made anew.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{start, yaml};
use crate::harness::{Fulcrum, Output, Upstream, fulcrum};

/// `fulcrum registry …` on a file.
#[track_caller]
fn command(words: &str, file: &Path) -> Output {
    fulcrum(["registry"].into_iter().chain(words.split(' ')).chain([file.to_str().expect("ASCII")]))
}

/// What it says where it works.
#[track_caller]
fn told(words: &str, file: &Path) -> String {
    let output = command(words, file);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{words}");
    output.stdout
}

/// What it says where it refuses: nothing on standard output.
#[track_caller]
fn refused(words: &str, file: &Path) -> String {
    let output = command(words, file);
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{words}: {}", output.stderr);
    output.stderr
}

fn store(fulcrum: &Fulcrum) -> PathBuf {
    fulcrum.directory().join("state/registry.redb")
}

/// One that gets traffic, one under an order, one that has gone and left an order behind.
#[track_caller]
fn populate(fulcrum: &Fulcrum, upstream: &Upstream) {
    fulcrum.register(
        "web/a",
        upstream.address(),
        json!({ "meta": { "version": "1" }, "incarnation": "one" }),
    );
    fulcrum.register("web/b", "127.77.0.1:1", json!({ "tags": ["blue"] }));
    fulcrum.order("web/b", &json!({ "state": "maintenance", "weight": 7, "reason": "disk" }));
    fulcrum.register("db/c", "127.77.0.1:2", json!({ "incarnation": "one" }));
    fulcrum.order("db/c", &json!({ "state": "drain", "reason": "old" }));
    fulcrum.leave("db/c", "");
}

#[test]
fn everything_moves_to_a_new_file() {
    let upstream = Upstream::named("a");
    let mut daemon = start("");
    populate(&daemon, &upstream);
    let list = |fulcrum: &Fulcrum| fulcrum.ask_registry("GET", "/v1/services/web/instances", "").json();
    let before = list(&daemon);
    daemon.child.signal(Signal::KILL);
    daemon.child.end();
    let old = store(&daemon);
    let bytes = fs::read(&old).expect("it is there");
    let line = told("check", &old);
    assert!(line.contains("whole: 1 services, 2 instances, 2 orders, 1 departed; history "), "{line}");
    let document = told("export", &old);
    assert!(fs::read(&old).expect("it is there") == bytes, "a look changes nothing, also after a kill");

    let saved = daemon.directory().join("saved.json");
    fs::write(&saved, &document).expect("room for a file");
    let new = daemon.directory().join("new.redb");
    told(&format!("import --from {}", saved.display()), &new);
    let history =
        |file: &Path| -> Value { serde_json::from_str(&told("check --format json", file)).expect("JSON") };
    assert_ne!(history(&new)["store_epoch"], history(&old)["store_epoch"]);
    assert_eq!(history(&new)["sequence"], history(&old)["sequence"]);
    let again = told("export", &new);
    let rest = |text: &str| text.split_once("\"sequence\"").expect("it is there").1.to_owned();
    assert_eq!(rest(&again), rest(&document));

    fs::rename(&new, &old).expect("in one folder");
    daemon.restart();
    assert_eq!(daemon.get("/").text(), "a");
    assert_eq!(list(&daemon)["instances"], before["instances"], "nobody has to register again");
    assert_eq!(daemon.beat("web/a", &1.into()).status, 200);
    let back = daemon.register("db/c", "127.77.0.1:2", json!({ "incarnation": "two" }));
    assert_eq!(back["epoch"], 2, "numbers are not given out again");
    assert!(back["sequence"].as_u64() > history_of(&document), "{back}");
    assert_eq!(
        daemon.instance("db/c").expect("it is there")["state"],
        "draining",
        "an order waits for its return"
    );
}

fn history_of(document: &str) -> Option<u64> {
    serde_json::from_str::<Value>(document).expect("JSON")["sequence"].as_u64()
}

#[test]
fn a_file_in_use_is_refused_and_its_holder_named() {
    let daemon = start("");
    daemon.register("web/a", "127.77.0.1:1", json!({}));
    for words in ["check", "export"] {
        let said = refused(words, &store(&daemon));
        for part in [&store(&daemon).display().to_string(), "another daemon", &daemon.child.pid().to_string()]
        {
            assert!(said.contains(part), "{words}: no {part} in {said}");
        }
    }
    let document = daemon.directory().join("empty.json");
    let text = r#"{"format":1,"store_epoch":"00","sequence":0,"instances":[],"departed":[]}"#;
    fs::write(&document, text).expect("room for a file");
    let said = refused(&format!("import --from {}", document.display()), &store(&daemon));
    assert!(said.contains("there already"), "{said}");
    daemon.register("web/b", "127.77.0.1:2", json!({}));
}

#[test]
fn what_is_no_registry_is_left_as_it_is() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let file = directory.path().join("broken.redb");
    let text = "not a registry at all";
    fs::write(&file, text).expect("room for a file");
    for words in ["check", "export", "check --format json"] {
        let said = refused(words, &file);
        assert!(said.contains("not a whole registry") && said.contains("move it away"), "{words}: {said}");
    }
    let new = directory.path().join("new.redb");
    let said = refused(&format!("import --from {}", file.display()), &new);
    assert!(said.contains("broken.redb: not an export of a registry"), "{said}");
    let said = refused("import --from /nowhere/saved.json", &new);
    assert!(said.contains("/nowhere/saved.json"), "{said}");
    let said = refused("check", &new);
    assert!(said.contains("new.redb"), "nothing was made: {said}");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), text);
    let names = fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(names, 1, "nothing is left behind");
}

#[test]
fn the_configuration_says_where_the_file_is() {
    let mut daemon = start("");
    daemon.register("web/a", "127.77.0.1:1", json!({}));
    assert_eq!(daemon.stop(), Some(0));
    let line = told("check --config", &daemon.directory().join("fulcrum.yaml"));
    assert!(
        line.starts_with(&format!("{}: whole: 1 services, 1 instances", store(&daemon).display())),
        "{line}"
    );

    let file = daemon.directory().join("other.yaml");
    let without =
        "version: 1\nlisteners: { web: { bind: \":0\" } }\nroutes: [{ respond: { status: 200 } }]\n";
    for (text, expected) in [(without.to_owned(), "has no registry"), (yaml(", ttls: 1s", ""), "ttls")] {
        fs::write(&file, text).expect("room for a file");
        let output = command("export --config", &file);
        assert_eq!((output.code, output.stdout.as_str()), (Some(64), ""), "{}", output.stderr);
        assert!(output.stderr.contains(expected), "no {expected} in {}", output.stderr);
    }
    assert_eq!(fulcrum(["registry"]).code, Some(2));
    assert_eq!(fulcrum(["registry", "repair", "file"]).code, Some(2));
}
