//! Ends a child process of `fulcrum demo` with the process that started it, however that one ends.

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Asks the kernel for SIGTERM when the parent dies. False when the parent, `expected` by its process id, is already
/// gone: the caller should end at once.
pub(crate) fn end_with(expected: i32) -> bool {
    // First the request, then the question: a parent that dies in between is noticed by one of the two.
    let asked = set_parent_process_death_signal(Some(Signal::TERM)).is_ok();
    asked && getppid().map(Pid::as_raw_pid) == Some(expected)
}
