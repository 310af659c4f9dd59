//! Lists in files, changed in all the ways that people change files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::{await_failure, await_shares, list, looks, sources, yaml};
use crate::harness::{Fulcrum, Upstream, eventually, fulcrum, hold};

const FILE: &str = "file: \"@DIR@/web.json\"";

fn folder() -> TempDir {
    tempfile::tempdir().expect("room for a directory")
}

/// A daemon whose service has this list from the start.
#[track_caller]
fn start(text: &str) -> Fulcrum {
    let folder = folder();
    fs::write(folder.path().join("web.json"), text).expect("room for a file");
    Fulcrum::start_in(folder, &yaml(FILE, ""))
}

/// Writes a list as careful programs do.
fn replace(folder: &Path, text: &str) {
    let beside = folder.join("next.json");
    fs::write(&beside, text).expect("room for a file");
    fs::rename(beside, folder.join("web.json")).expect("a rename in one folder");
}

#[test]
fn a_file_is_followed() {
    let [a, b, c] = ["a", "b", "c"].map(Upstream::named);
    let daemon = start(&list(&[a.address(), b.address()]));
    await_shares(&daemon, [("a", 5), ("b", 5)]);
    replace(daemon.directory(), &list(&[b.address(), c.address()]));
    await_shares(&daemon, [("b", 5), ("c", 5)]);
    // In place, with weights and one that takes nothing.
    let text = json!([
        { "id": "one", "address": a.address(), "weight": 3 },
        { "id": "two", "address": b.address() },
        { "id": "three", "address": c.address(), "state": "maintenance" },
    ]);
    fs::write(daemon.directory().join("web.json"), text.to_string()).expect("room for a file");
    await_shares(&daemon, [("a", 6), ("b", 2)]);
    let endpoints = daemon.endpoints("app");
    let shown: Vec<_> = endpoints.iter().map(|one| (one["id"].as_str(), one["state"].as_str())).collect();
    let expected = [("one", "up"), ("two", "up"), ("three", "maintenance")];
    assert_eq!(shown, expected.map(|(id, state)| (Some(id), Some(state))));

    assert_eq!(daemon.metric("fulcrum_discovery_changes_total", &[("kind", "file")]), 3.0);
    assert_eq!((sources(&daemon, "file", "ok"), sources(&daemon, "file", "failing")), (1.0, 0.0));
    let status = daemon.status()["discovery"][0].clone();
    let path = daemon.directory().join("web.json").display().to_string();
    assert_eq!(
        (&status["service"], &status["kind"], &status["source"]),
        (&"app".into(), &"file".into(), &path.as_str().into())
    );
    assert_eq!(
        (&status["endpoints"], &status["failures"], &status["detail"]),
        (&3.into(), &0.into(), &json!(null))
    );
    assert!(status["last_success"].is_string() && status["age_seconds"].as_f64() < Some(60.0), "{status}");
    let table = fulcrum(["status", "--admin", &daemon.admin()]).stdout;
    let line = table.lines().find(|line| line.contains(&path)).expect("a line");
    assert!(line.starts_with("app ") && line.contains(" ago "), "{line}");
}

/// As Kubernetes does with all files of a ConfigMap.
#[test]
fn a_file_behind_links_is_followed() {
    let [a, b] = ["a", "b"].map(Upstream::named);
    let folder = folder();
    let at = |path: &str| folder.path().join(path);
    for (version, upstream) in [("..1", &a), ("..2", &b)] {
        fs::create_dir(at(version)).expect("made");
        fs::write(at(version).join("web.json"), list(&[upstream.address()])).expect("written");
    }
    symlink("..1", at("..data")).expect("linked");
    symlink("..data/web.json", at("web.json")).expect("linked");
    let daemon = Fulcrum::start_in(folder, &yaml(FILE, ""));
    await_shares(&daemon, [("a", 3)]);
    let at = |path: &str| daemon.directory().join(path);
    symlink("..2", at("..next")).expect("linked");
    fs::rename(at("..next"), at("..data")).expect("a rename in one folder");
    await_shares(&daemon, [("b", 3)]);
    fs::remove_dir_all(at("..1")).expect("it is there");
    // What it leads to now is what is followed.
    fs::write(at("..2/web.json"), list(&[a.address()])).expect("written");
    await_shares(&daemon, [("a", 3)]);
}

