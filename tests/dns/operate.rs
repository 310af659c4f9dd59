//! What operators ask of a daemon that answers DNS, and what they order.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{start, start_with, yaml};
use crate::harness::{Fulcrum, Output, Upstream, eventually, fulcrum};

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

const PAIR: &str = "  regions: { eu: {}, us: {} }\n  verdict: { hold: 1s, failback: auto }\n";
const SHORT: &str = "        www: { policy: failover, ttl: { max: 2s, min: 1s }, regions: { eu: [203.0.113.1], us: [203.0.113.2] } }\n";

#[track_caller]
fn region(daemon: &Fulcrum, name: &str) -> Value {
    let status = daemon.status();
    let regions = status["gslb"]["regions"].as_array().expect("a list");
    regions.iter().find(|region| region["name"] == name).unwrap_or_else(|| panic!("{status}")).clone()
}

#[test]
fn a_region_is_drained_until_it_is_safe_to_stop() {
    let daemon = start(SHORT, PAIR);
    assert_eq!(daemon.resolve("www.example.com", &[]), ["203.0.113.1"]);
    assert_eq!(region(&daemon, "eu")["safe_to_stop"], false);
    let began = Instant::now();
    let drain = ["drain", "region/eu", "--reason", "new racks", "--for", "1h", "--watch", "--deadline", "9s"];
    let output = tell(&daemon, &drain);
    assert!(began.elapsed() >= Duration::from_secs(2), "as long as answers are remembered: {output:?}");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("region/eu: drained since "), "{}", output.stdout);
    assert!(output.stdout.contains("(ordered: new racks), until "), "{}", output.stdout);
    assert!(output.stdout.contains("answers with it are remembered for 3 s"), "{}", output.stdout);
    assert!(output.stdout.ends_with("region/eu: safe to stop\n"), "{}", output.stdout);
    assert_eq!(daemon.resolve("www.example.com", &[]), ["203.0.113.2"]);
    assert_eq!(daemon.metric("fulcrum_gslb_region_remembered_seconds", &[("region", "eu")]), 0.0);
    let eu = region(&daemon, "eu");
    assert_eq!(
        (&eu["override"]["state"], &eu["override"]["from"]),
        (&"drain".into(), &"order".into()),
        "{eu}"
    );
    assert_eq!((&eu["names"], &eu["safe_to_stop"]), (&0.into(), &true.into()), "{eu}");
    let output = tell(&daemon, &["undrain", "region/eu"]);
    assert!(output.stdout.contains("region/eu: up since"), "{output:?}");
    assert_eq!(daemon.resolve("www.example.com", &[]), ["203.0.113.1"]);
    assert_eq!(region(&daemon, "eu")["override"], Value::Null);
    assert_eq!(tell(&daemon, &["undrain", "region/eu"]).code, Some(0), "it is no mistake to clear nothing");
}

#[test]
fn a_region_without_another_is_not_safe_to_stop() {
    let names = format!(
        "{SHORT}        only: {{ policy: failover, ttl: {{ max: 2s, min: 1s }}, regions: {{ eu: [203.0.113.1] }} }}\n"
    );
    let daemon = start(&names, PAIR);
    let drain = ["drain", "region/eu", "--reason", "disk", "--for", "1h", "--watch", "--deadline", "4s"];
    let output = tell(&daemon, &drain);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("1 names have no other answer"), "{output:?}");
    let told = explain(&daemon, "only.example.com", "192.0.2.1");
    assert_eq!(told["choice"]["candidates"][0]["outcome"], "last_resort", "{told}");
}

