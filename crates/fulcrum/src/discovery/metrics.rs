//! What is counted of sources. Which of them fails is in `/status`: metrics have no label for each.

use std::sync::Arc;

use fulcrum_control_plane::discovery::{Counters, SourceStatus, Sources};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts};

/// A collector of the `fulcrum_discovery_*` families of sources.
#[derive(Debug)]
pub(super) struct SourceMetrics {
    sources: Arc<Sources>,
    descriptions: Vec<Desc>,
}

impl SourceMetrics {
    pub(super) fn new(sources: Arc<Sources>) -> Result<Self, prometheus::Error> {
        let empty = Families::new()?;
        let descriptions = empty.collectors().iter().flat_map(|one| one.desc()).cloned().collect();
        Ok(SourceMetrics { sources, descriptions })
    }
}

impl Collector for SourceMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Made anew each time: two scrapes at once share nothing.
        let Ok(families) = Families::new() else { return Vec::new() };
        families.show(&self.sources.counters(), &self.sources.status());
        families.collectors().iter().flat_map(|one| one.collect()).collect()
    }
}

struct Families {
    looks: CounterVec,
    changes: CounterVec,
    sources: GaugeVec,
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let looks = Opts::new("fulcrum_discovery_refreshes_total", "Looks at sources of endpoints.");
        let changes = Opts::new("fulcrum_discovery_changes_total", "Lists with other endpoints than before.");
        let sources = Opts::new("fulcrum_discovery_sources", "Sources of the configuration.");
        Ok(Families {
            looks: CounterVec::new(looks, &["kind", "result"])?,
            changes: CounterVec::new(changes, &["kind"])?,
            sources: GaugeVec::new(sources, &["kind", "state"])?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 3] {
        [&self.looks, &self.changes, &self.sources]
    }

    /// Series of failures are there once they have happened, the others from the start.
    fn show(&self, counters: &Counters, sources: &[SourceStatus]) {
        for kind in KINDS {
            self.looks.with_label_values(&[kind, "ok"]);
            self.changes.with_label_values(&[kind]);
            for state in STATES {
                let is = |source: &&SourceStatus| source.source.kind() == kind && state_of(source) == state;
                let count = sources.iter().filter(is).count();
                self.sources.with_label_values(&[kind, state]).set(count as f64);
            }
        }
        for ((kind, result), count) in &counters.looks {
            self.looks.with_label_values(&[kind, result]).inc_by(*count as f64);
        }
        for (kind, count) in &counters.changes {
            self.changes.with_label_values(&[kind]).inc_by(*count as f64);
        }
    }
}

const KINDS: [&str; 3] = ["file", "http", "srv"];
const STATES: [&str; 3] = ["ok", "failing", "unknown"];

/// A source that fails keeps the list it had.
fn state_of(source: &SourceStatus) -> &'static str {
    match (source.failures, source.last_good) {
        (1.., _) => "failing",
        (0, Some(_)) => "ok",
        (0, None) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use fulcrum_model::Source;

    use super::*;

    fn file(failures: u32, last_good: Option<Duration>) -> SourceStatus {
        let source = Source::File("/list.json".into());
        SourceStatus { source, endpoints: 1, last_good, last_trouble: None, failures }
    }

    #[test]
    fn every_kind_and_state_has_a_number() {
        let families = Families::new().expect("the names are valid");
        let looks = BTreeMap::from([(("file", "ok"), 5), (("file", "malformed"), 3)]);
        let counters = Counters { looks, changes: BTreeMap::from([("file", 2)]) };
        let good = Some(Duration::from_secs(1));
        families.show(&counters, &[file(0, good), file(2, good), file(1, None), file(0, None)]);
        let looks = |kind, result| families.looks.with_label_values(&[kind, result]).get();
        assert_eq!([looks("file", "ok"), looks("file", "malformed"), looks("srv", "ok")], [5.0, 3.0, 0.0]);
        assert_eq!(families.changes.with_label_values(&["file"]).get(), 2.0);
        let files = STATES.map(|state| families.sources.with_label_values(&["file", state]).get());
        assert_eq!(files, [1.0, 2.0, 1.0]);
        assert_eq!(families.sources.collect()[0].get_metric().len(), KINDS.len() * STATES.len());
    }
}
