//! What is counted of host names. Which of them fails is in `/status`: metrics have no label for each.

use std::sync::Arc;

use fulcrum_control_plane::discovery::dns::{Counters, Failure, NameStatus, Resolver};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, CounterVec, GaugeVec, Opts};

/// A collector of the `fulcrum_discovery_dns_*` family.
#[derive(Debug)]
pub(super) struct NameMetrics {
    resolver: Arc<Resolver>,
    descriptions: Vec<Desc>,
}

impl NameMetrics {
    pub(super) fn new(resolver: Arc<Resolver>) -> Result<Self, prometheus::Error> {
        let empty = Families::new()?;
        let descriptions = empty.collectors().iter().flat_map(|one| one.desc()).cloned().collect();
        Ok(NameMetrics { resolver, descriptions })
    }
}

impl Collector for NameMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Made anew each time: two scrapes at once share nothing.
        let Ok(families) = Families::new() else { return Vec::new() };
        families.show(&self.resolver.counters(), &self.resolver.status());
        families.collectors().iter().flat_map(|one| one.collect()).collect()
    }
}

struct Families {
    lookups: CounterVec,
    changes: Counter,
    names: GaugeVec,
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let lookups = Opts::new("fulcrum_discovery_dns_lookups_total", "Look-ups of host names.");
        let names = Opts::new("fulcrum_discovery_dns_names", "Host names of the configuration.");
        Ok(Families {
            lookups: CounterVec::new(lookups, &["result"])?,
            changes: Counter::new(
                "fulcrum_discovery_dns_changes_total",
                "Answers with other addresses than before.",
            )?,
            names: GaugeVec::new(names, &["state"])?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 3] {
        [&self.lookups, &self.changes, &self.names]
    }

    /// Every series is there from the start.
    fn show(&self, counters: &Counters, names: &[NameStatus]) {
        self.lookups.with_label_values(&["ok"]).inc_by(counters.answers as f64);
        for (failure, count) in Failure::ALL.iter().zip(counters.failures) {
            self.lookups.with_label_values(&[failure.as_str()]).inc_by(count as f64);
        }
        self.changes.inc_by(counters.changes as f64);
        for state in STATES {
            let count = names.iter().filter(|name| state_of(name) == state).count();
            self.names.with_label_values(&[state]).set(count as f64);
        }
    }
}

const STATES: [&str; 3] = ["ok", "failing", "unknown"];

/// A name that fails keeps the addresses it had.
fn state_of(name: &NameStatus) -> &'static str {
    match (name.failures, name.last_answer) {
        (1.., _) => "failing",
        (0, Some(_)) => "ok",
        (0, None) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(failures: u32, last_answer: Option<Duration>) -> NameStatus {
        NameStatus {
            name: "app.internal".into(),
            addresses: Arc::default(),
            last_answer,
            last_failure: (failures > 0).then_some(Failure::Timeout),
            failures,
            next_lookup: None,
        }
    }

    #[test]
    fn every_result_and_state_has_a_number() {
        let families = Families::new().expect("the names are valid");
        let mut counters = Counters { lookups: 9, answers: 5, changes: 2, ..Counters::default() };
        counters.failures[Failure::Timeout as usize] = 3;
        let answered = Some(Duration::from_secs(1));
        families.show(&counters, &[name(0, answered), name(2, answered), name(1, None), name(0, None)]);
        let lookups = |result| families.lookups.with_label_values(&[result]).get();
        assert_eq!([lookups("ok"), lookups("timeout"), lookups("no_such_name")], [5.0, 3.0, 0.0]);
        assert_eq!(families.changes.get(), 2.0);
        let names = STATES.map(|state| families.names.with_label_values(&[state]).get());
        assert_eq!(names, [1.0, 2.0, 1.0]);
        let series = families.lookups.collect()[0].get_metric().len();
        assert_eq!(series, 1 + Failure::ALL.len());
    }
}
