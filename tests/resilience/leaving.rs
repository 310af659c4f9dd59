//! Requests that wait for an endpoint whose check begins to fail: those that may be done twice go elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::health::Patient;
use super::{await_in_flight, begin, in_turn};
use crate::harness::{Conversation, Upstream, eventually, hold, ok};

/// An upstream whose check fails when it is told so, and which answers everything else only when it is let.
fn stuck(is_sick: &Arc<AtomicBool>) -> (Upstream, Sender<()>) {
    let is_sick = Arc::clone(is_sick);
    let (gate, opened) = channel::<()>();
    let opened = Mutex::new(opened);
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            if request.target() == "/healthz" {
                let status = if is_sick.load(Ordering::Relaxed) { 503 } else { 200 };
                conversation.send(format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n"));
                continue;
            }
            if opened.lock().expect("nobody panics with it").recv().is_err() {
                return;
            }
            conversation.send(ok("late"));
        }
    });
    (upstream, gate)
}

#[test]
fn who_waits_for_an_endpoint_that_goes_down_is_sent_elsewhere_once() {
    let is_sick = Arc::default();
    let ((sick, gate), good) = (stuck(&is_sick), Patient::new("good", 200));
    let fulcrum = in_turn(&[&sick, &good.upstream])
        .service("health: { http: /healthz, interval: 100ms }, slow_start: none")
        .start();
    eventually("both are healthy", || {
        let healthy = fulcrum.metric("fulcrum_health_endpoints", &[("state", "up")]);
        (healthy == 2.0).then_some(())
    });
    let at_sick = |method: &str| {
        let taken = |sick: &Upstream| sick.requests().iter().filter(|one| one.method() == method).count();
        let before = taken(&sick);
        eventually("one gets stuck", || {
            let mut client = fulcrum.connect();
            client.send(format!("{method} /work HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
            let checks = sick.requests().iter().filter(|one| one.target() == "/healthz").count();
            // By the next check it has arrived where it was sent.
            eventually("a check", || {
                let now = sick.requests().iter().filter(|one| one.target() == "/healthz").count();
                (now > checks + 1).then_some(())
            });
            (taken(&sick) > before).then_some(client)
        })
    };
    let (mut get, mut post) = (at_sick("PUT"), at_sick("POST"));
    is_sick.store(true, Ordering::Relaxed);
    assert_eq!(get.response().text(), "good", "what may be done twice goes elsewhere");
    // What must not be done twice stays for its answer.
    post.assert_silent(Duration::from_millis(600));
    gate.send(()).expect("the upstream lives");
    gate.send(()).expect("the upstream lives");
    assert_eq!(post.response().text(), "late");
    assert!(!fulcrum.metrics().has("fulcrum_http_errors_total", &[]), "nothing has failed");
    let retries = fulcrum.metric("fulcrum_upstream_retries_total", &[]);
    assert_eq!(retries, 1.0);
}

#[test]
fn nobody_leaves_when_all_checks_fail() {
    let is_sick = Arc::default();
    let (sick, gate) = stuck(&is_sick);
    let (other, other_gate) = stuck(&is_sick);
    let fulcrum = in_turn(&[&sick, &other]).service("health: { http: /healthz, interval: 100ms }").start();
    let mut clients = [begin(&fulcrum, "/1"), begin(&fulcrum, "/2")];
    await_in_flight(&fulcrum, 2);
    is_sick.store(true, Ordering::Relaxed);
    eventually("both are down", || {
        let down = fulcrum.metric("fulcrum_health_endpoints", &[("state", "down")]);
        (down == 2.0).then_some(())
    });
    hold("they wait", Duration::from_millis(600), || {
        fulcrum.metric("fulcrum_http_requests_in_flight", &[]) == 2.0
    });
    for gate in [&gate, &gate, &other_gate, &other_gate] {
        gate.send(()).expect("the upstream lives");
    }
    clients.iter_mut().for_each(|client| assert_eq!(client.response().text(), "late"));
}
