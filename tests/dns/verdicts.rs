//! Targets and regions: a name leaves a region when that is surely at fault, and not for the sake of our own link.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{start, yaml};
use crate::harness::{Fulcrum, eventually, hold};

/// Hosts of regions, one address each, at one port; what does not listen has died.
struct Hosts {
    port: u16,
    listening: Vec<Option<TcpListener>>,
    addresses: Vec<String>,
}

impl Hosts {
    fn new(addresses: &[&str]) -> Self {
        let first = TcpListener::bind((addresses[0], 0)).expect("a free port");
        let port = first.local_addr().expect("it is bound").port();
        drop(first);
        let mut hosts = Hosts {
            port,
            listening: addresses.iter().map(|_| None).collect(),
            addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
        };
        (0..addresses.len()).for_each(|number| hosts.revive(number));
        hosts
    }

    fn revive(&mut self, number: usize) {
        let address = (self.addresses[number].as_str(), self.port);
        self.listening[number] = Some(TcpListener::bind(address).expect("a free port"));
    }

    fn kill(&mut self, number: usize) {
        self.listening[number] = None;
    }

    /// Keys of a name: how its targets are checked.
    fn health(&self) -> String {
        format!(
            "health: {{ tcp: \"tcp://:{}\", interval: 100ms, timeout: 100ms, rise: 2, fall: 2, hold: 1s }}",
            self.port
        )
    }
}

const VERDICT: &str = "hold: 1s, failback: auto, failback_hold: 1s, brake: 0s";

fn answers(fulcrum: &Fulcrum, expected: &str) -> bool {
    fulcrum.resolve("www.example.com", &[]) == [expected]
}

#[track_caller]
fn await_answer(fulcrum: &Fulcrum, expected: &str) {
    eventually(expected, || answers(fulcrum, expected).then_some(()));
}

fn region(fulcrum: &Fulcrum, number: usize) -> (String, String) {
    let status = fulcrum.status()["gslb"]["regions"][number].clone();
    let text = |key: &str| status[key].as_str().expect("a text").to_owned();
    (text("state"), text("why"))
}

#[test]
fn its_own_link_is_not_taken_for_the_death_of_others() {
    let mut hosts = Hosts::new(&["127.0.0.51", "127.0.0.52", "127.0.0.53"]);
    let names = format!(
        "        www: {{ policy: failover, regions: {{ us: [127.0.0.51], asia: [127.0.0.52], eu: [127.0.0.53] }}, {} }}\n",
        hosts.health()
    );
    let regions =
        format!("  regions: {{ us: {{}}, asia: {{}}, eu: {{}} }}\n  verdict: {{ {VERDICT} }}\n  home: eu\n");
    let fulcrum = start(&names, &regions);
    await_answer(&fulcrum, "127.0.0.51");
    eventually("it is seen", || region(&fulcrum, 0).1.contains("see it well").then_some(()));
    // Only what is here is seen.
    hosts.kill(0);
    hosts.kill(1);
    let doubt = "too few observers can tell";
    eventually("it is doubted", || region(&fulcrum, 0).1.contains(doubt).then_some(()));
    hold("nobody is sent away", Duration::from_secs(3), || answers(&fulcrum, "127.0.0.51"));
    assert_ne!(region(&fulcrum, 0).0, "down");
    // The link is back, and one of them has died.
    hosts.revive(1);
    await_answer(&fulcrum, "127.0.0.52");
    assert_eq!(region(&fulcrum, 0).0, "down");
    hosts.revive(0);
    await_answer(&fulcrum, "127.0.0.51");
}

#[test]
fn a_name_whose_own_targets_fail_leaves_a_region_that_is_well() {
    let mut hosts = Hosts::new(&["127.0.0.54", "127.0.0.55", "127.0.0.56"]);
    let health = hosts.health();
    let names = format!(
        "        www: {{ policy: failover, regions: {{ us: [127.0.0.54], asia: [127.0.0.55] }}, {health} }}\n        \
         other: {{ policy: failover, regions: {{ us: [127.0.0.56], asia: [127.0.0.55] }}, {health} }}\n"
    );
    let fulcrum =
        start(&names, &format!("  regions: {{ us: {{}}, asia: {{}} }}\n  verdict: {{ {VERDICT} }}\n"));
    await_answer(&fulcrum, "127.0.0.54");
    hosts.kill(0);
    await_answer(&fulcrum, "127.0.0.55");
    assert_eq!(region(&fulcrum, 0).0, "up");
    assert_eq!(fulcrum.resolve("other.example.com", &[]), ["127.0.0.56"]);
}

#[test]
fn an_operators_word_goes_before_checks() {
    let order = "  overrides: { us: { state: up, until: 2099-01-01T00:00:00Z, reason: the checks lie } }\n";
    for (verdict, more) in [(VERDICT.to_owned(), order), (format!("{VERDICT}, failover: confirm"), "")] {
        let mut hosts = Hosts::new(&["127.0.0.57", "127.0.0.58"]);
        let health = hosts.health();
        let names = format!(
            "        www: {{ policy: failover, regions: {{ us: [127.0.0.57], asia: [127.0.0.58] }}, {health} }}\n"
        );
        let regions = format!("  regions: {{ us: {{}}, asia: {{}} }}\n  verdict: {{ {verdict} }}\n{more}");
        let fulcrum = start(&names, &regions);
        hosts.kill(0);
        fulcrum.await_metric("fulcrum_gslb_targets", &[("state", "down")], 1.0);
        hold("nobody is sent away", Duration::from_secs(3), || answers(&fulcrum, "127.0.0.57"));
    }
}