#[test]
fn orders_for_regions_outlast_reloads_and_restarts() {
    let mut daemon = start(SHORT, PAIR);
    let order = tell(&daemon, &["down", "region/eu", "--reason", "flood", "--until", "2099-01-01T00:00:00Z"]);
    assert_eq!(order.code, Some(0), "{order:?}");
    let is_followed = |daemon: &Fulcrum| {
        let eu = region(daemon, "eu");
        assert_eq!((&eu["state"], &eu["why"]), (&"forced_down".into(), &"ordered: flood".into()), "{eu}");
        assert_eq!(eu["override"]["until"], "2099-01-01T00:00:00Z", "{eu}");
        assert_eq!(daemon.resolve("www.example.com", &[]), ["203.0.113.2"]);
    };
    is_followed(&daemon);
    let more = format!("{SHORT}        other: {{ a: 192.0.2.7 }}\n");
    daemon.change(&yaml(&more, PAIR));
    is_followed(&daemon);
    daemon.child.signal(rustix::process::Signal::KILL);
    assert_eq!(daemon.child.exit_code(), None);
    daemon.restart();
    is_followed(&daemon);
    // Another order takes its place; one of the configuration would come behind it.
    let order = tell(&daemon, &["up", "region/eu", "--reason", "dry again", "--for", "2h"]);
    assert!(order.stdout.contains("forced_up"), "{order:?}");
    assert_eq!(daemon.resolve("www.example.com", &[]), ["203.0.113.1"]);
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let daemon = start(SHORT, PAIR);
    let check = |arguments: &[&str], code: i32, words: &str| {
        let output = tell(&daemon, arguments);
        assert_eq!(output.code, Some(code), "{output:?}");
        assert!(output.stderr.contains(words), "{output:?}");
    };
    check(
        &["drain", "region/mars", "--reason", "a", "--for", "1h"],
        1,
        "there is no region \"mars\": there are eu, us",
    );
    check(&["drain", "region/eu", "--reason", "a"], 2, "until when");
    check(&["drain", "region/eu", "--for", "1h"], 2, "says why");
    check(&["down", "region/eu", "--reason", "a", "--until", "2001-01-01T00:00:00Z"], 1, "not in the future");
    check(&["down", "shop/a", "--reason", "a", "--for", "1h"], 2, "region/REGION");
    check(&["undrain", "region/mars"], 1, "there is no region \"mars\"");
    check(&["simulate", "region-down", "mars"], 1, "there is no region \"mars\": there are eu, us");
    assert_eq!(region(&daemon, "eu")["state"], "up");
}

#[test]
fn what_would_happen_without_a_region_is_told_before() {
    let names = "        www: { policy: geo, regions: { eu: [203.0.113.1], us: [203.0.113.2] } }
        w: { policy: weighted, regions: { eu: [203.0.113.11], us: [203.0.113.12] } }
";
    let regions =
        "  geo: { nets: \"@DIR@/nets.txt\", default: eu }\n  regions: { eu: {}, us: { match: default } }\n";
    let daemon = start_with(&yaml(names, regions), &[NETS]);
    // Three clients of four are in eu.
    for subnet in ["192.0.2.0/24", "192.0.2.0/25", "192.0.2.128/25", "10.0.0.0/8"] {
        daemon.dig(&["www.example.com", &format!("+subnet={subnet}")]);
    }
    let told = tell(&daemon, &["simulate", "region-down", "us", "--json"]);
    assert_eq!(told.code, Some(4), "nobody knows what the regions can work on: {told:?}");
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!((&told["fits"], &told["counted"]), (&Value::Null, &true.into()), "{told}");
    let www = &told["names"][0];
    assert_eq!(
        (&www["name"], &www["answers_percent"]),
        (&"www.example.com.".into(), &100.0.into()),
        "{told}"
    );
    let shares = &www["shares"];
    let share =
        |place: usize| (shares[place]["before_percent"].as_f64(), shares[place]["after_percent"].as_f64());
    assert_eq!((share(0), share(1)), ((Some(75.0), Some(100.0)), (Some(25.0), Some(0.0))), "{told}");
    let w = &told["names"][1];
    assert_eq!(w["shares"][0]["before_percent"], 50.0, "{told}");
    assert_eq!(w["shares"][0]["after_percent"], 100.0, "{told}");
    let text = tell(&daemon, &["simulate", "region-down", "eu"]);
    assert_eq!(text.code, Some(4), "{text:?}");
    assert!(
        text.stdout.contains("whether its clients fit cannot be told: load or capacity of us is not known"),
        "{text:?}"
    );
    // Nothing of it happens.
    assert_eq!(region(&daemon, "eu")["state"], "up");
}

