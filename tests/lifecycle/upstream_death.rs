//! An endpoint that is killed under load.
//!
//! The rule: only a request that may have been executed by the endpoint that died, and must not be executed twice, can
//! fail. A connection that it refuses is tried on another endpoint at once; a pooled connection that it has closed is
//! noticed; a GET that it has not answered is asked of another one. So no GET fails, a POST only where it was sent to the
//! dead one, at most one for each client, and no POST reaches two endpoints: each of them notes what arrives before it
//! does anything.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Child, Client, Failure, Fulcrum, Metrics, Response, eventually};

const CLIENTS: usize = 64;
const NAMES: [&str; 3] = ["blue", "green", "amber"];

struct Backend {
    child: Child,
    address: String,
}

fn backend(name: &str, directory: &TempDir) -> Backend {
    let log = log_of(name, directory);
    let arguments = ["demo-backend", "--bind", "127.0.0.1:0", "--name", name, "--log", &log];
    let child = Child::start(&arguments, directory.path().join(name));
    let ready: Value = serde_json::from_str(&child.line()).expect("JSON");
    Backend { child, address: ready["address"].as_str().expect("an address").to_owned() }
}

fn log_of(name: &str, directory: &TempDir) -> String {
    directory.path().join(format!("{name}.log")).display().to_string()
}

fn balancer(backends: &[Backend], balance: &str) -> Fulcrum {
    let endpoints: Vec<String> = NAMES
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
    /// The targets of POSTs that were answered, and of those that failed.
    posted: Mutex<Vec<String>>,
    failed: Mutex<Vec<String>>,
}

/// One client: GET and POST in turns, each with an id of its own, until it is over.
fn ask_on(address: &str, number: usize, tally: &Tally) {
    let mut client = Client::connect(address);
    let (mut posted, mut failed) = (Vec::new(), Vec::new());
    for count in 0.. {
        if tally.is_over.load(Ordering::Acquire) {
            break;
        }
        let is_post = (number + count).is_multiple_of(2);
        let began_after = tally.is_dead.load(Ordering::Acquire);
        let (method, rest) = if is_post { ("POST", "Content-Length: 2\r\n\r\nhi") } else { ("GET", "\r\n") };
        let target = format!("/load?id={number}-{count}");
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{rest}"));
        let answer = client.try_response(method);
        if is_right(&answer, method, &target) {
            posted.extend(is_post.then_some(target));
            let served = if began_after { &tally.after } else { &tally.before };
            served.fetch_add(1, Ordering::Relaxed);
        } else {
            assert!(
                is_post && !began_after,
                "{method} {target} failed, begun after: {began_after}: {answer:?}"
            );
            failed.push(target);
            client = Client::connect(address);
        }
    }
    assert!(failed.len() <= 1, "one request at a time was in flight: {failed:?}");
    tally.posted.lock().expect(UNPOISONED).extend(posted);
    tally.failed.lock().expect(UNPOISONED).extend(failed);
}

fn is_right(answer: &Result<Response, Failure>, method: &str, target: &str) -> bool {
    let Ok(response) = answer else { return false };
    if response.status != 200 || response.end != Ok(()) {
        return false;
    }
    let echo: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!((&echo["method"], &echo["target"]), (&method.into(), &target.into()), "another's answer");
    true
}

/// Lets the clients ask, and kills the first endpoint in the middle of it.
#[track_caller]
fn load(fulcrum: &Fulcrum, backends: &mut [Backend], tally: &Tally) {
    let address = fulcrum.address();
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || ask_on(address, number, tally))).collect();
        // Whatever goes wrong here, the clients end.
        let _over = EndAtDrop(tally);
        let is_broken = || clients.iter().any(thread::ScopedJoinHandle::is_finished);
        eventually("traffic flows", || {
            (is_broken() || tally.before.load(Ordering::Relaxed) >= 50 * CLIENTS).then_some(())
        });
        backends[0].child.signal(Signal::KILL);
        // Waited for: from here on the kernel refuses for it.
        assert_eq!(backends[0].child.exit_code(), None);
        tally.is_dead.store(true, Ordering::Release);
        eventually("traffic goes on", || {
            (is_broken() || tally.after.load(Ordering::Relaxed) >= 100 * CLIENTS).then_some(())
        });
    });
}

/// Each POST that was answered arrived once, each that failed at most once and at nobody who lives.
#[track_caller]
fn check_arrivals(directory: &TempDir, tally: &Tally) {
    let mut arrivals: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in NAMES {
        let log = fs::read_to_string(log_of(name, directory)).expect("each has got something");
        for target in log.lines().filter_map(|line| line.strip_prefix("POST ")) {
            arrivals.entry(target.to_owned()).or_default().push(name);
        }
    }
    let twice: Vec<_> = arrivals.iter().filter(|(_, names)| names.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let (posted, failed) = (tally.posted.lock().expect(UNPOISONED), tally.failed.lock().expect(UNPOISONED));
    posted.iter().for_each(|target| assert!(arrivals.contains_key(target), "{target} is in no log"));
    for target in failed.iter() {
        let names = arrivals.get(target).cloned().unwrap_or_default();
        assert!(names.is_empty() || names == ["blue"], "{target} failed and is in the log of {names:?}");
    }
    let unknown =
        arrivals.keys().filter(|target| !posted.contains(target) && !failed.contains(target)).count();
    assert_eq!(unknown, 0, "nobody else posts");
}

/// Every failure was one of the dead one and is told as such.
#[track_caller]
fn check_failures(fulcrum: &Fulcrum, metrics: &Metrics, failed: &[String]) {
    assert_eq!(metrics.value("fulcrum_http_errors_total", &[]), failed.len() as f64, "each has a reason");
    for target in failed {
        let record = fulcrum.record_of(target);
        assert_eq!((&record["endpoint"], &record["attempts"]), (&"blue".into(), &1.into()), "{record}");
        let reason = record["reason"].as_str().expect("a reason");
        assert!(["upstream_reset", "upstream_closed"].contains(&reason), "{record}");
    }
}

#[track_caller]
fn kill_one_under_load(balance: &str) {
    let directory = tempfile::tempdir().expect("room for a directory");
    let mut backends = NAMES.map(|name| backend(name, &directory));
    let fulcrum = balancer(&backends, balance);
    let tally = Tally::default();
    load(&fulcrum, &mut backends, &tally);

    check_arrivals(&directory, &tally);
    let metrics = fulcrum.metrics();
    check_failures(&fulcrum, &metrics, &tally.failed.lock().expect(UNPOISONED));
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

const UNPOISONED: &str = "nobody panics with the lock";

#[test]
fn a_killed_endpoint_costs_only_what_it_held() {
    kill_one_under_load("round_robin");
}

#[test]
fn a_killed_endpoint_does_not_look_idle() {
    kill_one_under_load("least_request");
}
