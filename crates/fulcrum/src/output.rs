//! Text for people and programs on standard output and standard error.
//!
//! A reader that went away (`fulcrum schema | head`) is no error of ours, so failed writes are dropped.

use std::io::{self, Write};

/// Writes one line to standard output and flushes it: programs wait for it.
pub(crate) fn line(text: impl std::fmt::Display) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

/// Writes text that brings its own line ends to standard output.
pub(crate) fn text(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// Writes one line to standard error.
pub(crate) fn error_line(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes text that brings its own line ends to standard error.
pub(crate) fn error_text(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
