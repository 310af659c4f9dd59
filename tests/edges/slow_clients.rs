//! Two thousand clients that are slow in six ways: each is ended by its own limit and counted there, no endpoint is
//! blamed for any of them, and whoever is not slow notices nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::slow_client::{KINDS, Kind, LARGE, Slow};
use crate::harness::{Client, Conversation, Fulcrum, Setup, Upstream, eventually, ok, raise_descriptors};

/// When those end who drip a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dripping {
    /// With the rest, by themselves.
    WithTheRest,
    /// When they are cut off, after half a minute: nobody can configure that.
    UntilCutOff,
}

const EACH: usize = 334;
/// Of this process and of the daemon: clients, their upstream connections, and the daemon's reserve.
const DESCRIPTORS: u64 = 6000;
/// What they may cost at most, in bytes for each of them.
const MOST_EACH: u64 = 40 << 10;
/// The time between two sips or drops.
const PAUSE: Duration = Duration::from_millis(100);

fn upstream() -> Upstream {
    Upstream::new(|mut conversation: Conversation| {
        // It is kept waiting for longer than anything else in these tests.
        conversation.wire.socket.set_read_timeout(Duration::from_secs(120));
        conversation.wire.socket.set_write_timeout(Duration::from_secs(120));
        while let Some(head) = conversation.head() {
            if head.word(1) == "/large" {
                conversation.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", LARGE.len()));
                conversation.send(&*LARGE);
            } else if conversation.body(&head).end.is_ok() {
                conversation.send(ok("app"));
            } else {
                return;
            }
        }
    })
}

