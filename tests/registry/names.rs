//! Services as names of the DNS: dig sees who is there, and a real HAProxy follows who comes and goes.

mod haproxy;

use serde_json::json;

use crate::harness::{Dig, Fulcrum, Upstream, eventually};

/// A registry whose services are names below `svc.example.com`. Instances may be in networks that are nobody's.
const NAMES: &str = ", allow_addresses: [registrant, 192.0.2.0/24, \"2001:db8::/32\"], \
                     compat: { dns: { bind: \"127.0.0.1:0\", domain: example.com } }";

fn start() -> Fulcrum {
    Fulcrum::start(&super::yaml(NAMES, ""))
}

impl Fulcrum {
    /// Where services are asked for as names.
    #[track_caller]
    fn names(&self) -> &str {
        self.ready["registry_dns"][0].as_str().unwrap_or_else(|| panic!("no names in {}", self.ready))
    }

    #[track_caller]
    fn ask_name(&self, arguments: &[&str]) -> Dig {
        Dig::ask(self.names(), arguments)
    }

    /// Waits until a name has exactly these records.
    #[track_caller]
    fn await_records(&self, name: &str, record_type: &str, expected: &[&str]) {
        eventually(&format!("{name} {record_type}: {expected:?}"), || {
            (records(&self.ask_name(&[name, record_type])) == expected).then_some(())
        });
    }
}

/// The data of the answer's records, sorted.
fn records(dig: &Dig) -> Vec<String> {
    let data = |record: &String| record.splitn(5, ' ').nth(4).unwrap_or_default().to_owned();
    let mut records: Vec<String> = dig.answers.iter().map(data).collect();
    records.sort();
    records
}

#[test]
fn services_and_instances_have_names() {
    let fulcrum = start();
    fulcrum.register("web/a", "192.0.2.1:8080", json!({ "weight": 1, "ports": { "metrics": 9100 } }));
    fulcrum.register("web/Host:b", "192.0.2.2:8081", json!({ "weight": 4 }));
    fulcrum.register("web/c", "2001:db8::3:8082", json!({ "weight": 4 }));
    fulcrum.await_records("web.svc.example.com", "A", &["192.0.2.1", "192.0.2.2"]);
    fulcrum.await_records("WEB.svc.Example.com", "AAAA", &["2001:db8::3"]);
    let srv = fulcrum.ask_name(&["_http._tcp.web.svc.example.com", "SRV"]);
    let found = records(&srv);
    assert_eq!((srv.status.as_str(), srv.flags.as_str()), ("NOERROR", "qr aa rd"), "{}", srv.text);
    assert_eq!(found[0], "0 16383 8080 a.web.svc.example.com.", "{}", srv.text);
    assert_eq!(found[2], "0 65535 8082 c.web.svc.example.com.", "{}", srv.text);
    let target = found[1].rsplit(' ').next().expect("a target");
    assert!(found[1].starts_with("0 65535 8081 host-b-"), "{}", srv.text);
    assert_eq!(records(&fulcrum.ask_name(&["web.svc.example.com", "SRV"])), found, "by either name");
    // The targets' addresses come along, and can be asked for.
    assert_eq!(srv.additional.len(), 3, "{}", srv.text);
    assert!(srv.additional.contains(&"a.web.svc.example.com. 1 IN A 192.0.2.1".to_owned()), "{}", srv.text);
    assert_eq!(records(&fulcrum.ask_name(&[target])), ["192.0.2.2"]);
    assert_eq!(records(&fulcrum.ask_name(&["c.web.svc.example.com", "AAAA"])), ["2001:db8::3"]);
    let metrics = fulcrum.ask_name(&["_metrics._tcp.web.svc.example.com", "SRV"]);
    assert_eq!(records(&metrics), ["0 16383 9100 a.web.svc.example.com."]);
    let zone = fulcrum.ask_name(&["svc.example.com", "NS"]);
    assert_eq!(records(&zone), ["svc.example.com."], "{}", zone.text);
    assert!(zone.additional.iter().any(|record| record.ends_with("A 127.0.0.1")), "{}", zone.text);
    assert_eq!(fulcrum.metric("fulcrum_registry_dns_services", &[]), 1.0);
    assert!(fulcrum.metric("fulcrum_registry_dns_queries_total", &[("transport", "udp")]) >= 8.0);
    assert!(fulcrum.metric("fulcrum_registry_dns_responses_total", &[("code", "noerror")]) >= 8.0);
}

