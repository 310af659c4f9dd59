//! What a configuration file does, from its text to values or errors.

mod valid;

use fulcrum_config::{Config, load_text};

/// Loads a text that must be good.
pub fn good(yaml: &str) -> Config {
    match load_text("fulcrum.yaml", yaml, &|_| None) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
}
