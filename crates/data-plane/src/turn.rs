//! Turns of a worker's reactor. What the reactor says of a socket is as old as its last turn.

use std::cell::Cell;

thread_local! {
    static TURN: Cell<u64> = const { Cell::new(0) };
}

/// The turn of this thread's reactor that tasks run in now.
pub(crate) fn now() -> u64 {
    TURN.get()
}

/// The reactor of this thread has looked at its sockets, or is about to.
pub(crate) fn next() {
    TURN.set(TURN.get() + 1);
}
