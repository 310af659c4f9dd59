//! Cables are pulled: one daemon observes three regions of two nodes each, and clients ask all the time what it makes of it.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::answers::QUERY;
use super::network::{Network, REGIONS};
use crate::harness::{Fulcrum, eventually, fulcrum, hold};

/// How fast the story is told.
struct Pace {
    /// What `verdict` and `health` say.
    verdict: &'static str,
    health: &'static str,
    hold: Duration,
    /// From one pull of a cable that has a loose contact to the next.
    flap: Duration,
    /// How long it takes at most to see that something fails, or is well again.
    slack: Duration,
    /// How long nothing is to happen after something was to happen.
    calm: Duration,
}

#[test]
fn regions_are_left_slowly_and_surely() {
    story(&Pace {
        verdict: "{ hold: 2s, failback: auto, failback_hold: 2s, brake: 0s }",
        health: "interval: 300ms, timeout: 200ms, rise: 3, fall: 3",
        hold: Duration::from_secs(2),
        flap: Duration::from_millis(350),
        slack: Duration::from_secs(5),
        calm: Duration::from_millis(1500),
    });
}

#[test]
#[ignore = "takes fifteen minutes: `make soak`"]
fn regions_are_left_slowly_and_surely_with_the_holds_of_real_life() {
    story(&Pace {
        verdict: "{}",
        health: "",
        hold: Duration::from_secs(90),
        flap: Duration::from_secs(7),
        slack: Duration::from_secs(20),
        calm: Duration::from_secs(20),
    });
}

fn story(pace: &Pace) {
    let network = Network::new();
    let directory = tempfile::tempdir().expect("room for a directory");
    let mut fulcrum = Fulcrum::start_by(network.observer(), directory, &yaml(&network, pace));
    let clients = Clients::start(&fulcrum);
    settled(&fulcrum, &["up", "up", "up"], pace);
    assert_eq!(clients.seen(), [1], "eu is the first");
    explained(&fulcrum, &["eu up answers", "us up not_reached", "ap up not_reached"]);

    its_own_link_is_cut(&fulcrum, &network, &clients, pace);
    a_region_dies(&fulcrum, &network, &clients, pace);
    clients.stop();

    // What was decided stands over an end, however sudden.
    fulcrum.child.signal(Signal::KILL);
    fulcrum.child.end();
    fulcrum.restart_by(network.observer());
    let clients = Clients::start(&fulcrum);
    explained(&fulcrum, &["eu down not_eligible", "us up answers", "ap up not_reached"]);
    settled(&fulcrum, &["down", "up", "up"], pace);
    assert_eq!(clients.seen(), [2], "the verdict stands from the first answer on");

    a_contact_is_loose(&fulcrum, &network, &clients, pace);
    nothing_is_left(&fulcrum, &network, pace);
}

/// It is itself that sees nothing, or too little: no switch, neither when that begins nor when it ends.
fn its_own_link_is_cut(fulcrum: &Fulcrum, network: &Network, clients: &Clients, pace: &Pace) {
    for cut in [&["observer"][..], &["eu", "us"]] {
        cut.iter().for_each(|cable| network.cut(cable));
        hold(&format!("{cut:?} cut: no switch"), 2 * pace.hold + pace.calm, || clients.seen() == [1]);
        let (told, text) = explain(fulcrum);
        assert!(told.iter().all(|region| !region.contains("down")), "{text}");
        assert!(told[0].ends_with("answers") || told[0].ends_with("last_resort"), "{text}");
        cut.iter().for_each(|cable| network.restore(cable));
        settled(fulcrum, &["up", "up", "up"], pace);
        hold("no switch when it is back", pace.calm, || clients.seen() == [1]);
        explained(fulcrum, &["eu up answers", "us up not_reached", "ap up not_reached"]);
    }
}

/// One switch, not before the hold.
fn a_region_dies(fulcrum: &Fulcrum, network: &Network, clients: &Clients, pace: &Pace) {
    let cut = Instant::now();
    network.cut("eu");
    clients.until(&[1, 2], pace.hold + pace.slack);
    assert!(cut.elapsed() >= pace.hold, "after {:?}", cut.elapsed());
    settled(fulcrum, &["down", "up", "up"], pace);
    explained(fulcrum, &["eu down not_eligible", "us up answers", "ap up not_reached"]);
    hold("one switch", pace.calm, || clients.seen() == [1, 2]);
}

/// At most one switch.
fn a_contact_is_loose(fulcrum: &Fulcrum, network: &Network, clients: &Clients, pace: &Pace) {
    let end = Instant::now() + 4 * pace.hold;
    while Instant::now() < end {
        network.cut("us");
        thread::sleep(pace.flap);
        network.restore("us");
        thread::sleep(pace.flap);
    }
    let (seen, (told, text)) = (clients.seen(), explain(fulcrum));
    assert!(seen == [2] || seen == [2, 3], "{seen:?}; {text}");
    assert_eq!(told[0], "eu down not_eligible", "{text}");
    assert_eq!(told[if seen == [2] { 1 } else { 2 }].rsplit(' ').next(), Some("answers"), "{text}");
}

