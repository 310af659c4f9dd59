//! What operators ask of a daemon that answers DNS, and what they order.

use std::net::TcpListener;

use serde_json::Value;

use super::{start, start_with, yaml};
use crate::harness::{Fulcrum, Output, eventually, fulcrum};

const NETS: (&str, &str) = ("nets.txt", "192.0.2.0/24 eu\n198.51.100.128/25 eu\n");
const GEO: &str = "  geo: { nets: \"@DIR@/nets.txt\", default: us }\n  regions: { eu: {}, us: {} }\n";
const WWW: &str = "        www: { policy: geo, regions: { eu: [203.0.113.1], us: [203.0.113.2] } }\n";

/// A command to a daemon.
#[track_caller]
fn tell(daemon: &Fulcrum, arguments: &[&str]) -> Output {
    let admin = daemon.admin();
    fulcrum(arguments.iter().copied().chain(["--admin", &admin]))
}

/// Its answer as JSON.
#[track_caller]
fn json(daemon: &Fulcrum, arguments: &[&str]) -> Value {
    let output = tell(daemon, &[arguments, &["--json"]].concat());
    assert_eq!(output.code, Some(0), "{output:?}");
    serde_json::from_str(&output.stdout).expect("JSON")
}

#[track_caller]
fn explain(daemon: &Fulcrum, name: &str, from: &str) -> Value {
    json(daemon, &["explain", "dns", name, "--from", from])
}

