//! What depends on who asks, and on what is well.

use std::collections::BTreeMap;
use std::net::TcpListener;

use super::{start, start_with, yaml};
use crate::harness::{Fulcrum, Upstream, eventually};

const REGIONS: &str = "  geo: { nets: \"@DIR@/nets.txt\", default: us }\n  regions: { eu: {}, us: {} }\n";

/// A daemon with a nets file: 192.0.2.0/24 and 198.51.100.128/25 are in eu, everybody else in us.
#[track_caller]
fn with_nets(names: &str, more: &str) -> Fulcrum {
    let nets = ("nets.txt", "192.0.2.0/24 eu\n198.51.100.128/25 eu\n2001:db8::/32 eu\n");
    start_with(&yaml(names, &format!("{REGIONS}{more}")), &[nets])
}

/// RFC 2308 §5: "there is none" may be remembered for the lower of the start's time-to-live (300 s) and its minimum (60 s).
#[test]
fn nobody_left_is_remembered_as_long_as_any_other_nothing() {
    let fulcrum = start(
        "        www: { policy: failover, regions: { eu: [203.0.113.1] }, panic: nodata }\n",
        "  regions: { eu: {} }\n  overrides: { eu: { state: down, until: 2099-01-01T00:00:00Z, reason: test } }\n",
    );
    for (name, record_type) in [("www", "A"), ("www", "AAAA"), ("www", "MX"), ("ns1", "MX")] {
        let dig = fulcrum.dig(&[&format!("{name}.example.com"), record_type]);
        assert_eq!((dig.status.as_str(), dig.answers.len()), ("NOERROR", 0), "{}", dig.text);
        assert!(dig.authority[0].starts_with("example.com. 60 IN SOA "), "{}", dig.text);
    }
    let start = fulcrum.dig(&["example.com", "SOA"]);
    assert!(start.answers[0].starts_with("example.com. 300 IN SOA "), "{}", start.text);
}

#[test]
fn a_client_gets_its_region_and_the_scope_says_for_whom_that_is() {
    let fulcrum =
        with_nets("        www: { policy: geo, regions: { eu: [203.0.113.1], us: [203.0.113.2] } }\n", "");
    let check = |subnet: &str, expected: &str, scope: &str| {
        let dig = fulcrum.dig(&["www.example.com", &format!("+subnet={subnet}")]);
        assert_eq!(dig.answers, [format!("www.example.com. 60 IN A {expected}")], "{subnet}");
        assert!(dig.text.contains(&format!("CLIENT-SUBNET: {subnet}/{scope}\n")), "{subnet}: {}", dig.text);
    };
    check("192.0.2.0/24", "203.0.113.1", "24");
    check("192.0.2.77/32", "203.0.113.1", "24");
    check("198.51.100.128/25", "203.0.113.1", "25");
    check("198.51.100.0/25", "203.0.113.2", "25");
    check("192.0.3.0/24", "203.0.113.2", "24");
    check("2001:db8:7::/48", "203.0.113.1", "32");
    assert_eq!(fulcrum.resolve("www.example.com", &[]), ["203.0.113.2"], "by who asks");
    let zero = fulcrum.dig(&["www.example.com", "+subnet=0.0.0.0/0"]);
    assert!(zero.text.contains("CLIENT-SUBNET: 0.0.0.0/0/0"), "{}", zero.text);
    assert_eq!(
        fulcrum.dig(&["www.example.com", "MX"]).status,
        "NOERROR",
        "no such type, but the name is there"
    );
    assert_eq!(fulcrum.metric("fulcrum_gslb_answers_total", &[("region", "eu")]), 4.0);
}

