//! The minimum rate of request bodies, in real time: who drips holds an upstream for 30 s and no longer.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Setup, Upstream, Wire};

/// Sends a piece every second until the other side closes, or for so many seconds.
fn drip(wire: &mut Wire, piece: &[u8], seconds: usize) -> usize {
    (0..seconds)
        .take_while(|_| {
            thread::sleep(Duration::from_secs(1));
            wire.send(piece).is_ok()
        })
        .count()
}

#[test]
#[ignore = "takes 30 s"]
fn a_body_that_drips_is_cut_off_after_the_grace() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("POST /drip HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n");
    let mut dripping = Wire::new(client.wire.socket.try_clone());
    client.wire.socket.set_read_timeout(Duration::from_secs(40));
    let start = Instant::now();
    // Each drop is progress: no idle time ever gets near its limit of 60 s.
    let dripper = thread::spawn(move || drip(&mut dripping, b"0123456789", 60));
    let response = client.response();
    let elapsed = start.elapsed();
    assert_eq!(response.status, 408);
    assert!(response.text().contains("reason: body_timeout\n"), "{}", response.text());
    assert!(elapsed > Duration::from_millis(29_500) && elapsed < Duration::from_secs(32), "{elapsed:?}");
    fulcrum.await_errors("body_timeout", 1);
    assert_eq!(fulcrum.record_of("/drip")["reason"], "body_timeout");
    assert_eq!(upstream.requests().len(), 0, "no whole request");
    let drops = dripper.join().expect("dripping does not panic");
    assert!((29..40).contains(&drops), "the connection is closed: {drops}");
}

#[test]
#[ignore = "takes 45 s"]
fn a_slow_body_above_the_rate_arrives() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    let (piece, seconds) = ([b'a'; 2048], 45);
    let length = piece.len() * seconds;
    client.send(format!("POST /slow HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n"));
    assert_eq!(drip(&mut client.wire, &piece, seconds), seconds);
    assert_eq!(client.response().text(), "app");
    assert_eq!(upstream.only_request().body.len(), length);
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
}
