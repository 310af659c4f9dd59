//! One client that reads slowly costs nobody else anything.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::generator::{self, Load, OnFailure, Outcome};
use crate::harness::{Client, Conversation, Fulcrum, Setup, Upstream, ok};

const LARGE: usize = 64 << 20;
/// What the slow client reads in a tenth of a second: 64 KiB/s.
const SIP: usize = 6554;

fn upstream() -> Upstream {
    Upstream::new(|mut conversation: Conversation| {
        // It is held back for longer than anything else in these tests.
        conversation.wire.socket.set_write_timeout(Duration::from_secs(120));
        let record = conversation.wire.record();
        while let Some(head) = conversation.head() {
            record.lock().expect("nobody panics with the record").clear();
            if head.word(1) == "/small" {
                conversation.send(ok("small"));
                continue;
            }
            conversation.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
            conversation.send(vec![b'a'; LARGE]);
        }
    })
}

/// Requests at a modest rate on other connections.
#[track_caller]
fn measure(fulcrum: &Fulcrum) -> Outcome {
    let load = Load {
        address: fulcrum.address().parse().expect("an address"),
        hosts: vec!["test".to_owned()],
        target: "/small".to_owned(),
        rate: 500.0,
        connections: 16,
        duration: Duration::from_secs(20),
        on_failure: OnFailure::Fail,
    };
    generator::run(&load).expect("every request is answered")
}

/// Reads a sip at a time until it is over; how many bytes that were.
fn sip(client: &mut Client, is_over: &AtomicBool) -> usize {
    let mut read = 0;
    while !is_over.load(Ordering::Acquire) {
        thread::sleep(Duration::from_millis(100));
        client.wire.socket.read_exact(&mut [0; SIP]).expect("there is always more");
        read += SIP;
    }
    read
}

#[test]
#[ignore = "takes 40 s and measures"]
fn a_slow_reader_costs_nobody_else_time() {
    let upstream = upstream();
    // They share the only worker.
    let fulcrum = Setup::new(&upstream).start();
    let alone = measure(&fulcrum);
    let before = fulcrum.resident();
    let is_over = AtomicBool::new(false);
    let (beside, read) = thread::scope(|scope| {
        let mut client = fulcrum.connect();
        client.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n");
        let is_over = &is_over;
        let reader = scope.spawn(move || sip(&mut client, is_over));
        let beside = measure(&fulcrum);
        let grown = fulcrum.resident().saturating_sub(before);
        is_over.store(true, Ordering::Release);
        assert!(grown < 8 << 20, "the daemon has grown by {grown} bytes");
        (beside, reader.join().expect("reading does not fail"))
    });
    assert!((800_000..4_000_000).contains(&read), "slow, and never stopped: {read} bytes");
    let p99 = |outcome: &Outcome| outcome.latency.percentile(0.99);
    let bound = (p99(&alone) * 2).max(p99(&alone) + Duration::from_millis(5));
    assert!(
        p99(&beside) <= bound,
        "p99 {:?} alone, {:?} beside (worst {:?}; sent late by {:?}; {} answers in {:?})",
        p99(&alone),
        p99(&beside),
        beside.latency.max(),
        beside.lateness.percentile(0.99),
        beside.latency.count(),
        beside.elapsed,
    );
}

/// A socket tells of room only when a third of its buffer is free: with megabytes in it, minutes pass between two looks at
/// a client that never pauses for longer than a tenth of a second.
#[test]
#[ignore = "takes 90 s"]
fn a_slow_but_steady_reader_is_not_stalled() {
    const SIP: usize = 1638;
    let upstream = upstream();
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(90) {
        thread::sleep(Duration::from_millis(100));
        let read = client.wire.socket.read_exact(&mut [0; SIP]);
        assert!(read.is_ok(), "{read:?} after {:?}: {:?}", start.elapsed(), fulcrum.log_lines());
    }
    assert_eq!(fulcrum.log_lines(), [""; 0], "the request goes on");
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[], 1.0);
}
