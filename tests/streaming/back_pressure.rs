//! Whoever does not read is held back, at little cost for us and none for others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::harness::{Client, Conversation, Fulcrum, Setup, Upstream, eventually, hold, ok, pattern};

use super::send_beside;

/// Sends so much and counts what the proxy has taken.
fn pouring_upstream(length: usize) -> (Upstream, Arc<AtomicUsize>) {
    let poured = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&poured);
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            if request.target() != "/pour" {
                conversation.send(ok("small"));
                continue;
            }
            conversation.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
            let body = pattern(length);
            for piece in body.chunks(65_536) {
                if conversation.wire.send(piece).is_err() {
                    return;
                }
                counter.fetch_add(piece.len(), Ordering::Relaxed);
            }
        }
    });
    (upstream, poured)
}

/// Waits until a number stops growing.
fn await_standstill(counter: &AtomicUsize) -> usize {
    let mut last = (usize::MAX, Instant::now());
    eventually("a standstill", || {
        let now = counter.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(300)).then_some(now)
    })
}

/// Serves others at once, and without having grown by more than `bound` bytes.
#[track_caller]
fn check_unimpressed(fulcrum: &Fulcrum, before: u64, bound: u64) {
    let grown = fulcrum.resident().saturating_sub(before);
    assert!(grown < bound, "the daemon has grown by {grown} bytes");
    let start = Instant::now();
    assert_eq!(fulcrum.get("/small").text(), "small");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_client_that_does_not_read_costs_little_memory_and_nobody_else() {
    let length = 64 << 20;
    let (upstream, poured) = pouring_upstream(length);
    let fulcrum = Setup::new(&upstream).start();
    assert_eq!(fulcrum.get("/small").text(), "small");
    let before = fulcrum.resident();
    let mut client = fulcrum.connect();
    client.send("GET /pour HTTP/1.1\r\nHost: test\r\n\r\n");
    let taken = await_standstill(&poured);
    assert!(taken < length, "the upstream is held back");
    check_unimpressed(&fulcrum, before, 4 << 20);
    // Late is not lost.
    let response = client.response();
    assert!(response.body == pattern(length), "{} bytes differ", response.body.len());
}

#[test]
fn many_clients_that_do_not_read_cost_little_memory() {
    let (upstream, poured) = pouring_upstream(64 << 20);
    let fulcrum = Setup::new(&upstream).start();
    assert_eq!(fulcrum.get("/small").text(), "small");
    let before = fulcrum.resident();
    let clients: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = fulcrum.connect();
            client.send("GET /pour HTTP/1.1\r\nHost: test\r\n\r\n");
            client
        })
        .collect();
    await_standstill(&poured);
    check_unimpressed(&fulcrum, before, 20 << 20);
    drop(clients);
    eventually("the upstream connections end with their clients", || {
        (upstream.open_connections() <= 1).then_some(())
    });
}

#[test]
fn a_client_that_pipelines_and_does_not_read_is_held_back() {
    let upstream = Upstream::named("small");
    let body = "x".repeat(8000);
    let setup = Setup::new(&upstream)
        .route(&format!("{{ path: /fixed, respond: {{ status: 200, body: {body} }} }}"))
        .route("{ path: /small, to: app }");
    let fulcrum = setup.start();
    assert_eq!(fulcrum.get("/small").text(), "small");
    let before = fulcrum.resident();
    let mut client = fulcrum.connect();
    client.wire.socket.set_write_timeout(Duration::from_millis(300));
    let requests = "GET /fixed HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1000);
    let held_back = (0..1000).any(|_| client.wire.send(requests.as_bytes()).is_err());
    assert!(held_back, "a million requests were taken with no answer read");
    check_unimpressed(&fulcrum, before, 4 << 20);
}

#[test]
fn an_upstream_that_does_not_read_costs_little_memory_and_nobody_else() {
    let length = 64 << 20;
    let (answered, small_is_answered) = mpsc::channel::<()>();
    let small_is_answered = Mutex::new(small_is_answered);
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        // Its connections stay open: a POST on one that was just closed is not sent again.
        while let Some(head) = conversation.head() {
            if head.word(1) == "/small" {
                conversation.send(ok("small"));
                continue;
            }
            // Until the sender is dropped, also by a test that has failed.
            let _ = small_is_answered.lock().expect("one request is large").recv();
            let body = conversation.body(&head);
            conversation.send(ok(if body.bytes == pattern(length) { "same" } else { "different" }));
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    assert_eq!(fulcrum.get("/small").text(), "small");
    let before = fulcrum.resident();
    let mut client = fulcrum.connect();
    client.send(format!("POST /large HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n"));
    let sender = send_beside(&client, pattern(length), 65_536);
    hold("the memory is bounded", Duration::from_secs(1), || {
        fulcrum.resident().saturating_sub(before) < 4 << 20
    });
    check_unimpressed(&fulcrum, before, 4 << 20);
    assert!(!sender.is_finished(), "the client is held back");
    drop(answered);
    assert_eq!(client.response().text(), "same");
    sender.join().expect("sending does not panic");
}
