//! The file that the registry is kept in: one daemon's alone, and never touched when it is not whole.

use std::fs;

use serde_json::json;

use super::{start, yaml};
use crate::harness::{Fulcrum, Output, fulcrum};

/// A second daemon with this configuration, which does not start.
#[track_caller]
fn refused(directory: &std::path::Path, yaml: &str) -> Output {
    let file = directory.join("second.yaml");
    let yaml = yaml.replace("@DIR@", &directory.display().to_string());
    fs::write(&file, format!("version: 1\nadmin: {{ socket: none }}\n{yaml}")).expect("room for a file");
    let output = fulcrum(["run".as_ref(), "-c".as_ref(), file.as_os_str()]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(64), ""), "{}", output.stderr);
    output
}

#[test]
fn a_second_daemon_is_refused_and_told_who_is_there() {
    let first = start("");
    first.register("web/a", "127.77.0.1:1", json!({}));
    let output = refused(first.directory(), &yaml("", ""));
    let store = first.directory().join("state/registry.redb").display().to_string();
    for part in ["registry.store", &store, "another daemon", &first.child.pid().to_string()] {
        assert!(output.stderr.contains(part), "no {part} in {}", output.stderr);
    }
    assert!(!output.stderr.contains("move it away"), "no advice that does harm: {}", output.stderr);
    assert!(first.instance("web/a").is_some(), "the first one is as it was");
    first.register("web/b", "127.77.0.1:2", json!({}));
}

#[test]
fn a_file_that_is_no_registry_is_left_as_it_is() {
    let mut whole = start("");
    whole.register("web/a", "127.77.0.1:1", json!({}));
    assert_eq!(whole.stop(), Some(0));
    let store = whole.directory().join("state/registry.redb");
    let good = fs::read(&store).expect("it is there");
    let damaged = |from: usize, to: usize| {
        let mut bytes = good.clone();
        bytes[from..to].fill(0x5a);
        bytes
    };
    let cases = [b"not a registry at all".to_vec(), good[..good.len() / 2].to_vec(), damaged(0, 512)];
    for (place, bytes) in cases.iter().enumerate() {
        fs::write(&store, bytes).expect("room for a file");
        let output = refused(whole.directory(), &yaml("", ""));
        for part in ["registry.store", &store.display().to_string(), "move it away"] {
            assert!(output.stderr.contains(part), "case {place}: no {part} in {}", output.stderr);
        }
        assert!(fs::read(&store).expect("it is there") == *bytes, "case {place}: the file was touched");
    }
    // The way out that was named.
    fs::rename(&store, whole.directory().join("broken")).expect("in one folder");
    whole.restart();
    assert!(whole.instance("web/a").is_none(), "it has begun anew");
    whole.register("web/a", "127.77.0.1:1", json!({}));
}

#[test]
fn of_a_damaged_file_only_our_own_word_is_told() {
    let mut whole = start("");
    for place in 0..40 {
        whole.register(&format!("web-{}/i{place}", place % 7), "127.77.0.1:1", json!({}));
    }
    assert_eq!(whole.stop(), Some(0));
    let store = whole.directory().join("state/registry.redb");
    let good = fs::read(&store).expect("it is there");
    let check = || fulcrum(["registry".as_ref(), "check".as_ref(), store.as_os_str()]);
    let mut refused = 0;
    // Numbers that redb believes are in the header and at the beginnings of pages.
    let headers = (0..512).step_by(5);
    let pages = (1..good.len() / 4096).flat_map(|page| [0, 1, 2, 3, 4, 8, 17].map(|at| page * 4096 + at));
    for place in headers.chain(pages.step_by(good.len() / 4096 / 40 + 1)) {
        let mut bytes = good.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&store, &bytes).expect("room for a file");
        let output = check();
        assert!(!output.stderr.contains("panicked"), "{place}: {}", output.stderr);
        if output.code != Some(0) {
            let is_ours = output.stderr.starts_with("error: ") && output.stderr.lines().count() <= 3;
            assert!(is_ours && output.code == Some(1), "{place}: {:?} {}", output.code, output.stderr);
            refused += 1;
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn a_folder_that_cannot_be_made_and_a_taken_port_are_told() {
    let first = start("");
    let directory = tempfile::tempdir().expect("room for a directory");
    let taken =
        yaml("", "").replace("127.0.0.1:0\" }\nlisteners", &format!("{}\" }}\nlisteners", first.registry()));
    let output = refused(directory.path(), &taken);
    assert!(
        output.stderr.contains("registry") && output.stderr.contains(first.registry()),
        "{}",
        output.stderr
    );

    fs::write(directory.path().join("file"), "").expect("room for a file");
    let output = refused(directory.path(), &yaml(", store: { embedded: \"@DIR@/file/registry.redb\" }", ""));
    assert!(output.stderr.contains("/file"), "{}", output.stderr);
}

#[test]
fn check_tells_every_mistake_of_the_section() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let file = directory.path().join("bad.yaml");
    let text = "version: 1\nregistry:\n  bind: \"localhost\"\n  ttl: 1s\n  evict_max: 200%\n  ttls: 3s\n  \
        allow_addresses: [everyone]\n  tokens:\n    - { name: web, secret: \"\", grants: [\"register:a*b\", write] }\n\
        services: { app: { discovery: { registry: \"no name\" } } }\nroutes: [{ to: app }]\n";
    fs::write(&file, text).expect("room for a file");
    let output = fulcrum(["check".as_ref(), file.as_os_str()]);
    assert_eq!(output.code, Some(64), "{}", output.stdout);
    for part in
        ["localhost", "1s", "evict_max", "ttls", "everyone", "token is empty", "a*b", "write", "no name"]
    {
        assert!(output.stderr.contains(part), "no {part} in {}", output.stderr);
    }
    assert!(output.stderr.contains("did you mean `127.0.0.1:8500`?"), "{}", output.stderr);
    let places = output.stderr.matches("--> ").count();
    assert!(places >= 9, "{places} of 9 have a place: {}", output.stderr);

    let alone = "version: 1\nservices: { app: { discovery: { registry: web } } }\nroutes: [{ to: app }]\n\
        listeners: { web: { bind: \":0\" } }\n";
    fs::write(&file, alone).expect("room for a file");
    let output = fulcrum(["check".as_ref(), file.as_os_str()]);
    assert_eq!(output.code, Some(64), "there is no registry to follow: {}", output.stdout);
    assert!(output.stderr.contains("registry"), "{}", output.stderr);
}

/// Two daemons with files of their own know nothing of each other.
#[test]
fn two_registries_live_side_by_side() {
    let (one, other) = (start(""), Fulcrum::start(&yaml("", "")));
    one.register("web/a", "127.77.0.1:1", json!({}));
    assert!(other.instance("web/a").is_none());
    let epoch =
        |fulcrum: &Fulcrum| fulcrum.ask_registry("GET", "/v1/services", "").json()["store_epoch"].clone();
    assert_ne!(epoch(&one), epoch(&other));
}
