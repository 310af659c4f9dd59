//! Instances that die or fall silent: the dead go soon, those that can be reached stay.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{IN_TURN, await_shares, start};
use crate::harness::{Child, Client, Fulcrum, Upstream, eventually, hold};

const CHECKED: &str =
    ", health: { http: /healthz, interval: 500ms, timeout: 2s, rise: 1, fall: 2 }, slow_start: none";

/// A process that answers, and is registered for three seconds.
struct Instance {
    child: Child,
    name: String,
}

impl Instance {
    #[track_caller]
    fn start(fulcrum: &Fulcrum, name: &str) -> Self {
        let arguments = ["demo-backend", "--bind", "127.0.0.1:0", "--name", name];
        let child = Child::start(&arguments, fulcrum.directory().join(name));
        let ready: Value = serde_json::from_str(&child.line()).expect("JSON");
        let address = ready["address"].as_str().expect("an address");
        fulcrum.register(&format!("web/{name}"), address, json!({ "ttl": "3s" }));
        Instance { child, name: name.to_owned() }
    }
}

/// What clients do meanwhile: heartbeats of these, and requests that must not fail.
#[derive(Default)]
struct Scene {
    beating: Mutex<Vec<String>>,
    is_over: AtomicBool,
    answered: AtomicUsize,
}

impl Scene {
    /// Heartbeats of everyone who lives, for as long as it goes on.
    fn beat(&self, registry: &str) {
        let mut client = Client::connect(registry);
        while !self.is_over.load(Ordering::Acquire) {
            let names = self.beating.lock().expect(UNPOISONED).clone();
            let beats: Vec<Value> = names.iter().map(|name| json!({ "s": "web", "i": name })).collect();
            let body = json!({ "beats": beats }).to_string();
            let head = format!(
                "POST /v1/heartbeats HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let answer = client.ask(head + &body);
            assert_eq!(answer.status, 200, "{}", answer.text());
            thread::sleep(Duration::from_millis(300));
        }
    }

    /// GET after GET, none of which fails.
    fn ask(&self, address: &str) {
        let mut client = Client::connect(address);
        while !self.is_over.load(Ordering::Acquire) {
            let response = client.get("/load");
            assert_eq!(response.status, 200, "{}", response.text());
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct EndAtDrop<'a>(&'a Scene);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

const UNPOISONED: &str = "nobody panics with the lock";

#[test]
fn a_killed_instance_costs_no_get_and_is_gone_soon_after_its_lease() {
    let fulcrum = start(CHECKED);
    let mut instances = ["one", "two", "three"].map(|name| Instance::start(&fulcrum, name));
    eventually("all are known to be healthy", || {
        let endpoints = fulcrum.endpoints("app");
        (endpoints.len() == 3 && endpoints.iter().all(|endpoint| endpoint["state"] == "up")).then_some(())
    });
    let scene = Scene::default();
    *scene.beating.lock().expect(UNPOISONED) =
        instances.iter().map(|instance| instance.name.clone()).collect();
    let (address, registry) = (fulcrum.address().to_owned(), fulcrum.registry().to_owned());
    let gone = thread::scope(|scope| {
        let _over = EndAtDrop(&scene);
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| scene.ask(&address))).collect();
        let beats = scope.spawn(|| scene.beat(&registry));
        let is_broken = || beats.is_finished() || clients.iter().any(thread::ScopedJoinHandle::is_finished);
        let answered = || scene.answered.load(Ordering::Relaxed);
        eventually("traffic flows", || (is_broken() || answered() > 400).then_some(()));
        scene.beating.lock().expect(UNPOISONED).remove(0);
        instances[0].child.signal(Signal::KILL);
        assert_eq!(instances[0].child.exit_code(), None);
        let killed = Instant::now();
        eventually("it is gone", || (is_broken() || fulcrum.instance("web/one").is_none()).then_some(()));
        let gone = killed.elapsed();
        let before = answered();
        eventually("traffic goes on", || (is_broken() || answered() > before + 400).then_some(()));
        assert!(!is_broken(), "see above");
        gone
    });
    // Its last word was at most 300 ms before; a tick of the leases comes every second.
    assert!((Duration::from_millis(2000)..Duration::from_millis(6000)).contains(&gone), "{gone:?}");
    fulcrum.await_endpoints("app", 2);
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
    let log = fulcrum.child.stderr();
    assert!(log.contains("evicted_unreachable"), "there was evidence: {log}");
    for name in ["two", "three"] {
        assert_eq!(fulcrum.instance(&format!("web/{name}")).expect("it lives")["health"], "ok");
    }
}

#[test]
fn who_falls_silent_but_can_be_reached_is_suspect_and_serves_on() {
    let [beating, silent] = ["beating", "silent"].map(Upstream::named);
    let fulcrum = start(&format!("{CHECKED}, balance: round_robin"));
    fulcrum.register("web/beating", beating.address(), json!({ "ttl": "1h" }));
    fulcrum.register("web/silent", silent.address(), json!({ "ttl": "3s" }));
    await_shares(&fulcrum, [("beating", 5), ("silent", 5)]);
    let is_suspect = |instance: &Value| instance["health"] == "suspect";
    let instance = eventually("it is suspect", || fulcrum.instance("web/silent").filter(is_suspect));
    assert_eq!((&instance["suspect"], &instance["state"]), (&"reachable".into(), &"up".into()), "{instance}");
    // Far longer than it takes to remove an instance with evidence.
    hold("it is kept", Duration::from_secs(3), || {
        fulcrum.instance("web/silent").is_some_and(|instance| is_suspect(&instance))
    });
    await_shares(&fulcrum, [("beating", 5), ("silent", 5)]);
    let list = fulcrum.ask_registry("GET", "/v1/services/web/instances?health=suspect", "").json();
    assert_eq!(list["instances"].as_array().map(Vec::len), Some(1), "{list}");

    fulcrum.beat("web/silent", &1.into());
    eventually("it is believed", || fulcrum.instance("web/silent").filter(|instance| !is_suspect(instance)));
    assert_eq!(fulcrum.metric("fulcrum_registry_evictions_total", &[]), 0.0);
}

/// Without evidence few go at a time: the balancer does not lose a service because heartbeats do not come.
#[test]
fn silence_alone_takes_one_at_a_time() {
    let upstreams: Vec<Upstream> = (0..4).map(|number| Upstream::named(&number.to_string())).collect();
    let fulcrum = start(IN_TURN);
    for (number, upstream) in upstreams.iter().enumerate() {
        fulcrum.register(&format!("web/{number}"), upstream.address(), json!({ "ttl": "3s" }));
    }
    fulcrum.await_endpoints("app", 4);
    fulcrum.await_endpoints("app", 3);
    eventually("the others wait for their turn", || {
        let suspects = fulcrum.ask_registry("GET", "/v1/services/web/instances?health=suspect", "").json();
        let suspects = suspects["instances"].as_array().expect("a list").clone();
        let all_wait = suspects.iter().all(|instance| instance["suspect"] == "eviction_cap");
        (all_wait && suspects.len() == 3).then_some(())
    });
    hold("the others have their time", Duration::from_millis(1500), || fulcrum.endpoints("app").len() == 3);
    assert_eq!(super::shares(&mut fulcrum.connect(), 30).len(), 3);
}