#[test]
fn whether_clients_would_fit_is_told_with_numbers() {
    let busy = Upstream::new(|mut talk| {
        // Never answered: they stay in flight until we end.
        while talk.request().is_some() {}
    });
    let idle = Upstream::named("b");
    let services = |limit: u32| {
        format!(
            "listeners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ to: app }}]\n\
             services: {{ app: {{ endpoints: [\"{}\"], limits: {{ max_requests: 10 }} }}, other: {{ endpoints: [\"{}\"], limits: {{ max_requests: {limit} }} }} }}\n",
            busy.address(),
            idle.address()
        )
    };
    let regions = "  regions: { eu: { service: app }, us: { service: other } }\n";
    let daemon = Fulcrum::start(&format!("{}{}", services(2), yaml(SHORT, regions)));
    let mut clients: Vec<_> = (0..3).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("they are in flight", || (region(&daemon, "eu")["in_flight"] == 3.0).then_some(()));
    let told = eventually("the load is known", || {
        let told = tell(&daemon, &["simulate", "region-down", "eu"]);
        told.stdout.contains("3").then_some(told).filter(|told| told.code == Some(3))
    });
    assert!(told.stdout.contains("its clients do not fit, too much for us"), "{told:?}");
    let numbers = told.stdout.lines().find(|line| line.starts_with("us")).expect("a line of us");
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    assert_eq!(numbers, ["us", "0", "%", "100", "%", "0", "3", "2", "no"], "{told:?}");
    daemon.change(&format!("{}{}", services(4), yaml(SHORT, regions)));
    let told = eventually("the other limit is known", || {
        let told = tell(&daemon, &["simulate", "region-down", "eu", "--json"]);
        (told.code == Some(0)).then_some(told)
    });
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!((&told["fits"], &told["regions"][1]["capacity"]), (&true.into(), &4.0.into()), "{told}");
    // A region that works on something is not safe to stop.
    let drain = ["drain", "region/eu", "--reason", "disk", "--for", "1h", "--watch", "--deadline", "4s"];
    let output = tell(&daemon, &drain);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("3 in flight"), "{output:?}");
}

