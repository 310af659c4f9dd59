//! Endpoints that fail real traffic are put out for a while, but never too many of them.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{in_turn, resetting};
use crate::harness::{Child, Conversation, Fulcrum, REFUSED, Setup, Upstream, eventually, ok};

/// An upstream that gives these statuses in turn, over and over.
fn giving(statuses: &'static [u16]) -> Upstream {
    let turn = std::sync::atomic::AtomicUsize::new(0);
    Upstream::new(move |mut conversation: Conversation| {
        while conversation.request().is_some() {
            let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let status = statuses[turn % statuses.len()];
            conversation.send(format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n"));
        }
    })
}

fn ask(fulcrum: &Fulcrum, times: usize) {
    let mut client = fulcrum.connect();
    (0..times).for_each(|_| drop(client.get("/")));
}

/// How many of 40 requests an upstream gets that answers like this, beside a good one.
#[track_caller]
fn check_share(statuses: &'static [u16], keys: &str, expected: usize) {
    let (sick, good) = (giving(statuses), Upstream::named("good"));
    let fulcrum = in_turn(&[&sick, &good]).service(&format!("slow_start: none{keys}")).start();
    ask(&fulcrum, 40);
    assert_eq!(sick.requests().len(), expected, "{statuses:?}{keys}");
    assert_eq!(good.requests().len(), 40 - expected, "{statuses:?}{keys}");
}

#[test]
fn errors_in_a_row_eject() {
    check_share(&[500], "", 5);
    check_share(&[503], "", 5);
    check_share(&[502], "", 5);
    check_share(&[504, 503, 502], "", 5);
    check_share(&[503], ", outlier: { consecutive_errors: 2 }", 2);
}

#[test]
fn other_answers_do_not_eject() {
    check_share(&[501], "", 20);
    check_share(&[404], "", 20);
    check_share(&[503, 503, 503, 503, 200], "", 20);
    check_share(&[503], ", outlier: none", 20);
}

#[test]
fn broken_connections_eject() {
    let (sick, good) = (resetting(), Upstream::named("good"));
    let fulcrum = in_turn(&[&sick, &good]).start();
    ask(&fulcrum, 40);
    assert_eq!(sick.requests().len(), 5);
    assert_eq!(good.requests().len(), 40, "each was tried again");
}

/// How many of 40 requests an upstream gets that breaks off the bodies of all its responses behind so many bytes.
#[track_caller]
fn check_broken_bodies(sent: usize) {
    let sick = Upstream::new(move |mut conversation: Conversation| {
        if conversation.request().is_some() {
            conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
            conversation.send(vec![b'a'; sent]);
        }
    });
    let good = Upstream::named("good");
    let fulcrum = in_turn(&[&sick, &good]).start();
    for _ in 0..40 {
        let mut client = fulcrum.connect();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        // A gateway's error, or a body without an end.
        let _ = client.try_response("GET");
    }
    assert_eq!(sick.requests().len(), 5, "{sent} bytes");
}

#[test]
fn responses_without_an_end_eject() {
    check_broken_bodies(10);
    check_broken_bodies(5_000_000);
}

#[test]
fn workers_judge_together() {
    let (sick, good) = (giving(&[503]), Upstream::named("good"));
    let fulcrum = in_turn(&[&sick, &good]).top("workers: 2").start();
    (0..40).for_each(|_| drop(fulcrum.get("/")));
    assert_eq!(sick.requests().len(), 5);
}

/// How many of so many endpoints, all of them sick, are out.
#[track_caller]
fn check_ejected(endpoints: usize, keys: &str, expected: usize) {
    let sick: Vec<Upstream> = (0..endpoints).map(|_| giving(&[503])).collect();
    let all: Vec<&Upstream> = sick.iter().collect();
    let fulcrum = in_turn(&all).service(&format!("panic: {{ below: 0% }}{keys}")).start();
    ask(&fulcrum, 10 * endpoints);
    let counts: Vec<usize> = sick.iter().map(|upstream| upstream.requests().len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 10 * endpoints);
    assert_eq!(counts.iter().filter(|&&count| count == 5).count(), expected, "{counts:?}{keys}");
}

#[test]
fn most_stay() {
    // One in any case, but never the last.
    check_ejected(1, "", 0);
    check_ejected(2, "", 1);
    check_ejected(5, "", 1);
    check_ejected(2, ", outlier: { max_ejected: 100% }", 1);
    check_ejected(20, "", 2);
    check_ejected(10, ", outlier: { max_ejected: 50% }", 5);
}

#[test]
fn who_refuses_three_times_is_left_alone() {
    let good = Upstream::named("good");
    let fulcrum = in_turn(&[&good]).endpoint(REFUSED).service("outlier: none").start();
    let mut client = fulcrum.connect();
    (0..40).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!(fulcrum.metric("fulcrum_upstream_retries_total", &[]), 3.0);
}

#[test]
fn who_refuses_is_tried_where_nobody_else_is_left() {
    let fulcrum = Setup::default().endpoint(REFUSED).start();
    let mut client = fulcrum.connect();
    let reasons = (0..10).map(|_| client.get("/").status).collect::<Vec<_>>();
    assert_eq!(reasons, [502; 10], "it is tried, and the reason is its own");
    fulcrum.await_errors("connect_refused", 10);
}

#[test]
fn another_service_is_not_affected() {
    let (sick, good) = (giving(&[503]), Upstream::answering(ok("good")));
    let address = sick.address();
    let fulcrum = Setup::new(&good)
        .route("{ path: /sick, to: sick }")
        .route("{ to: app }")
        .service(&format!(
            "timeouts: {{ connect: 5s }} }}\n  sick: {{ endpoints: [\"{address}\", \"{REFUSED}\"]"
        ))
        .start();
    let mut client = fulcrum.connect();
    for _ in 0..30 {
        assert_ne!(client.get("/sick").status, 200);
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(fulcrum.metric("fulcrum_upstream_errors_total", &[("service", "app")]), 0.0);
}

#[test]
fn who_was_ejected_comes_back() {
    let (sick, good) = (giving(&[503]), Upstream::named("good"));
    let keys = "slow_start: none, outlier: { eject: 300ms }";
    let fulcrum = in_turn(&[&sick, &good]).service(keys).start();
    let start = Instant::now();
    ask(&fulcrum, 40);
    let ejected = start.elapsed();
    assert!(sick.requests().len() == 5 || ejected > Duration::from_millis(300), "{ejected:?}");
    eventually("it is tried again", || {
        ask(&fulcrum, 2);
        (sick.requests().len() > 5).then_some(())
    });
    let out = start.elapsed();
    assert!((0.3..3.0).contains(&out.as_secs_f64()), "{out:?}");
}

#[test]
fn who_refused_is_back_soon_after_it_listens_again() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let start = |bind: &str| {
        let arguments = ["demo-backend", "--bind", bind, "--name", "back"];
        let child = Child::start(&arguments, directory.path().join("back"));
        let ready: Value = serde_json::from_str(&child.line()).expect("JSON");
        (child, ready["address"].as_str().expect("an address").to_owned())
    };
    let (mut child, address) = start("127.0.0.1:0");
    let good = Upstream::named("good");
    let fulcrum = in_turn(&[&good]).endpoint(&address).service("slow_start: none, outlier: none").start();
    ask(&fulcrum, 10);
    assert_eq!(good.requests().len(), 5);
    child.signal(rustix::process::Signal::KILL);
    assert_eq!(child.exit_code(), None);
    let mut client = fulcrum.connect();
    (0..40).for_each(|_| assert_eq!(client.get("/").text(), "good"));
    let refused = [("reason", "connect_refused")];
    assert_eq!(fulcrum.metric("fulcrum_upstream_errors_total", &refused), 3.0);

    let (_again, _) = start(&address);
    let listening = Instant::now();
    eventually("it serves again", || (client.get("/").text() != "good").then_some(()));
    assert!(listening.elapsed() < Duration::from_secs(3), "{:?}", listening.elapsed());
    assert_eq!(fulcrum.metric("fulcrum_upstream_errors_total", &refused), 3.0, "no request was risked");
}