/// Where a switch has to be confirmed, an order to be down is the confirmation: it outlives the order.
#[test]
fn an_order_confirms_what_waits_for_it() {
    let mut hosts = Hosts::new(&["127.0.0.59", "127.0.0.60"]);
    let names = format!(
        "        www: {{ policy: failover, regions: {{ us: [127.0.0.59], asia: [127.0.0.60] }}, {} }}\n",
        hosts.health()
    );
    let regions =
        format!("  regions: {{ us: {{}}, asia: {{}} }}\n  verdict: {{ {VERDICT}, failover: confirm }}\n");
    let fulcrum = start(&names, &regions);
    hosts.kill(0);
    eventually("it is down", || (region(&fulcrum, 0).0 == "down").then_some(()));
    assert!(answers(&fulcrum, "127.0.0.59"), "nobody has confirmed it");
    let until = SystemTime::now() + Duration::from_secs(3);
    let until = until.duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    let until = rfc3339(until);
    let order = format!("  overrides: {{ us: {{ state: down, until: {until}, reason: copied }} }}\n");
    fulcrum.change(&yaml(&names, &format!("{regions}{order}")));
    await_answer(&fulcrum, "127.0.0.60");
    assert!(fulcrum.child.stderr().contains("a region has changed"), "{}", fulcrum.child.stderr());
    assert!(fulcrum.directory().join("state/gslb-verdicts.json").exists());
    eventually("the order is over", || (region(&fulcrum, 0).0 == "down").then_some(()));
    hold("clients stay away", Duration::from_secs(2), || answers(&fulcrum, "127.0.0.60"));
}

/// However many targets a region has, each has a vote: while one of them is well, so is the region.
#[test]
fn every_target_of_a_region_has_a_vote() {
    let addresses: Vec<String> = (1..=19).map(|last| format!("127.0.2.{last}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut hosts = Hosts::new(&addresses);
    let us = addresses[..18].join(", ");
    let names = format!(
        "        www: {{ policy: failover, regions: {{ us: [{us}], asia: [127.0.2.19] }}, {} }}\n",
        hosts.health()
    );
    let fulcrum =
        start(&names, &format!("  regions: {{ us: {{}}, asia: {{}} }}\n  verdict: {{ {VERDICT} }}\n"));
    (0..17).for_each(|number| hosts.kill(number));
    await_answer(&fulcrum, "127.0.2.18");
    hold("the region is well", Duration::from_secs(3), || {
        answers(&fulcrum, "127.0.2.18") && region(&fulcrum, 0).0 == "up"
    });
    hosts.kill(17);
    await_answer(&fulcrum, "127.0.2.19");
}

/// What a power failure or another program has left where verdicts are kept is told, and written anew.
#[test]
fn a_torn_file_of_verdicts_is_told_and_replaced() {
    let names = "        www: { a: 127.0.0.61 }\n";
    let mut fulcrum = start(names, "  regions: { us: {} }\n");
    let file = fulcrum.directory().join("state/gslb-verdicts.json");
    assert_eq!(fulcrum.stop(), Some(0));
    let whole = fs::read(&file).expect("it was kept at the end");
    for torn in [&whole[..whole.len() / 2], b"", b"\0\0\0\0", b"[1, 2]"] {
        fs::write(&file, torn).expect("room for a file");
        fulcrum.restart();
        let told = fulcrum.child.stderr();
        assert!(
            told.contains("what was held of regions is not whole") && told.contains("gslb-verdicts"),
            "{told}"
        );
        assert!(answers(&fulcrum, "127.0.0.61"));
        assert_eq!(fulcrum.stop(), Some(0));
        let kept: serde_json::Value = serde_json::from_slice(&fs::read(&file).expect("kept")).expect("whole");
        assert!(kept["regions"]["us"].is_object(), "{kept}");
    }
}

/// Seconds since 1970 as the configuration writes moments.
fn rfc3339(seconds: i64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .expect("date is there");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Resolvers would remember an answer that there is nothing.
#[test]
fn what_is_not_known_yet_is_no_answer() {
    let services = "listeners: { web: { bind: \"127.0.0.1:0\" } }\nroutes: [{ to: app }]\n\
                    services: { app: { discovery: { file: \"@DIR@/nobody.json\" } } }\n";
    let fulcrum = Fulcrum::start(&format!("{services}{}", yaml("        app: { service: app }\n", "")));
    let dig = fulcrum.dig(&["app.example.com"]);
    assert_eq!(dig.status, "SERVFAIL", "{}", dig.text);
    assert!(dig.text.contains("EDE: 14 (Not Ready)"), "{}", dig.text);
    std::fs::write(fulcrum.directory().join("nobody.json"), "[]").expect("it is written");
    eventually("there is nobody", || (fulcrum.dig(&["app.example.com"]).status == "NOERROR").then_some(()));
}
