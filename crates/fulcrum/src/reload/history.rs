//! What is known of the reloads so far: for the metrics and for `/status`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use prometheus::{Gauge, IntCounterVec, IntGauge, Opts, Registry};
use serde::{Deserialize, Serialize};

use super::outcome::{Mistakes, Outcome};
use crate::telemetry;

/// Of a running daemon.
#[derive(Debug)]
pub(crate) struct History {
    successful: IntGauge,
    loaded_at: Gauge,
    reloads: IntCounterVec,
    config: ArcSwap<ConfigHistory>,
}

/// Where the configuration comes from and how the last attempts to read it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfigHistory {
    /// The main file.
    pub(crate) file: String,
    /// When the configuration in force was loaded (RFC 3339, UTC).
    pub(crate) loaded_at: String,
    /// Why the last reload was refused; nothing when it was not.
    pub(crate) last_error: Option<LastError>,
}

/// A refused reload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LastError {
    /// When (RFC 3339, UTC).
    pub(crate) at: String,
    #[serde(flatten)]
    pub(crate) mistakes: Mistakes,
}

impl History {
    /// Begins with a configuration that has just been loaded from `file`, and shows its metrics in `registry`.
    pub(crate) fn begin(file: &Path, registry: &Registry) -> Result<Self, prometheus::Error> {
        let history = History {
            successful: IntGauge::new(
                SUCCESSFUL,
                "1 when the last reload was put in force, 0 when it was refused.",
            )?,
            loaded_at: Gauge::new(
                LOADED_AT,
                "When the configuration in force was loaded, in seconds since 1970.",
            )?,
            reloads: IntCounterVec::new(
                Opts::new(RELOADS, "Reloads, and looks at touched files that held nothing new."),
                &["result"],
            )?,
            config: ArcSwap::from_pointee(ConfigHistory {
                file: file.display().to_string(),
                loaded_at: telemetry::now(),
                last_error: None,
            }),
        };
        for result in [COMMITTED, REFUSED, UNCHANGED] {
            history.reloads.with_label_values(&[result]);
        }
        history.mark_loaded();
        registry.register(Box::new(history.successful.clone()))?;
        registry.register(Box::new(history.loaded_at.clone()))?;
        registry.register(Box::new(history.reloads.clone()))?;
        Ok(history)
    }

    /// Adds one more.
    pub(crate) fn add(&self, outcome: &Outcome) {
        let before = self.config.load();
        match outcome {
            Outcome::Committed(_) => {
                self.count(COMMITTED);
                self.mark_loaded();
                self.config.store(
                    ConfigHistory {
                        file: before.file.clone(),
                        loaded_at: telemetry::now(),
                        last_error: None,
                    }
                    .into(),
                );
            }
            Outcome::Refused(mistakes) => {
                self.count(REFUSED);
                self.successful.set(0);
                let last_error = Some(LastError { at: telemetry::now(), mistakes: mistakes.clone() });
                self.config.store(ConfigHistory { last_error, ..ConfigHistory::clone(&before) }.into());
            }
            Outcome::Unchanged => self.count(UNCHANGED),
        }
    }

    /// For `/status`.
    pub(crate) fn config(&self) -> ConfigHistory {
        ConfigHistory::clone(&self.config.load())
    }

    fn count(&self, result: &str) {
        self.reloads.with_label_values(&[result]).inc();
    }

    fn mark_loaded(&self) {
        self.successful.set(1);
        self.loaded_at.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    }
}

const SUCCESSFUL: &str = "fulcrum_config_last_reload_successful";
const LOADED_AT: &str = "fulcrum_config_last_reload_timestamp_seconds";
const RELOADS: &str = "fulcrum_config_reloads_total";

const COMMITTED: &str = "committed";
const REFUSED: &str = "refused";
const UNCHANGED: &str = "unchanged";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reload::outcome::Committed;

    #[test]
    fn an_error_lasts_until_the_next_success() {
        let history = History::begin(Path::new("a.yaml"), &Registry::new()).expect("no name is there twice");
        let refused = Outcome::Refused(Mistakes { text: "error: no\n".to_owned(), errors: Vec::new() });
        let committed = Committed { generation: 2, changes: Default::default(), warnings: Vec::new() };
        let committed = Outcome::Committed(Box::new(committed));
        let check = |outcome: &Outcome, successful: i64, has_error: bool| {
            history.add(outcome);
            let found = (history.successful.get(), history.config().last_error.is_some());
            assert_eq!(found, (successful, has_error), "{outcome:?}");
        };
        assert_eq!(history.successful.get(), 1);
        check(&refused, 0, true);
        check(&Outcome::Unchanged, 0, true);
        check(&committed, 1, false);
        check(&Outcome::Unchanged, 1, false);
        let counted =
            [COMMITTED, REFUSED, UNCHANGED].map(|result| history.reloads.with_label_values(&[result]).get());
        assert_eq!(counted, [1, 1, 2]);
    }
}
