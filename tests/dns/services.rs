//! Services of the configuration by their names, with their ports.

use super::yaml;
use crate::harness::{Dig, Fulcrum, Upstream, eventually};

const NAMES: &str =
    "        app: { service: app, ttl: { max: 30s, min: 5s } }\n        \"*.wild\": { service: app }\n";

fn start(endpoints: &[&str], more: &str) -> Fulcrum {
    let endpoints: Vec<String> = endpoints.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
    let services = format!(
        "listeners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ to: app }}]\n\
         services: {{ app: {{ endpoints: [{}]{more} }} }}\n",
        endpoints.join(", ")
    );
    Fulcrum::start(&format!("{services}{}", yaml(NAMES, "")))
}

/// The targets of SRV records with their ports, sorted.
fn targets(dig: &Dig) -> Vec<String> {
    let data = |record: &String| record.splitn(6, ' ').nth(5).unwrap_or_default().to_owned();
    let mut targets: Vec<String> = dig.answers.iter().map(data).collect();
    targets.sort();
    targets
}

/// `192.0.2.1:80` as it is called, with its weight and port.
fn called(address: &str) -> String {
    let (ip, port) = address.rsplit_once(':').expect("a port");
    format!("65535 {port} {}-{port}.app.example.com.", ip.replace('.', "-"))
}

#[test]
fn endpoints_are_answered_with_their_ports() {
    let fulcrum = start(&["192.0.2.1:8080", "192.0.2.1:8081", "[2001:db8::1]:8082"], "");
    let srv = fulcrum.dig(&["app.example.com", "SRV"]);
    let v6 = "65535 8082 20010db8000000000000000000000001-8082.app.example.com.";
    let expected = [called("192.0.2.1:8080"), called("192.0.2.1:8081"), v6.to_owned()];
    assert_eq!(targets(&srv), expected, "{}", srv.text);
    assert_eq!(srv.additional.len(), 3, "their addresses come along: {}", srv.text);
    assert_eq!(fulcrum.resolve("192-0-2-1-8081.app.example.com", &[]), ["192.0.2.1"]);
    let target = "20010db8000000000000000000000001-8082.app.example.com";
    assert_eq!(fulcrum.resolve(target, &["AAAA"]), ["2001:db8::1"]);
    assert_eq!(fulcrum.resolve("app.example.com", &[]), ["192.0.2.1"], "an address once");
    for (name, record_type, status) in [
        ("192-0-2-1-8081.app.example.com", "AAAA", "NOERROR"),
        ("192-0-2-1-8081.app.example.com", "SRV", "NOERROR"),
        ("192-0-2-1-8082.app.example.com", "A", "NXDOMAIN"),
        ("x.192-0-2-1-8081.app.example.com", "A", "NXDOMAIN"),
        ("192-0-2-1-8081.example.com", "A", "NXDOMAIN"),
        ("x.wild.example.com", "SRV", "NOERROR"),
    ] {
        let dig = fulcrum.dig(&[name, record_type]);
        assert_eq!((dig.status.as_str(), dig.answers.len()), (status, 0), "{}", dig.text);
        assert!(dig.authority[0].starts_with("example.com. "), "{}", dig.text);
    }
}

#[test]
fn ports_follow_health() {
    let upstreams = [Upstream::named("a"), Upstream::named("b")];
    let [a, b] = [&upstreams[0], &upstreams[1]].map(Upstream::address);
    let fulcrum =
        start(&[a, b, "127.0.0.99:1"], ", health: { tcp: connect, interval: 100ms, rise: 1, fall: 1 }");
    let mut expected = [called(a), called(b)];
    expected.sort();
    eventually("only those that are well", || {
        (targets(&fulcrum.dig(&["app.example.com", "SRV"])) == expected).then_some(())
    });
    // Of the others the names stay: somebody may still have them.
    assert_eq!(fulcrum.resolve("127-0-0-99-1.app.example.com", &[]), ["127.0.0.99"]);
}
