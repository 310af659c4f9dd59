//! How a command ends: one table of exit codes.

use std::process::ExitCode;

/// The outcome of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked to: 0.
    Done,
    /// It did not: 1.
    Failed,
    /// The command line makes no sense: 2.
    Usage,
    /// What was simulated would not fit: 3.
    NoRoom,
    /// Nobody can tell whether what was simulated would fit: 4.
    Untold,
    /// The configuration cannot be used as it is, or one of its sockets cannot be bound: 64.
    BadConfig,
    /// No daemon answers: 69.
    Unreachable,
}

impl Exit {
    /// The number the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NoRoom => 3,
            Exit::Untold => 4,
            Exit::BadConfig => 64,
            Exit::Unreachable => 69,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