#[test]
fn a_sample_of_the_queries_is_written_down() {
    let log = |one_in: u32| format!("  query_log: {{ path: \"@DIR@/dns.log\", one_in: {one_in} }}\n");
    let daemon = start_with(&yaml(WWW, &format!("{}{GEO}", log(1))), &[NETS]);
    let path = daemon.directory().join("dns.log");
    let lines = |count: usize| -> Vec<Value> {
        eventually(&format!("{count} lines"), || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
            Some(lines.collect::<Vec<_>>()).filter(|lines| lines.len() >= count)
        })
    };
    daemon.dig(&["WWW.example.com", "+subnet=192.0.2.0/24"]);
    daemon.dig(&["nobody.example.com", "MX", "+tcp"]);
    daemon.dig(&["www.example.org", "AAAA"]);
    let noted = lines(3);
    let expected = serde_json::json!({
        "time": noted[0]["time"], "client": "127.0.0.1", "subnet": "192.0.2.0/24", "transport": "udp", "name": "www.example.com.",
        "type": "A", "zone": "example.com.", "code": "NOERROR", "region": "eu", "bytes": noted[0]["bytes"], "truncated": false
    });
    assert_eq!(noted[0], expected);
    let facts = |line: &Value| {
        ["transport", "type", "zone", "code", "region"].map(|key| line[key].as_str().map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(facts(&noted[1]), [some("tcp"), some("MX"), some("example.com."), some("NXDOMAIN"), None]);
    assert_eq!(facts(&noted[2]), [some("udp"), some("AAAA"), None, some("REFUSED"), None]);
    daemon.await_metric("fulcrum_gslb_query_log_lines_total", &[("result", "written")], 3.0);
    // Rotated: the next line is in a file of its own.
    fs::rename(&path, daemon.directory().join("dns.log.1")).expect("renamed");
    daemon.child.signal(rustix::process::Signal::USR1);
    eventually("the file is there again", || path.exists().then_some(()));
    daemon.dig(&["www.example.com"]);
    assert_eq!(lines(1)[0]["region"], "us");
    // A reload takes it away, and a wrong one changes nothing.
    daemon.move_config(&yaml(WWW, &format!("  query_log: {{ path: \"@DIR@/no/dns.log\" }}\n{GEO}")));
    let output = daemon.reload_with(&["--wait"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(format!("{}{}", output.stderr, output.stdout).contains("gslb.query_log: "), "{output:?}");
    daemon.change(&yaml(WWW, GEO));
    daemon.dig(&["www.example.com"]);
    daemon.await_metric("fulcrum_gslb_queries_total", &[], 5.0);
    assert_eq!(lines(1).len(), 1);
}

#[test]
fn what_was_answered_stands_beside_the_weights() {
    let names = "        w: { policy: weighted, endpoints: [{ address: 192.0.2.1, weight: 3 }, { address: 192.0.2.2, weight: 1 }] }\n";
    let daemon = start(names, "");
    for _ in 0..40 {
        daemon.resolve("w.example.com", &[]);
    }
    let target = |metric: &str, target: &str| {
        daemon.metric(metric, &[("name", "w.example.com."), ("region", "none"), ("target", target)])
    };
    assert_eq!(target("fulcrum_gslb_target_weight_ratio", "192.0.2.1"), 0.75);
    let [first, second] =
        ["192.0.2.1", "192.0.2.2"].map(|address| target("fulcrum_gslb_target_answers_total", address));
    assert!(first + second == 40.0 && first > second, "{first} {second}");
    assert_eq!(daemon.metric("fulcrum_gslb_answers_total", &[("policy", "weighted")]), 40.0);
    let told = explain(&daemon, "w.example.com", "192.0.2.9");
    let targets = &told["choice"]["candidates"][0]["targets"];
    assert_eq!(
        (targets[0]["answered"].as_f64(), targets[1]["answered"].as_f64()),
        (Some(first), Some(second))
    );
    assert_eq!(targets[0]["answered_percent"].as_f64(), Some(first * 2.5), "{told}");
    // Counters never go back, also where the name is gone.
    daemon.change(&yaml("        other: { a: 192.0.2.7 }\n", ""));
    assert_eq!(daemon.metric("fulcrum_gslb_answers_total", &[("policy", "weighted")]), 40.0);
}

/// The page as it is written, but for ports and paths: its configuration, and every command that it shows.
#[test]
fn the_page_about_operations_is_true() {
    let page = include_str!("../../docs/gslb-operations.md");
    let block = |language: &'static str| {
        page.split(&format!("```{language}\n"))
            .skip(1)
            .filter_map(|rest| rest.split("\n```").next())
            .collect::<Vec<_>>()
    };
    let yaml = block("yaml")[0]
        .replace("127.0.0.1:5353", "127.0.0.1:0")
        .replace(":8080\" }", "127.0.0.1:0\" }")
        .replace("/var/lib/fulcrum", "@DIR@/state")
        .replace("/var/log/fulcrum", "@DIR@")
        .replace("/etc/fulcrum", "@DIR@");
    let daemon = start_with(&yaml, &[NETS]);
    eventually("both are seen", || {
        let is_seen = |name| region(&daemon, name)["why"] == "observers see it well";
        (is_seen("eu") && is_seen("us")).then_some(())
    });
    let mut commands = 0;
    for text in block("text") {
        for part in text.split("$ ").skip(1) {
            let (command, shown) = part.split_once('\n').unwrap_or((part, ""));
            let output = shell(&daemon, command);
            assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let is_countdown = |line: &&str| !line.starts_with("region/eu: answers");
            let lines = |text: &str| text.lines().filter(is_countdown).map(shape).collect::<Vec<_>>();
            if !shown.is_empty() {
                assert_eq!(lines(shown), lines(&told), "{command}:\n{told}");
            }
            commands += 1;
        }
    }
    assert_eq!(commands, 11);
    assert_eq!(region(&daemon, "eu")["state"], "drained", "the last order");
}

/// A shown command, to this daemon.
fn shell(daemon: &Fulcrum, command: &str) -> std::process::Output {
    let socket = daemon.directory().join("admin.sock").display().to_string();
    let command = command
        .replacen(
            "fulcrum ",
            &format!("{} ", env!("CARGO_BIN_EXE_fulcrum")),
            usize::from(command.starts_with("fulcrum ")),
        )
        .replace("curl ", "curl -sf ")
        .replace("/run/fulcrum/admin.sock", &socket);
    std::process::Command::new("sh")
        .args(["-c", &command])
        .env("FULCRUM_ADMIN", daemon.admin())
        .output()
        .expect("a shell is there")
}

/// A line without its times and its padding.
fn shape(line: &str) -> String {
    let is_time = |word: &str| word.trim_matches(&[',', ';'][..]).ends_with('Z') && word.contains('T');
    let word = |word: &str| if is_time(word) { "TIME".to_owned() } else { word.to_owned() };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}
