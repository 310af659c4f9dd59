//! A process without file descriptors waits for some, and loses no connection over it.

use std::time::{Duration, Instant};

use super::strace::Strace;
use crate::harness::{Setup, Upstream};

#[test]
#[ignore = "needs strace"]
fn exhaustion_is_counted_and_waited_out() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
        let hits = || fulcrum.metric("fulcrum_process_limit_hits_total", &[("reason", "file_descriptors")]);
        let before = hits();
        let strace = Strace::inject(&fulcrum, "worker-0", "accept4", &format!("error={error}:when=1..3"));
        let start = Instant::now();
        assert_eq!(fulcrum.get("/").text(), "app", "{error}");
        // Three attempts fail, and 100 ms pass after each.
        assert!(start.elapsed() >= Duration::from_millis(290), "{error}: {:?}", start.elapsed());
        assert_eq!(hits() - before, 3.0, "{error}");
        drop(strace);
    }
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0, "nobody has noticed");
}

#[test]
#[ignore = "needs strace"]
fn a_peer_that_gave_up_in_the_queue_costs_nothing() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let _strace = Strace::inject(&fulcrum, "worker-0", "accept4", "error=ECONNABORTED:when=1..3");
    assert_eq!(fulcrum.get("/").text(), "app");
    assert_eq!(fulcrum.metric("fulcrum_process_limit_hits_total", &[]), 0.0);
}
