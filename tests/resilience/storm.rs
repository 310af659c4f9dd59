//! The death of an endpoint at full load: no request that may be repeated fails, and none is done twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use super::in_turn;
use crate::harness::{Child, Client, Conversation, Fulcrum, Upstream, eventually, ok};

const CLIENTS: usize = 64;

/// What the clients have seen together.
#[derive(Default)]
struct Tally {
    is_over: AtomicBool,
    good: AtomicUsize,
}

/// Ends the clients, whatever goes wrong.
struct EndAtDrop<'a>(&'a Tally);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

/// One client, whose requests must all be answered.
fn ask_on(address: &str, tally: &Tally) {
    let mut client = Client::connect(address);
    while !tally.is_over.load(Ordering::Acquire) {
        let response = client.get("/load");
        assert_eq!(response.status, 200, "{}", response.text());
        tally.good.fetch_add(1, Ordering::Relaxed);
    }
}

#[track_caller]
fn kill_one(balance: &str) {
    let directory = tempfile::tempdir().expect("room for a directory");
    let start = |name: &str| {
        let arguments = ["demo-backend", "--bind", "127.0.0.1:0", "--name", name];
        let child = Child::start(&arguments, directory.path().join(name));
        let ready: Value = serde_json::from_str(&child.line()).expect("JSON");
        let address = ready["address"].as_str().expect("an address").to_owned();
        (child, format!("{{ id: {name}, address: \"{address}\" }}"))
    };
    let mut backends = ["blue", "green", "amber"].map(start);
    let endpoints: Vec<&str> = backends.iter().map(|(_, endpoint)| endpoint.as_str()).collect();
    let fulcrum = Fulcrum::start(&format!(
        "workers: 2\nlisteners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ to: colors }}]\n\
         services: {{ colors: {{ balance: {balance}, endpoints: [{}] }} }}\n",
        endpoints.join(", ")
    ));
    let (address, tally) = (fulcrum.address(), Tally::default());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| ask_on(address, &tally))).collect();
        let _over = EndAtDrop(&tally);
        let more = |count: usize| {
            let until = tally.good.load(Ordering::Relaxed) + count;
            eventually("traffic flows", || {
                let is_broken = clients.iter().any(thread::ScopedJoinHandle::is_finished);
                (is_broken || tally.good.load(Ordering::Relaxed) >= until).then_some(())
            });
        };
        more(3000);
        backends[0].0.signal(Signal::KILL);
        more(5000);
    });
    assert_eq!(backends[0].0.exit_code(), None);
    assert!(!fulcrum.metrics().has("fulcrum_http_errors_total", &[]), "nothing has failed");
    let retries = fulcrum.metric("fulcrum_upstream_retries_total", &[]);
    assert!((1.0..=f64::from(2 * CLIENTS as u32)).contains(&retries), "{retries} retries");
    assert_eq!(fulcrum.metric("fulcrum_process_limit_hits_total", &[("reason", "retry_budget")]), 0.0);
}

#[test]
fn no_get_fails_when_an_endpoint_is_killed_in_turns() {
    kill_one("round_robin");
}

#[test]
fn no_get_fails_when_an_endpoint_is_killed() {
    kill_one("least_request");
}

/// An upstream that dies on command: what it has taken is done, and never answered.
fn mortal(is_dead: &Arc<AtomicBool>) -> Upstream {
    let is_dead = Arc::clone(is_dead);
    Upstream::new(move |mut conversation: Conversation| {
        while conversation.request().is_some() {
            if is_dead.load(Ordering::Acquire) {
                return conversation.reset();
            }
            conversation.send(ok("done"));
        }
    })
}

#[test]
fn no_post_is_done_twice_when_an_endpoint_dies() {
    const EACH: usize = 40;
    let is_dead = Arc::default();
    let upstreams = [mortal(&is_dead), mortal(&Arc::default()), mortal(&Arc::default())];
    let all: Vec<&Upstream> = upstreams.iter().collect();
    let fulcrum = in_turn(&all).top("workers: 2").start();
    let (address, answered) = (fulcrum.address(), AtomicUsize::new(0));
    let ask = &|number: usize| {
        let mut client = Client::connect(address);
        let mut failed = Vec::new();
        for request in 0..EACH {
            let id = format!("/{number}/{request}");
            let answer =
                client.ask(format!("POST {id} HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nwork"));
            match answer.status {
                200 => {}
                502 => failed.push(id),
                status => panic!("{id}: {status} {}", answer.text()),
            }
            if answered.fetch_add(1, Ordering::Relaxed) == CLIENTS * EACH / 4 {
                is_dead.store(true, Ordering::Release);
            }
        }
        failed
    };
    let failed: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || ask(number))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("it says why")).collect()
    });
    let mut done = BTreeMap::<String, usize>::new();
    for request in upstreams.iter().flat_map(Upstream::requests) {
        *done.entry(request.target().to_owned()).or_default() += 1;
    }
    let twice: Vec<_> = done.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(done.len(), CLIENTS * EACH, "each was done once");
    assert!(!failed.is_empty() && failed.len() <= 2 * CLIENTS, "{} failed", failed.len());
    let dead = upstreams[0].requests();
    assert!(failed.iter().all(|id| dead.iter().any(|request| request.target() == id)), "{failed:?}");
}