#[test]
fn what_is_not_there_is_told_apart() {
    let fulcrum = start();
    fulcrum.register("web/a", "192.0.2.1:8080", json!({}));
    fulcrum.register("gone/a", "192.0.2.1:8080", json!({}));
    fulcrum.await_records("gone.svc.example.com", "A", &["192.0.2.1"]);
    fulcrum.leave("gone/a", "");
    fulcrum.await_records("gone.svc.example.com", "A", &[]);
    for (name, record_type, status) in [
        ("web.svc.example.com", "AAAA", "NOERROR"),
        ("web.svc.example.com", "TXT", "NOERROR"),
        ("_tcp.web.svc.example.com", "SRV", "NOERROR"),
        ("_http._tcp.web.svc.example.com", "A", "NOERROR"),
        ("a.web.svc.example.com", "AAAA", "NOERROR"),
        ("svc.example.com", "TXT", "NOERROR"),
        // It is remembered that there was one.
        ("gone.svc.example.com", "SRV", "NOERROR"),
        ("b.web.svc.example.com", "A", "NXDOMAIN"),
        ("other.svc.example.com", "A", "NXDOMAIN"),
        ("_http._tcp.other.svc.example.com", "SRV", "NXDOMAIN"),
        ("x._http._tcp.web.svc.example.com", "SRV", "NXDOMAIN"),
    ] {
        let dig = fulcrum.ask_name(&[name, record_type]);
        assert_eq!((dig.status.as_str(), dig.flags.as_str()), (status, "qr aa rd"), "{}", dig.text);
        let start = dig.authority.first().map(String::as_str).unwrap_or_default();
        assert!(dig.answers.is_empty() && start.starts_with("svc.example.com. 1 IN SOA "), "{}", dig.text);
    }
    let elsewhere = fulcrum.ask_name(&["www.example.com"]);
    assert_eq!((elsewhere.status.as_str(), elsewhere.flags.as_str()), ("REFUSED", "qr rd"));
    let transfer = fulcrum.ask_name(&["svc.example.com", "AXFR"]);
    assert!(transfer.text.contains("Transfer failed"), "{}", transfer.text);
}

#[test]
fn who_takes_no_work_is_not_answered() {
    let (well, ill) =
        (Upstream::named("well"), Upstream::answering("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"));
    let health = ", health: { http: /healthz, interval: 100ms, rise: 1, fall: 1 }";
    let fulcrum = Fulcrum::start(&super::yaml(NAMES, health));
    fulcrum.register("web/well", well.address(), json!({}));
    fulcrum.register("web/ill", ill.address(), json!({}));
    let port = |upstream: &Upstream| upstream.address().rsplit_once(':').expect("a port").1.to_owned();
    let only = |expected: &[(&Upstream, &str)]| {
        let mut records: Vec<String> = expected
            .iter()
            .map(|(upstream, id)| format!("0 65535 {} {id}.web.svc.example.com.", port(upstream)))
            .collect();
        records.sort();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        fulcrum.await_records("web.svc.example.com", "SRV", &records);
    };
    only(&[(&well, "well")]);
    // Who is not answered keeps its own name: somebody may still have it as a target.
    assert_eq!(fulcrum.ask_name(&["ill.web.svc.example.com"]).answers.len(), 1);
    fulcrum.order("web/well", &json!({ "state": "drain", "reason": "disk" }));
    only(&[(&ill, "ill")]);
    fulcrum.order("web/well", &serde_json::Value::Null);
    only(&[(&well, "well")]);
    fulcrum.leave("web/well", "?drain=30s");
    // When none passes, those that are up are better than nothing.
    only(&[(&ill, "ill")]);
    fulcrum.leave("web/ill", "");
    only(&[]);
    assert_eq!(fulcrum.ask_name(&["web.svc.example.com", "SRV"]).status, "NOERROR");
}

#[test]
fn large_services_are_answered_over_tcp() {
    let fulcrum = Fulcrum::start(&super::yaml(&format!("{NAMES}, register_rate: none"), ""));
    for number in 0..120 {
        let address = format!("192.0.2.{}:{}", number % 100, 8000 + number);
        fulcrum.register(&format!("web/instance-{number}"), &address, json!({}));
    }
    eventually("all are there", || {
        (fulcrum.ask_name(&["web.svc.example.com", "SRV", "+tcp"]).answers.len() == 120).then_some(())
    });
    let cut = fulcrum.ask_name(&["web.svc.example.com", "SRV", "+ignore"]);
    assert_eq!((cut.flags.as_str(), cut.answers.len()), ("qr aa tc rd", 0), "{}", cut.text);
    // dig comes back over TCP by itself, and 100 different addresses are 100 records.
    assert_eq!(fulcrum.ask_name(&["web.svc.example.com", "SRV"]).answers.len(), 120);
    assert_eq!(fulcrum.ask_name(&["web.svc.example.com", "A"]).answers.len(), 100);
    // Who takes large datagrams gets them: the addresses are left out where there is no room.
    let large = fulcrum.ask_name(&["web.svc.example.com", "SRV", "+ignore", "+bufsize=8192"]);
    assert_eq!((large.flags.as_str(), large.answers.len()), ("qr aa rd", 120), "{}", large.text);
    assert!(fulcrum.metric("fulcrum_registry_dns_truncated_total", &[]) >= 2.0);
}

#[test]
fn names_are_there_again_after_a_restart() {
    let mut fulcrum = start();
    fulcrum.register("web/a", "192.0.2.1:8080", json!({}));
    assert_eq!(fulcrum.stop(), Some(0));
    fulcrum.restart();
    // From the first answer on.
    assert_eq!(records(&fulcrum.ask_name(&["web.svc.example.com"])), ["192.0.2.1"]);
}

#[test]
fn other_names_take_a_restart() {
    let fulcrum = start();
    fulcrum.move_config(&super::yaml(&NAMES.replace("example.com", "example.org"), ""));
    let output = fulcrum.reload_with(&["--wait"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    let text = format!("{}{}", output.stderr, output.stdout);
    assert!(text.contains("registry: to change `compat` restart the daemon"), "{text}");
    assert_eq!(fulcrum.ask_name(&["svc.example.com", "SOA"]).answers.len(), 1);
}
