//! What a configuration file does, from its text to values or errors.

mod discovery;
mod documentation;
mod files;
mod gslb;
mod gslb_errors;
mod gslb_zone_errors;
mod listener;
mod meaning;
mod properties;
mod registry;
mod rendering;
mod schema;
mod service;
mod service_errors;
mod shape;
mod syntax;
mod valid;
mod values;
mod warnings;

use std::fmt::Write as _;

use fulcrum_config::{Config, Report, load_text};

/// Variables as the tests see them.
pub(crate) fn env(name: &str) -> Option<String> {
    match name {
        "BIND" => Some("80".to_owned()),
        "PORT" => Some("8080".to_owned()),
        "WORD" => Some("hunter2".to_owned()),
        _ => None,
    }
}

/// Loads a text that must be good.
pub(crate) fn good(yaml: &str) -> Config {
    match load_text("fulcrum.yaml", yaml, &env) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
}

/// What there is to say about a text; both are given with an empty first line.
pub(crate) fn check(yaml: &str, expected: &str) {
    let yaml = yaml.strip_prefix('\n').unwrap_or(yaml);
    let report = match load_text("f.yaml", yaml, &env) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    assert_eq!(compact(&report), expected.trim_start_matches('\n'), "{report}");
}

/// `CODE LINE:COLUMN MESSAGE` and its notes, a line each.
pub(crate) fn compact(report: &Report) -> String {
    let mut text = String::new();
    for diagnostic in report.diagnostics() {
        let _ = write!(text, "{} ", diagnostic.code);
        if let (Some(line), Some(column)) = (diagnostic.line, diagnostic.column) {
            let _ = write!(text, "{line}:{column} ");
        }
        let _ = writeln!(text, "{}", diagnostic.message);
        for note in &diagnostic.notes {
            let _ = writeln!(text, "  = {note}");
        }
    }
    text
}
