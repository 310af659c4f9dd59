//! Random and mutated requests on many connections, for as long as `SOAK_SECONDS` says (600), and beside them a client
//! that behaves and must never notice.
//!
//! A run prints its seed; `SOAK_SEED` begins another one with the same requests.

mod mutation;
mod rng;

use std::env;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::forgetful;
use crate::harness::{Client, Failure, Fulcrum, Setup, Upstream, eventually, ok, pattern};
use rng::Rng;

/// Connections with noise at any time.
const NOISY: u64 = 32;
/// Requests of the well-behaved client on one connection.
const POLITE: usize = 50;
/// A worker keeps up to 20 MiB of buffers for the next burst; the rest is what an allocator does not give back.
const GROWTH: u64 = 64 << 20;

fn number(variable: &str) -> Option<u64> {
    env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}: no number")))
}

/// What an answer says of the request that reached the upstream.
fn account(target: &str, body: &[u8]) -> String {
    let sum = body.iter().fold(0_u32, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte));
    format!("{target} {} {sum}", body.len())
}

fn upstream() -> Upstream {
    forgetful(|target, body| ok(&account(target, body)))
}

fn balancer(upstream: &Upstream) -> Fulcrum {
    // Short, so that what mutation cut off does not hold its connection for long.
    Setup::new(upstream)
        .listener("timeouts: { header: 1s, body_idle: 1s, keep_alive: 1s }")
        .service("timeouts: { response_header: 1s }")
        .top("log: { access: none }")
        .top("workers: 2")
        .start()
}

/// One noisy connection after the other. How many had an answer.
fn make_noise(address: &str, mut rng: Rng, is_over: &AtomicBool) -> u64 {
    let mut answered = 0;
    while !is_over.load(Ordering::Acquire) {
        let mut client = Client::connect(address);
        // Now and then longer than the daemon waits.
        let patience = if rng.below(200) == 0 { 1500 } else { 1 + rng.below(30) };
        client.wire.socket.set_read_timeout(Duration::from_millis(patience));
        for round in 0..=rng.below(3) {
            let bytes = mutation::noise(&mut rng);
            for piece in bytes.chunks(1 + rng.below(4096) as usize) {
                client.send(piece);
            }
            if rng.below(8) == 0 {
                client.end_sending();
            }
            let (answer, failure) = client.wire.until_end();
            answered += u64::from(!answer.is_empty());
            // Whatever the question was. Later ones may meet the rest of an earlier answer.
            let is_http = answer.is_empty() || answer.starts_with(b"HTTP/1.1 ");
            assert!(is_http || round > 0, "{:?} is answered by {:?}", text(&bytes), text(&answer));
            if failure != Failure::Silent {
                break;
            }
        }
        if rng.below(3) == 0 {
            client.wire.socket.reset_on_close();
        }
    }
    answered
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned()
}

/// A client that behaves. Counts its requests; fails with the first answer that is not the right one.
fn behave(address: &str, is_over: &AtomicBool, requests: &AtomicU64) {
    let body = pattern(100_000);
    while !is_over.load(Ordering::Acquire) {
        let mut client = Client::connect(address);
        for n in 0..POLITE {
            let sent = &body[..n * 2000];
            let target = format!("/polite/{n}");
            let length = sent.len();
            let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
            client.send([head.as_bytes(), sent].concat());
            let response = client.response();
            assert_eq!((response.status, response.text()), (200, account(&target, sent)));
            requests.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct EndAtDrop<'a>(&'a AtomicBool);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Lets everybody at it, and watches. How many noisy answers there were, and how many polite ones.
#[track_caller]
fn run(fulcrum: &Fulcrum, seed: u64, duration: Duration) -> (u64, u64) {
    let (is_over, requests) = (AtomicBool::new(false), AtomicU64::new(0));
    let start_memory = fulcrum.resident();
    let answered = thread::scope(|scope| {
        let address = fulcrum.address();
        let (is_over, requests) = (&is_over, &requests);
        let _over = EndAtDrop(is_over);
        let polite = scope.spawn(move || behave(address, is_over, requests));
        let noisy: Vec<_> = (0..NOISY)
            .map(|n| scope.spawn(move || make_noise(address, Rng::new(seed.wrapping_add(n)), is_over)))
            .collect();
        let start = Instant::now();
        while start.elapsed() < duration {
            thread::sleep(Duration::from_millis(200));
            let grown = fulcrum.resident().saturating_sub(start_memory);
            assert!(grown < GROWTH, "the daemon has grown by {grown} bytes after {:?}", start.elapsed());
            let has_failed = polite.is_finished() || noisy.iter().any(thread::ScopedJoinHandle::is_finished);
            assert!(!has_failed, "see above");
        }
        is_over.store(true, Ordering::Release);
        polite.join().expect("the polite client never fails");
        noisy.into_iter().map(|thread| thread.join().expect("only HTTP comes back")).sum()
    });
    (answered, requests.into_inner())
}

#[test]
#[ignore = "takes SOAK_SECONDS, 600 without it"]
fn noise_harms_nobody() {
    let duration = Duration::from_secs(number("SOAK_SECONDS").unwrap_or(600));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let seed = number("SOAK_SEED").unwrap_or(now.as_secs());
    let _ = writeln!(io::stderr(), "SOAK_SEED={seed}");
    let upstream = upstream();
    let mut fulcrum = balancer(&upstream);
    let descriptors = fulcrum.metric("fulcrum_process_open_fds", &[]);
    let (answered, polite) = run(&fulcrum, seed, duration);

    assert!(answered > 100 && polite > 100, "{answered} and {polite} answers: that was no load");
    fulcrum.await_metric("fulcrum_http_connections", &[], 0.0);
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[], 0.0);
    eventually("only pooled connections are left", || {
        let metrics = fulcrum.metrics();
        let pooled = metrics.value("fulcrum_upstream_connections_idle", &[]);
        (metrics.value("fulcrum_process_open_fds", &[]) == descriptors + pooled).then_some(())
    });
    let metrics = fulcrum.metrics();
    assert_eq!(metrics.value("fulcrum_process_panics_total", &[]), 0.0);
    assert_eq!(metrics.value("fulcrum_http_errors_total", &[("reason", "internal")]), 0.0);
    for reason in ["malformed_request_line", "invalid_chunk", "headers_too_large", "header_timeout"] {
        let count = metrics.value("fulcrum_http_errors_total", &[("reason", reason)]);
        assert!(count > 0.0, "{reason} is missing: that was no noise");
    }
    assert_eq!(fulcrum.stop(), Some(0));
}
