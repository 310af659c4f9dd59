//! Waiting for something that will be, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine; reached only where a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Asks until there is an answer; panics with `what` when there is none in time.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "not in {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sees that something stays as it is for a moment: the only way to see that nothing happens.
#[track_caller]
pub(crate) fn hold(what: &str, moment: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < moment {
        assert!(is_so(), "no longer so after {:?}: {what}", start.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
}