#[test]
fn weights_are_shares_and_a_sticky_client_stays() {
    let names = "        w: { policy: weighted, endpoints: [{ address: 203.0.113.1, weight: 90 }, { address: 203.0.113.2, weight: 10 }] }
        s: { policy: sticky, endpoints: [203.0.113.1, 203.0.113.2, 203.0.113.3] }
        r: { policy: round_robin, endpoints: [203.0.113.1, 203.0.113.2] }
";
    let fulcrum = start(names, "");
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..100 {
        *shares.entry(fulcrum.resolve("w.example.com", &[]).concat()).or_default() += 1;
    }
    assert!(shares["203.0.113.1"] > 70 && shares["203.0.113.1"] < 100, "{shares:?}");
    let subnet = "+subnet=10.1.2.0/24";
    let first = fulcrum.resolve("s.example.com", &[subnet]);
    assert!((0..20).all(|_| fulcrum.resolve("s.example.com", &[subnet]) == first));
    let of_many = (0..40)
        .map(|number| fulcrum.resolve("s.example.com", &[&format!("+subnet=10.1.{number}.0/24")]).concat());
    assert_eq!(of_many.collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert_eq!(fulcrum.resolve("r.example.com", &[]).len(), 2, "all of them");
}

#[test]
fn a_target_that_fails_its_check_is_left_out_and_comes_back() {
    let listen = |address: &str| TcpListener::bind(address).expect("a free port");
    let first = listen("127.0.0.31:0");
    let port = first.local_addr().expect("it is bound").port();
    let _second = listen(&format!("127.0.0.32:{port}"));
    let names = format!(
        "        fo: {{ policy: failover, endpoints: [127.0.0.31, 127.0.0.32], ttl: {{ max: 60s, min: 5s }}, health: {{ tcp: \"tcp://:{port}\", \
         interval: 100ms, timeout: 100ms, rise: 2, fall: 2, hold: 1s }} }}\n"
    );
    let fulcrum = start(&names, "");
    let answers = || fulcrum.dig(&["fo.example.com"]).answers;
    assert_eq!(answers(), ["fo.example.com. 60 IN A 127.0.0.31"]);
    drop(first);
    eventually("the time-to-live falls", || {
        (answers() == ["fo.example.com. 5 IN A 127.0.0.31"]).then_some(())
    });
    eventually("the second answers", || {
        (fulcrum.resolve("fo.example.com", &[]) == ["127.0.0.32"]).then_some(())
    });
    assert_eq!(fulcrum.metric("fulcrum_gslb_targets", &[("state", "down")]), 1.0);
    let status = fulcrum.status();
    assert_eq!(status["gslb"]["targets"][0]["state"], "down", "{status}");
    let _first = listen(&format!("127.0.0.31:{port}"));
    eventually("the first is back", || (answers() == ["fo.example.com. 60 IN A 127.0.0.31"]).then_some(()));
}

const TWO_REGIONS: &str = "  regions: { eu: { service: app }, us: { service: other } }\n  verdict: { hold: 1s, failback: auto, failback_hold: 1s, brake: 0s }\n";

#[test]
fn a_region_whose_service_dies_is_left_after_the_hold_and_comes_back() {
    let (upstream, other) = (Upstream::named("a"), Upstream::named("b"));
    let (address, other) = (upstream.address().to_owned(), other.address().to_owned());
    let services = format!(
        "listeners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ to: app }}]\n\
         services: {{ app: {{ endpoints: [\"{address}\"], health: {{ tcp: connect, interval: 100ms, fall: 1, rise: 1 }} }}, other: {{ endpoints: [\"{other}\"] }} }}\n"
    );
    let names = "        www: { policy: failover, regions: { eu: [203.0.113.1], us: [203.0.113.2] } }\n";
    let fulcrum = Fulcrum::start(&format!("{services}{}", yaml(names, TWO_REGIONS)));
    assert_eq!(fulcrum.resolve("www.example.com", &[]), ["203.0.113.1"]);
    drop(upstream);
    eventually("clients go elsewhere", || {
        (fulcrum.resolve("www.example.com", &[]) == ["203.0.113.2"]).then_some(())
    });
    let status = fulcrum.status()["gslb"]["regions"][0].clone();
    assert_eq!((&status["name"], &status["state"]), (&"eu".into(), &"down".into()), "{status}");
    let _upstream = TcpListener::bind(&address).expect("its port is free");
    eventually("clients come back", || {
        (fulcrum.resolve("www.example.com", &[]) == ["203.0.113.1"]).then_some(())
    });
}

#[test]
fn an_order_takes_a_region_out() {
    let names = "        www: { policy: failover, regions: { eu: [203.0.113.1], us: [203.0.113.2] } }\n";
    let more = "  regions: { eu: {}, us: {} }\n  overrides: { eu: { state: drain, until: 2099-01-01T00:00:00Z, reason: disk } }\n";
    let fulcrum = start(names, more);
    assert_eq!(fulcrum.resolve("www.example.com", &[]), ["203.0.113.2"]);
    let status = fulcrum.status()["gslb"]["regions"][0].clone();
    assert_eq!((&status["state"], &status["why"]), (&"drained".into(), &"ordered: disk".into()));
}

#[test]
fn a_service_is_answered_with_its_healthy_endpoints() {
    let upstreams = [Upstream::named("a"), Upstream::named("b")];
    let endpoints: Vec<String> =
        upstreams.iter().map(|upstream| format!("\"{}\"", upstream.address())).collect();
    let ports: Vec<&str> = upstreams.iter().map(|upstream| upstream.address()).collect();
    let services = format!(
        "listeners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ to: app }}]\n\
         services: {{ app: {{ endpoints: [{}, \"127.0.0.99:1\"], health: {{ tcp: connect, interval: 100ms, fall: 1 }} }} }}\n",
        endpoints.join(", ")
    );
    let fulcrum = Fulcrum::start(&format!("{services}{}", yaml("        app: { service: app }\n", "")));
    let expected: std::collections::BTreeSet<&str> =
        ports.iter().filter_map(|address| address.rsplit_once(':')).map(|(host, _)| host).collect();
    eventually("only those that are well", || {
        let found = fulcrum.resolve("app.example.com", &[]);
        (found.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>() == expected)
            .then_some(())
    });
}

/// With nothing left, the one that was well last answers, not all.
#[test]
fn the_last_good_answer_stands_when_nothing_is_left() {
    let first = TcpListener::bind("127.0.0.41:0").expect("a free port");
    let port = first.local_addr().expect("it is bound").port();
    let names = format!(
        "        last: {{ policy: round_robin, endpoints: [127.0.0.41, 127.0.0.42], panic: last_good, health: {{ tcp: \"tcp://:{port}\", \
         interval: 100ms, timeout: 100ms, rise: 2, fall: 2, hold: 1s }} }}\n"
    );
    let fulcrum = start(&names, "");
    let down = |count: f64| fulcrum.metric("fulcrum_gslb_targets", &[("state", "down")]) == count;
    eventually("nobody listens at the second", || down(1.0).then_some(()));
    eventually("the first answers", || {
        (fulcrum.resolve("last.example.com", &[]) == ["127.0.0.41"]).then_some(())
    });
    drop(first);
    eventually("both are down", || down(2.0).then_some(()));
    crate::harness::hold("the first answers", std::time::Duration::from_millis(1500), || {
        fulcrum.resolve("last.example.com", &[]) == ["127.0.0.41"]
    });
}
