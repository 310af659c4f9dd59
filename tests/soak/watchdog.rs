//! A worker that hangs is told after 2 s and ends the process after 10 s; a machine that pauses is no such worker.

use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::strace::{Strace, WAIT};
use crate::harness::{Setup, Upstream, eventually, hold};

#[test]
#[ignore = "needs strace, takes 12 s"]
fn a_worker_that_hangs_ends_the_process() {
    let upstream = Upstream::named("app");
    let mut fulcrum = Setup::new(&upstream).top("workers: 2").start();
    fulcrum.child.expect_failure();
    // From the third call on, so that there is a trace to wait for.
    let strace = Strace::inject(&fulcrum, "worker-1", WAIT, "delay_enter=30s:when=3");
    let start = Instant::now();
    eventually("it is told", || {
        fulcrum.child.stderr().contains("no progress for 2 s worker=1").then_some(())
    });
    let told = start.elapsed();
    // A look is 200 ms long, and the hang begins a tick or two after the trace.
    assert!(told > Duration::from_millis(1500) && told < Duration::from_secs(4), "{told:?}");
    assert_eq!(fulcrum.ask_admin("/healthz").status, 200);
    hold("it may still come back", Duration::from_secs(7), || fulcrum.child.is_running());
    eventually("it is given up", || {
        fulcrum.child.stderr().contains("no progress for 10 s: aborting worker=1").then_some(())
    });
    assert!(start.elapsed() < Duration::from_secs(13), "{:?}", start.elapsed());
    // A tracer that sleeps does not let a dead thread go.
    drop(strace);
    assert_eq!(fulcrum.child.end().signal(), Some(Signal::ABORT.as_raw()));
    let stderr = fulcrum.child.stderr();
    assert_eq!(stderr.matches("no progress for 2 s").count(), 1, "{stderr}");
    assert!(!stderr.contains("worker=0"), "the other one was fine: {stderr}");
}

#[test]
#[ignore = "takes 15 s"]
fn a_paused_process_is_not_stuck() {
    let upstream = Upstream::named("app");
    let mut fulcrum = Setup::new(&upstream).top("workers: 2").start();
    let mut client = fulcrum.connect();
    assert_eq!(client.get("/before").text(), "app");
    fulcrum.child.signal(Signal::STOP);
    // Longer than the watchdog's patience.
    thread::sleep(Duration::from_secs(12));
    fulcrum.child.signal(Signal::CONT);
    assert_eq!(client.get("/behind").text(), "app");
    hold("it goes on", Duration::from_secs(3), || fulcrum.child.is_running());
    assert_eq!(fulcrum.stop(), Some(0));
    let stderr = fulcrum.child.stderr();
    assert!(!stderr.contains("no progress"), "{stderr}");
}