/// Each name answers as its `panic` says.
fn nothing_is_left(fulcrum: &Fulcrum, network: &Network, pace: &Pace) {
    network.cut("us");
    network.cut("ap");
    let resolve = |name: &str| fulcrum.resolve(&format!("{name}.example.com"), &[]);
    let time = 2 * (pace.hold + pace.slack);
    await_for(time, "the fallback", || resolve("fallback") == ["203.0.113.99"]);
    await_for(time, "nothing", || resolve("nodata") == [""; 0]);
    assert_eq!(resolve("all").len(), 6, "all nodes of all regions");
    let (told, text) = explain(fulcrum);
    assert!(told.iter().all(|region| !region.ends_with("answers")), "{text}");
    for (region, _) in REGIONS {
        network.restore(region);
    }
    await_for(pace.hold + pace.slack, "the end of it", || {
        resolve("nodata") != [""; 0] && resolve("fallback") != ["203.0.113.99"]
    });
    let (told, text) = explain(fulcrum);
    assert_eq!(told.iter().filter(|region| region.ends_with("answers")).count(), 1, "{text}");
}

/// The explanation of `www.example.com`: name, state and outcome of each region, and all of it as people read it.
#[track_caller]
fn explain(daemon: &Fulcrum) -> (Vec<String>, String) {
    let admin = daemon.admin();
    let ask = |more: &[&str]| {
        let arguments = ["explain", "dns", "www.example.com", "--from", "192.0.2.1", "--admin", &admin];
        let output = fulcrum(arguments.iter().chain(more));
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stdout
    };
    let told: Value = serde_json::from_str(&ask(&["--json"])).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let candidates = told["choice"]["candidates"].as_array().unwrap_or_else(|| panic!("{told}"));
    let region = |region: &Value| ["region", "state", "outcome"].map(|key| text(&region[key])).join(" ");
    (candidates.iter().map(region).collect(), ask(&[]))
}

#[track_caller]
fn explained(daemon: &Fulcrum, expected: &[&str]) {
    let (told, text) = explain(daemon);
    assert_eq!(told, expected, "{text}");
}

fn yaml(network: &Network, pace: &Pace) -> String {
    let region = |(name, first): (&str, u8)| format!("{name}: [10.77.0.{first}1, 10.77.0.{first}2]");
    let regions = REGIONS.map(region).join(", ");
    let name = |name: &str, policy: &str, panic: &str| {
        let health = format!("{{ tcp: \"tcp://:80\", {} }}", pace.health);
        format!(
            "        {name}: {{ policy: {policy}, regions: {{ {regions} }}, health: {health}, panic: {panic} }}\n"
        )
    };
    let names = [
        name("www", "failover", "last_good"),
        name("all", "round_robin", "all"),
        name("fallback", "failover", "fallback, fallback: 203.0.113.99"),
        name("nodata", "failover", "nodata"),
    ];
    let more = format!("  regions: {{ eu: {{}}, us: {{}}, ap: {{}} }}\n  verdict: {}\n", pace.verdict);
    super::yaml(&names.concat(), &more).replace("127.0.0.1:0", &format!("{}:0", network.address()))
}

/// Waits until regions are as they should be, and all of their targets that should be up.
#[track_caller]
fn settled(fulcrum: &Fulcrum, expected: &[&str; 3], pace: &Pace) {
    await_for(pace.hold + pace.slack, &format!("{expected:?}"), || {
        let status = fulcrum.status()["gslb"].clone();
        let is = |place: usize| status["regions"][place]["state"] == expected[place];
        let targets = status["targets"].as_array().expect("a list");
        let is_bad = |target: &&Value| target["state"] == "down" || !target["last_check_failure"].is_null();
        let bad = targets.iter().filter(is_bad).count();
        let all: usize = expected.iter().filter(|state| **state == "down").count() * targets.len() / 3;
        (0..3).all(is) && bad == all
    });
}

#[track_caller]
fn await_for(time: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !is_so() {
        assert!(Instant::now() < end, "not in {time:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Asks for `www.example.com` all the time, and writes down when the region of the answer is another one.
struct Clients {
    seen: Arc<Mutex<Vec<u8>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Clients {
    fn start(fulcrum: &Fulcrum) -> Self {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.connect(fulcrum.dns()).expect("an address");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let (seen, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (list, over) = (Arc::clone(&seen), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                socket.send(QUERY).expect("it is sent");
                let mut answer = [0; 512];
                let length = socket.recv(&mut answer).expect("every query is answered");
                assert!(answer[7] > 0, "there is always an address");
                // 10.77.0.R1 or R2.
                let region = answer[length - 1] / 10;
                let mut seen = list.lock().expect("nobody panics");
                if seen.last() != Some(&region) {
                    seen.push(region);
                }
                drop(seen);
                thread::sleep(Duration::from_millis(2));
            }
        });
        eventually("the first answer", || (!seen.lock().expect("nobody panics").is_empty()).then_some(()));
        Clients { seen, is_over, thread: Some(thread) }
    }

    /// The regions that answered, one after the other.
    fn seen(&self) -> Vec<u8> {
        assert!(self.thread.as_ref().is_some_and(|thread| !thread.is_finished()), "every query is answered");
        self.seen.lock().expect("nobody panics").clone()
    }

    #[track_caller]
    fn until(&self, expected: &[u8], time: Duration) {
        await_for(time, &format!("{expected:?}, not {:?}", self.seen()), || self.seen() == expected);
    }

    fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let asked = thread.join();
            assert!(thread::panicking() || asked.is_ok(), "every query is answered");
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.end();
    }
}
