//! `fulcrum check`: everything of a start that needs no socket.
//!
//! It runs beside a live daemon: nothing is bound, connected or written.

use fulcrum_config::{Config, Loaded, Report};

use crate::cli::{CheckOptions, Format};
use crate::exit::Exit;
use crate::gslb;
use crate::output;

/// Checks a file and says what is wrong with it, all at once.
pub(crate) fn check(options: &CheckOptions) -> Exit {
    let loaded = fulcrum_config::load(options.file(), &|name| std::env::var(name).ok());
    let (report, exit) = match &loaded {
        Ok(Loaded { warnings, .. }) => (warnings, Exit::Done),
        Err(report) => (report, Exit::BadConfig),
    };
    show(report, options.format);
    if let Err(error) = loaded.as_ref().map_or(Ok(()), |loaded| gslb::check(&loaded.config)) {
        output::error_line(format_args!("error: {error}"));
        return Exit::BadConfig;
    }
    if let (Ok(loaded), Format::Text) = (&loaded, options.format) {
        output::line(format_args!("{}: {}", options.file().display(), summary(&loaded.config)));
    }
    exit
}

fn show(report: &Report, format: Format) {
    match format {
        Format::Text => output::error_text(&report.to_text()),
        Format::Json => output::line(report.to_json()),
    }
}

/// What the file describes, so that an operator sees that it was the right one.
fn summary(config: &Config) -> String {
    let endpoints = config.services.iter().map(|service| service.endpoints.len()).sum();
    format!(
        "good: {}, {}, {}, {}",
        count(config.listeners.len(), "listener"),
        count(config.routes.len(), "route"),
        count(config.services.len(), "service"),
        count(endpoints, "endpoint"),
    )
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_as_english() {
        assert_eq!(count(0, "route"), "0 routes");
        assert_eq!(count(1, "route"), "1 route");
        assert_eq!(count(2, "route"), "2 routes");
    }
}
