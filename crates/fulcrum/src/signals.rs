//! The signals that end the daemon and the demo.

use std::fmt;
use std::io;

use tokio::signal::unix::{self, SignalKind};

/// SIGTERM, SIGINT and SIGHUP, from the moment of creation: one that arrives early is kept.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP: the terminal is gone.
    Hangup,
}

impl Signals {
    /// Takes the signals over from their default, which would end the process. Needs a tokio runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Signals {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. May be dropped and called again without losing any.
    pub(crate) async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.terminate.recv() => Ending::Terminate,
            _ = self.interrupt.recv() => Ending::Interrupt,
            _ = self.hangup.recv() => Ending::Hangup,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Terminate => "SIGTERM",
            Ending::Interrupt => "SIGINT",
            Ending::Hangup => "SIGHUP",
        })
    }
}
