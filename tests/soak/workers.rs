//! A worker that dies takes the process with it, loudly: half the capacity is worse than a restart.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::strace::{Strace, WAIT};
use crate::harness::{Setup, Upstream};

#[test]
#[ignore = "needs strace"]
fn a_worker_that_dies_ends_the_process() {
    let upstream = Upstream::named("app");
    let mut fulcrum = Setup::new(&upstream).top("workers: 2").start();
    assert_eq!(fulcrum.get("/").text(), "app");
    fulcrum.child.expect_failure();
    let start = Instant::now();
    // Without its reactor a worker can do nothing at all.
    let _strace = Strace::inject(&fulcrum, "worker-0", WAIT, "error=EBADF");
    assert_eq!(fulcrum.child.end().signal(), Some(Signal::ABORT.as_raw()));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let stderr = fulcrum.child.stderr();
    let line_with = |part: &str| stderr.lines().any(|line| line.contains("ERROR") && line.contains(part));
    assert!(line_with("panic: "), "what happened: {stderr}");
    assert!(line_with("worker-0"), "to whom: {stderr}");
    assert!(line_with(": aborting"), "what follows: {stderr}");
}