/// A client that is quick, on kept and on new connections. Fails with the first answer that is not the right one.
fn be_quick(address: &str, is_over: &AtomicBool, served: &AtomicUsize) {
    while !is_over.load(Ordering::Acquire) {
        let mut client = Client::connect(address);
        for _ in 0..20 {
            let response = client.get("/quick");
            assert_eq!((response.status, response.text().as_str()), (200, "app"));
            served.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// All of them at a time. Each kind and what each of its connections has added to the daemon's memory, in bytes.
#[track_caller]
pub(crate) fn run(dripping: Dripping) -> Vec<(String, u64)> {
    raise_descriptors(DESCRIPTORS);
    let upstreams = [upstream(), upstream()];
    let fulcrum = Setup::new(&upstreams[0])
        .endpoint(upstreams[1].address())
        .listener("timeouts: { header: 3s, body_idle: 3s, keep_alive: 3s }")
        // The first failure would be seen.
        .service("outlier: { consecutive_errors: 1 }")
        .start();
    let (is_over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let memory = thread::scope(|scope| {
        let (address, is_over) = (fulcrum.address(), &is_over);
        let _over = EndAtDrop(is_over);
        let served = &served;
        let quick = scope.spawn(move || be_quick(address, is_over, served));
        let memory = be_slow(&fulcrum, dripping);
        is_over.store(true, Ordering::Release);
        quick.join().expect("who is quick is served");
        memory
    });
    assert!(served.load(Ordering::Relaxed) > 100, "{served:?} requests of who is quick");
    check_counts(&fulcrum, dripping);
    memory
}

#[track_caller]
fn be_slow(fulcrum: &Fulcrum, dripping: Dripping) -> Vec<(String, u64)> {
    let (mut clients, mut memory) = (Vec::with_capacity(KINDS.len() * EACH), Vec::new());
    let (start, mut most) = (fulcrum.resident(), 0);
    for kind in KINDS {
        let before = fulcrum.resident();
        clients.extend((0..EACH).map(|_| Slow::new(kind, fulcrum.address())));
        let arrived = clients.len() as f64;
        eventually("all are accepted", || {
            (fulcrum.metric("fulcrum_http_connections_total", &[]) >= arrived).then_some(())
        });
        let grown = fulcrum.resident().saturating_sub(before);
        memory.push((format!("{kind:?}"), grown / EACH as u64));
    }
    let goes_on = |kind| match kind {
        Kind::ReadingSlowly => true,
        Kind::DrippingBody => dripping == Dripping::WithTheRest,
        _ => false,
    };
    step_until("all are ended that have a limit", &mut clients, |clients| {
        most = most.max(fulcrum.resident());
        clients.iter().all(|client| client.has_ended || goes_on(client.kind))
    });
    let each = most.saturating_sub(start) / clients.len() as u64;
    assert!(each < MOST_EACH, "{each} bytes a connection");
    memory.push(("all, at most".to_owned(), each));
    for client in &clients {
        assert_eq!(client.has_ended, !goes_on(client.kind), "{:?}: who makes progress goes on", client.kind);
        if client.has_ended {
            client.check();
        }
    }
    // Those who read take no more, and those who drip go.
    clients.retain(|client| client.kind == Kind::ReadingSlowly);
    fulcrum.await_errors("client_stalled", EACH as u32);
    eventually("the slow readers find their end", || {
        clients.iter_mut().for_each(|client| client.read(usize::MAX));
        clients.iter().all(|client| client.has_ended).then_some(())
    });
    clients.iter().for_each(Slow::check);
    memory
}

/// Lets each do what it does, again and again, for at most a minute.
#[track_caller]
fn step_until(what: &str, clients: &mut [Slow], mut is_so: impl FnMut(&[Slow]) -> bool) {
    let start = Instant::now();
    while !is_so(clients) {
        assert!(start.elapsed() < Duration::from_secs(60), "not in a minute: {what}: {}", unended(clients));
        thread::sleep(PAUSE);
        clients.iter_mut().for_each(Slow::step);
    }
}

/// How many of each kind go on.
fn unended(clients: &[Slow]) -> String {
    let count = |kind| clients.iter().filter(|client| client.kind == kind && !client.has_ended).count();
    KINDS.map(|kind| format!("{} {kind:?}", count(kind))).join(", ")
}

/// Each end is counted under the limit that made it, and nobody else has any part in it.
#[track_caller]
fn check_counts(fulcrum: &Fulcrum, dripping: Dripping) {
    let (gone, cut_off) = if dripping == Dripping::WithTheRest { (EACH, 0) } else { (0, EACH) };
    let reasons = [
        ("header_timeout", EACH),
        ("body_timeout", EACH + cut_off),
        ("client_stalled", EACH),
        ("client_closed", gone),
    ];
    for (reason, expected) in reasons {
        fulcrum.await_errors(reason, expected as u32);
    }
    fulcrum.await_metric("fulcrum_http_connections", &[], 0.0);
    let metrics = fulcrum.metrics();
    let all: usize = reasons.iter().map(|(_, expected)| expected).sum();
    assert_eq!(metrics.value("fulcrum_http_errors_total", &[]), all as f64, "no other reason");
    // The silent and the idle.
    assert_eq!(metrics.value("fulcrum_http_idle_closed_total", &[]), 2.0 * EACH as f64);
    let blames = [
        "fulcrum_upstream_errors_total",
        "fulcrum_upstream_retries_total",
        "fulcrum_health_ejections_total",
        "fulcrum_health_transitions_total",
        "fulcrum_process_panics_total",
    ];
    for limit in ["connections", "idle_shed", "file_descriptors", "attempts", "retry_budget"] {
        let hits = metrics.value("fulcrum_process_limit_hits_total", &[("reason", limit)]);
        assert_eq!(hits, 0.0, "{limit}: that was no part of it");
    }
    for name in blames {
        assert_eq!(metrics.value(name, &[]), 0.0, "{name}");
    }
    assert_eq!(metrics.value("fulcrum_health_endpoints", &[("state", "up")]), 2.0);
}

struct EndAtDrop<'a>(&'a AtomicBool);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn each_of_two_thousand_slow_clients_meets_its_own_limit() {
    run(Dripping::WithTheRest);
}