#[test]
fn a_bad_file_takes_nothing_away() {
    let upstream = Upstream::named("a");
    let good = list(&[upstream.address()]);
    let daemon = start(&good);
    await_shares(&daemon, [("a", 3)]);
    let bad = r#"["10.0.0.1:80", "app:80", { "address": "10.0.0.2:80", "weight": 0 }, 7]"#;
    replace(daemon.directory(), bad);
    let status = await_failure(&daemon, "malformed");
    assert_eq!(
        status["detail"],
        "endpoint 2: \"app:80\" is not an address like \"10.0.0.1:8080\"; \
         endpoint 3: weight 0 is not from 1 to 65535; \
         endpoint 4: expected an address or an object, found a number"
    );
    assert!(daemon.child.stderr().contains("endpoint 3: weight 0"), "every mistake is in the log");
    let table = fulcrum(["status", "--admin", &daemon.admin()]).stdout;
    assert!(table.contains("endpoint 4: expected an address"), "{table}");
    await_shares(&daemon, [("a", 3)]);
    assert_eq!(sources(&daemon, "file", "failing"), 1.0);

    // Half of it, nothing of it, none of it, too much of it.
    fs::write(daemon.directory().join("web.json"), &good[..good.len() - 1]).expect("written");
    eventually("it breaks off", || {
        let status = daemon.status()["discovery"][0]["detail"].clone();
        status.as_str().expect("a failure").starts_with("no JSON: EOF").then_some(())
    });
    fs::remove_file(daemon.directory().join("web.json")).expect("it is there");
    await_failure(&daemon, "missing");
    replace(daemon.directory(), &" ".repeat((8 << 20) + 1));
    await_failure(&daemon, "too_large");
    let many: Vec<String> = (0..50_001).map(|number| format!("127.1.1.1:{}", 1 + number % 65_535)).collect();
    replace(daemon.directory(), &json!(many).to_string());
    await_failure(&daemon, "too_many");
    await_shares(&daemon, [("a", 3)]);
    for reason in ["malformed", "missing", "too_large", "too_many"] {
        assert!(looks(&daemon, "file", reason) >= 1.0, "{reason} is counted");
    }

    replace(daemon.directory(), &good);
    eventually("it is good again", || (sources(&daemon, "file", "ok") == 1.0).then_some(()));
    assert_eq!(daemon.metric("fulcrum_discovery_changes_total", &[("kind", "file")]), 1.0);
    assert!(daemon.child.stderr().contains("tells endpoints again"));
    assert_eq!(upstream.connections(), 1, "not even its connection was lost");
}

#[test]
fn an_empty_list_is_what_it_says() {
    let upstream = Upstream::named("a");
    let daemon = start(&list(&[upstream.address()]));
    await_shares(&daemon, [("a", 3)]);
    replace(daemon.directory(), "");
    await_failure(&daemon, "malformed");
    assert_eq!(daemon.get("/").text(), "a");
    replace(daemon.directory(), "[]");
    daemon.await_endpoints("app", 0);
    assert_eq!(daemon.get("/").status, 503);
}

#[test]
fn requests_wait_for_the_first_word() {
    let upstream = Upstream::named("a");
    let daemon = Fulcrum::start(&yaml(FILE, ""));
    let mut client = daemon.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await_failure(&daemon, "missing");
    assert_eq!(sources(&daemon, "file", "failing"), 1.0);
    replace(daemon.directory(), &list(&[upstream.address()]));
    assert_eq!(client.response().text(), "a");
}

/// A new endpoint gets nothing before a good check, one that has gone ends what it has begun.
#[test]
fn endpoints_come_checked_and_leave_drained() {
    let [a, sick] = ["a", "sick"].map(|name| {
        Upstream::new(move |mut conversation| {
            while let Some(request) = conversation.request() {
                let is_bad = name == "sick" && request.target() == "/healthz";
                let status = if is_bad { "500 No" } else { "200 OK" };
                let length = name.len();
                conversation.send(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{name}"));
            }
        })
    });
    let slow = Upstream::new(|mut conversation| {
        while let Some(request) = conversation.request() {
            if request.target() == "/slow" {
                conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
                // Until the list has changed; the rest is asked for by this.
                let gate = request.field("x-gate").expect("a file").to_owned();
                eventually("the gate opens", || Path::new(&gate).exists().then_some(()));
                conversation.send("half");
            } else {
                conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
            }
        }
    });
    let folder = folder();
    fs::write(folder.path().join("web.json"), list(&[slow.address()])).expect("written");
    let health = ", health: { http: /healthz, interval: 100ms, rise: 1 }";
    let daemon = Fulcrum::start_in(folder, &yaml(FILE, health));
    await_shares(&daemon, [("slow", 3)]);
    let gate = daemon.directory().join("gate");
    let mut client = daemon.connect();
    client.send(format!("GET /slow HTTP/1.1\r\nHost: a\r\nX-Gate: {}\r\n\r\n", gate.display()));
    eventually("the answer has begun", || slow.text().contains("GET /slow").then_some(()));
    replace(daemon.directory(), &list(&[a.address(), sick.address()]));
    await_shares(&daemon, [("a", 10)]);
    hold("the sick one gets nothing", Duration::from_millis(200), || daemon.get("/").text() == "a");
    fs::write(&gate, "").expect("written");
    assert_eq!(client.response().text(), "halfhalf");
}