#[test]
fn an_explanation_is_of_the_answer_that_dig_gets() {
    let daemon = start_with(&yaml(WWW, GEO), &[NETS]);
    for (from, known_by, region, answer, scope) in [
        ("192.0.2.9", "nets", "eu", "203.0.113.1", 24),
        ("198.51.100.200", "nets", "eu", "203.0.113.1", 25),
        ("198.51.100.9", "default", "us", "203.0.113.2", 25),
        ("192.0.2.0/24", "nets", "eu", "203.0.113.1", 24),
    ] {
        let told = explain(&daemon, "www.example.com", from);
        let subnet = if from.contains('/') { from.to_owned() } else { format!("{from}/32") };
        let dig = daemon.dig(&["www.example.com", &format!("+subnet={subnet}")]);
        assert_eq!(told["answer"]["answers"], serde_json::json!(dig.answers), "{told}");
        assert!(dig.text.contains(&format!("/{scope}\n")), "{}", dig.text);
        assert_eq!(told["answer"]["scope"], scope, "{told}");
        let choice = &told["choice"];
        assert_eq!((&choice["by"], &choice["client"]["known_by"]), (&"policy geo".into(), &known_by.into()));
        let first = &choice["candidates"][0];
        assert_eq!((&first["region"], &first["outcome"]), (&region.into(), &"answers".into()), "{told}");
        assert_eq!((&first["clients_percent"], &first["state"]), (&100.0.into(), &"up".into()), "{told}");
        assert_eq!((&first["targets"][0]["answer"], &choice["ttl"]["seconds"]), (&answer.into(), &60.into()));
    }
    let eu = explain(&daemon, "www.example.com", "192.0.2.9");
    assert_eq!(eu["choice"]["candidates"][1]["outcome"], "not_reached", "{eu}");
    let us = explain(&daemon, "www.example.com", "8.8.8.8");
    assert_eq!(us["choice"]["candidates"][1]["outcome"], "not_for_client", "{us}");
    // Nothing of it counts as a query.
    assert_eq!(daemon.metric("fulcrum_gslb_answers_total", &[("region", "eu")]), 3.0);
    let text = tell(&daemon, &["explain", "dns", "www.example.com", "--from", "192.0.2.9"]).stdout;
    for part in [
        "www.example.com. A for 192.0.2.9/32: NOERROR",
        "www.example.com. 60 IN A 203.0.113.1",
        "client: 192.0.2.9, by the nets file: 192.0.2.0/24 of eu",
        "ttl: 60 s, nothing is about to change",
        "net:192.0.2.0/24",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn names_that_are_not_there_are_explained_in_words() {
    let daemon = start_with(&yaml(WWW, GEO), &[NETS]);
    let check = |name: &str, record_type: &str, found: &str, code: &str, words: &str| {
        let told = json(&daemon, &["explain", "dns", name, "--from", "192.0.2.9", "--type", record_type]);
        assert_eq!((&told["found"], &told["answer"]["code"]), (&found.into(), &code.into()), "{told}");
        assert!(told["why"].as_str().expect("words").contains(words), "{told}");
    };
    check("ns1.example.com", "A", "records", "NOERROR", "the same for everybody");
    check("ns1.example.com", "MX", "no_data", "NOERROR", "has nothing of type MX");
    check("www.example.com", "AAAA", "choice", "NOERROR", "by who asks");
    check(
        "nobody.example.com",
        "A",
        "no_name",
        "NXDOMAIN",
        "there is no name nobody.example.com. in zone example.com.",
    );
    check("www.example.org", "A", "nowhere", "REFUSED", "in no zone of this daemon: there is example.com.");
    let wrong = tell(&daemon, &["explain", "dns", "www.example.com", "--from", "here"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("from \"here\": it is no address and no network"), "{}", wrong.stderr);
    let without = Fulcrum::start("listeners: { web: { bind: \"127.0.0.1:0\" } }\nroutes: []\n");
    let wrong = tell(&without, &["explain", "dns", "www.example.com", "--from", "192.0.2.1"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("this daemon answers no DNS"), "{}", wrong.stderr);
}

#[test]
fn weights_and_parts_are_told() {
    let names = "        w: { policy: weighted, endpoints: [{ address: 192.0.2.1, weight: 60 }, { address: 192.0.2.2, weight: 40 }] }
        s: { policy: sticky, endpoints: [192.0.2.21, 192.0.2.22] }
        fo: { policy: failover, regions: { eu: [203.0.113.1], us: [203.0.113.2] } }
        n: { policy: failover, regions: { eu: [203.0.113.1] }, panic: nodata }
";
    let more = "  regions: { eu: {}, us: {} }\n  overrides: { eu: { state: drain, until: 2099-01-01T00:00:00Z, reason: disk } }\n";
    let daemon = start(names, more);
    let w = explain(&daemon, "w.example.com", "192.0.2.9");
    let firsts: Vec<&Value> =
        (0..2).map(|place| &w["choice"]["candidates"][0]["targets"][place]["first_percent"]).collect();
    assert_eq!(firsts, [&Value::from(60.0), &Value::from(40.0)], "{w}");
    // A sticky client is told the target that it gets.
    let s = explain(&daemon, "s.example.com", "10.1.2.0/24");
    let dig = daemon.dig(&["s.example.com", "+subnet=10.1.2.0/24"]);
    assert_eq!(s["answer"]["answers"], serde_json::json!(dig.answers));
    let fo = explain(&daemon, "fo.example.com", "192.0.2.9");
    let eu = &fo["choice"]["candidates"][0];
    assert_eq!(
        (&eu["outcome"], &eu["state"], &eu["verdict"]),
        (&"not_eligible".into(), &"drained".into(), &"ordered: disk".into())
    );
    assert!(eu["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{eu}");
    assert_eq!(fo["choice"]["candidates"][1]["outcome"], "answers", "{fo}");
    let n = explain(&daemon, "n.example.com", "192.0.2.9");
    assert_eq!(
        (&n["choice"]["panic"]["mode"], &n["answer"]["answers"]),
        (&"nodata".into(), &serde_json::json!([]))
    );
    let text = tell(&daemon, &["explain", "dns", "n.example.com", "--from", "192.0.2.9"]).stdout;
    assert!(text.contains("panic: "), "{text}");
}

#[test]
fn the_health_of_targets_is_told() {
    let second = TcpListener::bind("127.0.0.52:0").expect("a free port");
    let port = second.local_addr().expect("it is bound").port();
    let names = format!(
        "        fo: {{ policy: failover, endpoints: [127.0.0.51, 127.0.0.52], health: {{ tcp: \"tcp://:{port}\", \
         interval: 100ms, timeout: 100ms, rise: 2, fall: 2, hold: 1s }} }}\n"
    );
    let daemon = start(&names, "");
    let told = eventually("the first is out", || {
        let told = explain(&daemon, "fo.example.com", "192.0.2.9");
        // What is seen of it comes first, and the answers follow within a second.
        (told["choice"]["candidates"][0]["targets"][0]["first_percent"] == 0.0).then_some(told)
    });
    let targets = &told["choice"]["candidates"][0]["targets"];
    assert_eq!(targets[0]["health"], "down", "{told}");
    assert!(targets[0]["last_check_failure"].is_string(), "{told}");
    assert_eq!((&targets[0]["first_percent"], &targets[1]["first_percent"]), (&0.0.into(), &100.0.into()));
    assert_eq!(targets[1]["health"], "up", "{told}");
    assert_eq!(told["answer"]["answers"], serde_json::json!(["fo.example.com. 60 IN A 127.0.0.52"]));
}
