//! What is told of host names among the endpoints.

use crate::harness::{Setup, Upstream, eventually, fulcrum};

#[test]
fn a_name_that_resolves_and_one_that_does_not_are_told_apart() {
    let upstream = Upstream::named("app");
    let (_, port) = upstream.address().rsplit_once(':').expect("a port");
    // Reserved: there is no such name anywhere (RFC 6761 §6.4).
    let nobody = "nobody.invalid:80";
    let daemon = Setup::default().endpoint(&format!("localhost:{port}")).endpoint(nobody).start();
    let lookups = |result| daemon.metric("fulcrum_discovery_dns_lookups_total", &[("result", result)]);
    let names = |state| daemon.metric("fulcrum_discovery_dns_names", &[("state", state)]);
    eventually("both have been asked for", || (names("ok") == 1.0 && names("failing") == 1.0).then_some(()));
    assert_eq!(names("unknown"), 0.0);
    assert!(lookups("ok") >= 1.0);
    assert_eq!(daemon.metric("fulcrum_discovery_dns_changes_total", &[]), 1.0);

    let status = daemon.status();
    let (found, missing) = (&status["host_names"][0], &status["host_names"][1]);
    assert_eq!(
        (&found["name"], &missing["name"]),
        (&"localhost".into(), &"nobody.invalid".into()),
        "{status}"
    );
    assert!(found["addresses"].as_array().expect("a list").contains(&"127.0.0.1".into()), "{found}");
    assert!(found["last_answer"].is_string() && missing["last_answer"].is_null(), "{status}");
    assert_eq!((&found["failures"], missing["addresses"].as_array().map(Vec::len)), (&0.into(), Some(0)));
    let failure = missing["last_failure"].as_str().expect("a reason");
    assert!(missing["failures"].as_u64() >= Some(1) && lookups(failure) >= 1.0, "{missing}");

    let admin = daemon.admin();
    let table = fulcrum(["status", "--admin", &admin]).stdout;
    let line = table.lines().find(|line| line.starts_with("nobody.invalid")).expect("a line");
    assert!(line.contains("none") && line.contains("never") && line.ends_with(failure), "{line}");
    assert_eq!(daemon.get("/").text(), "app");
}

#[test]
fn without_host_names_there_is_nothing_to_tell() {
    let daemon = Setup::new(&Upstream::named("app")).start();
    assert_eq!(daemon.status()["host_names"], serde_json::json!([]));
    assert_eq!(daemon.metric("fulcrum_discovery_dns_names", &[]), 0.0);
    let admin = daemon.admin();
    assert!(!fulcrum(["status", "--admin", &admin]).stdout.contains("HOST NAME"));
}
