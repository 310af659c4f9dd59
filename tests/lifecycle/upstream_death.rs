//! An endpoint that is killed under load.
//!
//! The rule: only a request that was at the endpoint when it died can fail. A connection that it refuses is tried on
//! another endpoint at once; a pooled connection that it has closed is noticed, and a GET that was written to one is sent
//! again. So no request that begins after its death fails, and of those before it at most one for each client.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Child, Client, Fulcrum, eventually};

struct Backend {
    child: Child,
    address: String,
}

fn backend(name: &str, directory: &TempDir) -> Backend {
    let arguments = ["demo-backend", "--bind", "127.0.0.1:0", "--name", name];
    let child = Child::start(&arguments, directory.path().join(name));
    let ready: Value = serde_json::from_str(&child.line()).expect("JSON");
    Backend { child, address: ready["address"].as_str().expect("an address").to_owned() }
}

fn balancer(backends: &[Backend], balance: &str) -> Fulcrum {
    let endpoints: Vec<String> = ["blue", "green", "amber"]
        .iter()
        .zip(backends)
        .map(|(id, backend)| format!("{{ id: {id}, address: \"{}\" }}", backend.address))
        .collect();
    Fulcrum::start(&format!(
        "workers: 2\nlisteners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ to: colors }}]\n\
         services: {{ colors: {{ balance: {balance}, endpoints: [{}] }} }}\n",
        endpoints.join(", ")
    ))
}

/// What the clients have seen together.
#[derive(Default)]
struct Tally {
    is_dead: AtomicBool,
    is_over: AtomicBool,
    before: AtomicUsize,
    after: AtomicUsize,
    failed_before: AtomicUsize,
}

/// One client: request after request, until it is over. A failure of a request that began before the death is counted.
fn ask_on(address: &str, tally: &Tally) {
    let mut client = Client::connect(address);
    let mut failures = 0;
    while !tally.is_over.load(Ordering::Acquire) {
        let began_after = tally.is_dead.load(Ordering::Acquire);
        client.send("GET /load HTTP/1.1\r\nHost: test\r\n\r\n");
        let answer = client.try_response("GET");
        let is_good = answer.as_ref().is_ok_and(|response| response.status == 200 && response.end == Ok(()));
        match (is_good, began_after) {
            (true, false) => tally.before.fetch_add(1, Ordering::Relaxed),
            (true, true) => tally.after.fetch_add(1, Ordering::Relaxed),
            (false, true) => panic!("a request after the death failed: {answer:?}"),
            (false, false) => {
                failures += 1;
                assert_eq!(failures, 1, "one request at a time was in flight: {answer:?}");
                client = Client::connect(address);
                tally.failed_before.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

#[track_caller]
fn kill_one_under_load(balance: &str) {
    const CLIENTS: usize = 16;
    let directory = tempfile::tempdir().expect("room for a directory");
    let mut backends = ["blue", "green", "amber"].map(|name| backend(name, &directory));
    let fulcrum = balancer(&backends, balance);
    let (address, tally) = (fulcrum.address(), Tally::default());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| ask_on(address, &tally))).collect();
        // Whatever goes wrong here, the clients end.
        let _over = EndAtDrop(&tally);
        eventually("traffic flows", || (tally.before.load(Ordering::Relaxed) >= 800).then_some(()));
        backends[0].child.signal(Signal::KILL);
        // Waited for: from here on the kernel refuses for it.
        assert_eq!(backends[0].child.exit_code(), None);
        tally.is_dead.store(true, Ordering::Release);
        eventually("traffic goes on", || {
            let is_broken = clients.iter().any(thread::ScopedJoinHandle::is_finished);
            (is_broken || tally.after.load(Ordering::Relaxed) >= 2000).then_some(())
        });
    });

    let failed = tally.failed_before.load(Ordering::Relaxed);
    assert!(failed <= CLIENTS, "{failed} failed");
    let metrics = fulcrum.metrics();
    assert_eq!(metrics.value("fulcrum_http_errors_total", &[]), failed as f64, "each failure has a reason");
    for reason in ["connect_refused", "connect_failed", "connect_timeout", "no_endpoint", "internal"] {
        let count = metrics.value("fulcrum_http_errors_total", &[("reason", reason)]);
        assert_eq!(count, 0.0, "{reason} is no reason to fail while others live");
    }
    let refused = [("endpoint", "blue"), ("reason", "connect_refused")];
    assert!(
        metrics.value("fulcrum_upstream_errors_total", &refused) >= 1.0,
        "it was tried, and another one then"
    );
    for alive in ["green", "amber"] {
        assert_eq!(metrics.value("fulcrum_upstream_errors_total", &[("endpoint", alive)]), 0.0, "{alive}");
        assert!(metrics.value("fulcrum_upstream_requests_total", &[("endpoint", alive)]) > 500.0, "{alive}");
    }
    assert_eq!(metrics.value("fulcrum_process_panics_total", &[]), 0.0);
}

struct EndAtDrop<'a>(&'a Tally);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

#[test]
fn a_killed_endpoint_costs_only_what_it_held() {
    kill_one_under_load("round_robin");
}

#[test]
fn a_killed_endpoint_does_not_look_idle() {
    kill_one_under_load("least_request");
}
