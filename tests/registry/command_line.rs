//! The registry from the command line.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{start, yaml};
use crate::harness::{Child, Fulcrum, Output, Upstream, eventually, fulcrum, fulcrum_with_environment};

/// A command that asks this daemon's registry.
#[track_caller]
fn command(daemon: &Fulcrum, line: &str) -> Output {
    let registry = format!("http://{}", daemon.registry());
    fulcrum(line.split(' ').chain(["--registry", &registry]))
}

/// The same, which works.
#[track_caller]
fn told(daemon: &Fulcrum, line: &str) -> String {
    let output = command(daemon, line);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{line}: {}", output.stdout);
    output.stdout
}

#[test]
fn an_instance_comes_and_goes_by_commands() {
    let upstream = Upstream::named("a");
    let daemon = start("");
    let port = upstream.address().rsplit(':').next().expect("a port").to_owned();
    let line = format!("register web/a --port {port} --weight 3 --tag blue --meta version=1.4.2 --ttl 1h");
    let text = told(&daemon, &line);
    assert!(text.starts_with("web/a: up, epoch 1; a heartbeat is due in "), "{text}");
    assert!(text.ends_with("it is gone after 3600.0 s without one\n"), "{text}");
    daemon.await_endpoints("app", 1);
    assert_eq!(daemon.get("/").text(), "a");
    let instance = daemon.instance("web/a").expect("it is there");
    let found = (&instance["weight"], &instance["tags"], &instance["meta"]["version"]);
    assert_eq!(found, (&3.into(), &json!(["blue"]), &"1.4.2".into()), "{instance}");

    let services = told(&daemon, "services");
    let cells = |text: &str, line: usize| {
        let line = text.lines().nth(line).unwrap_or_else(|| panic!("{text}")).to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cells(&services, 1)[..3], ["web", "1", "1"], "{services}");
    let address = format!("127.0.0.1:{port}");
    let row = ["a", &address, "up", "ok", "3", "1", "blue", "version=1.4.2"];
    let instances = told(&daemon, "instances web --tag blue --meta version=1.4.2 --state up --health ok");
    assert_eq!(cells(&instances, 1), row, "{instances}");
    assert_eq!(told(&daemon, "instances web --tag green").lines().count(), 1, "only the titles");
    let document: Value = serde_json::from_str(&told(&daemon, "instances web --format json")).expect("JSON");
    assert_eq!(document["instances"][0]["id"], "a");

    let stale = command(&daemon, "deregister web/a --epoch 7");
    assert_eq!((stale.code, stale.stdout.as_str()), (Some(1), ""));
    assert!(stale.stderr.contains("409"), "{}", stale.stderr);
    let text = told(&daemon, "deregister web/a --drain 1h --reason deploy");
    assert!(text.starts_with("web/a: draining until 20"), "{text}");
    assert_eq!(told(&daemon, "deregister web/a"), "web/a: gone\n");
    assert!(daemon.instance("web/a").is_none());
    let audit = daemon.ask_registry("GET", "/v1/audit", "").json();
    assert!(
        audit["entries"].as_array().expect("a list").iter().any(|entry| entry["reason"] == "deploy"),
        "{audit}"
    );
    let again = command(&daemon, "deregister web/a");
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("404"), "{}", again.stderr);
}

#[test]
fn a_watch_tells_of_every_change_until_the_registry_ends() {
    let mut daemon = start("");
    daemon.register("web/a", "127.77.0.1:1", json!({}));
    let watch = |arguments: &[&str], name: &str| {
        let registry = format!("http://{}", daemon.registry());
        let arguments = [&["watch", "--registry", &registry], arguments].concat();
        Child::start(&arguments, daemon.directory().join(name))
    };
    let mut text = watch(&["web"], "text");
    let mut document = watch(&["--format", "json"], "json");
    assert_eq!(text.line(), "is      web/a 127.77.0.1:1 up, ok, weight 1");
    let next = |document: &Child| -> Value {
        std::iter::repeat_with(|| serde_json::from_str::<Value>(&document.line()).expect("JSON"))
            .find(|event| event["event"] != "bookmark")
            .expect("they come for ever")
    };
    let first = next(&document);
    assert_eq!((&first["event"], &first["data"]["done"]), (&"snapshot".into(), &true.into()), "{first}");

    daemon.register("db/x", "127.77.0.1:2", json!({}));
    let event = next(&document);
    assert_eq!(
        (&event["event"], &event["data"]["instance"]["service"]),
        (&"put".into(), &"db".into()),
        "{event}"
    );
    daemon.register("web/b", "127.77.0.1:3", json!({}));
    assert_eq!(text.line(), "put     web/b 127.77.0.1:3 up, ok, weight 1 (registered)", "db is not watched");
    daemon.leave("web/b", "");
    assert_eq!(text.line(), "delete  web/b (left)");

    assert_eq!(daemon.stop(), Some(0));
    for (watch, name) in [(&mut text, "text"), (&mut document, "json")] {
        assert_eq!(watch.exit_code(), Some(69), "{name}: {}", watch.stderr());
        assert!(watch.stderr().contains("error: "), "{name}: {}", watch.stderr());
    }
}

#[test]
fn tokens_come_from_a_file_or_the_environment() {
    let secret = "the-secret-of-the-operators";
    let tokens = format!(", tokens: [{{ name: ops, secret: \"{secret}\", grants: [admin] }}]");
    let daemon = Fulcrum::start(&yaml(&tokens, ""));
    let file: PathBuf = daemon.directory().join("token");
    std::fs::write(&file, format!("{secret}\n")).expect("room for a file");
    let refused = command(&daemon, "services");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("401"), "{}", refused.stderr);
    told(&daemon, &format!("services --token file:{}", file.display()));
    told(&daemon, &format!("register web/a --port 9 --token file:{}", file.display()));
    let missing = command(&daemon, "services --token file:/nowhere/token");
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("/nowhere/token"), "{}", missing.stderr);

    let registry = format!("http://{}", daemon.registry());
    let environment = [("FULCRUM_REGISTRY", registry.as_str()), ("FULCRUM_REGISTRY_TOKEN", secret)];
    let output = fulcrum_with_environment(["instances", "web"], &environment);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.contains("127.0.0.1:9"), "{}", output.stdout);
    let watch = fulcrum_with_environment(["watch"], &[("FULCRUM_REGISTRY", registry.as_str())]);
    assert_eq!(watch.code, Some(1), "{}", watch.stdout);
    assert!(watch.stderr.contains("401"), "{}", watch.stderr);
}

#[test]
fn a_registry_that_is_not_there_is_69() {
    for line in ["services", "instances web", "register web/a --port 1", "deregister web/a", "watch"] {
        let output = fulcrum(line.split(' ').chain(["--registry", "http://127.77.0.1:1"]));
        assert_eq!((output.code, output.stdout.as_str()), (Some(69), ""), "{line}");
        assert!(output.stderr.contains("127.77.0.1:1"), "{line}: {}", output.stderr);
    }
}

/// Nobody's words are in the way of an id with marks.
#[test]
fn ids_with_marks_are_encoded() {
    let daemon = start("");
    told(&daemon, "register web/host:app:9001 --port 9001");
    let list = eventually("it is listed", || Some(told(&daemon, "instances web")));
    assert!(list.contains("host:app:9001"), "{list}");
    assert_eq!(told(&daemon, "deregister web/host:app:9001"), "web/host:app:9001: gone\n");
}
