//! Diagnostics on standard error, and one line for a panic wherever it happens.

use std::any::Any;
use std::fmt;
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::thread;

use fulcrum_config::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// Overrides `log.level` with the syntax of `RUST_LOG`: `debug`, `warn,fulcrum_data_plane=trace`.
const OVERRIDE: &str = "FULCRUM_LOG";

/// The diagnostics of a running daemon.
pub(crate) struct Telemetry {
    /// Puts another filter in force.
    change: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

/// Begins to write diagnostics of `level` and above, and makes panics one line of them.
pub(crate) fn start(level: LogLevel) -> Telemetry {
    let (filter, mistake) = filter(level, environment().as_deref());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_filter_reloading();
    let handle = builder.reload_handle();
    // Only the daemon calls this, once; a second subscriber could not be set and would change nothing.
    let _ = tracing::subscriber::set_global_default(builder.finish());
    if let Some(mistake) = mistake {
        tracing::warn!("{OVERRIDE} is not used: {mistake}");
    }
    panic::set_hook(Box::new(report));
    // It fails when the subscriber is gone, which stays for ever.
    Telemetry { change: Box::new(move |filter| drop(handle.reload(filter))) }
}

impl Telemetry {
    /// Writes diagnostics of `level` and above from now on, unless the environment says otherwise.
    pub(crate) fn show(&self, level: LogLevel) {
        (self.change)(filter(level, environment().as_deref()).0);
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// The time as diagnostics write it: RFC 3339 in UTC.
pub(crate) fn now() -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

fn environment() -> Option<String> {
    std::env::var(OVERRIDE).ok()
}

/// The filter to use, and why the override cannot be used if so.
fn filter(level: LogLevel, environment: Option<&str>) -> (EnvFilter, Option<String>) {
    let configured = || EnvFilter::default().add_directive(level_filter(level).into());
    match environment.filter(|text| !text.trim().is_empty()).map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (configured(), Some(error.to_string())),
        None => (configured(), None),
    }
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn report(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        thread = thread.name().unwrap_or("unnamed"),
        place,
        "panic: {}",
        message(panic.payload())
    );
}

/// What was said to `panic!`: one line, whatever it was.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is not text").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_overrides_the_file() {
        fn check(level: LogLevel, environment: Option<&str>, expected: &str, mistake: bool) {
            let (filter, found) = filter(level, environment);
            assert_eq!(
                (filter.to_string().as_str(), found.is_some()),
                (expected, mistake),
                "{environment:?}"
            );
        }
        check(LogLevel::Info, None, "info", false);
        check(LogLevel::Info, Some(" "), "info", false);
        check(LogLevel::Info, Some("debug"), "debug", false);
        check(LogLevel::Error, Some("hyper=loud"), "error", true);
    }

    #[test]
    fn times_are_in_utc() {
        let now = now();
        assert!(now.starts_with("20") && now.ends_with('Z') && now.contains('T'), "{now}");
    }

    #[test]
    fn panic_messages_are_one_line() {
        assert_eq!(message(&"left\nright"), "left right");
        assert_eq!(message(&String::from("text")), "text");
        assert_eq!(message(&7_u8), "a value that is not text");
    }
}
