//! What is counted of those who ask for services by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use fulcrum_gslb::directory::{Directory, DirectoryServer};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, Gauge, Opts};

/// A collector of the `fulcrum_registry_dns_*` family.
pub(crate) struct DnsMetrics {
    server: Arc<DirectoryServer>,
    directory: Arc<Directory>,
    descriptions: Vec<Desc>,
}

impl DnsMetrics {
    pub(super) fn new(
        server: &Arc<DirectoryServer>,
        directory: &Arc<Directory>,
    ) -> Result<Self, prometheus::Error> {
        let empty = Families::new()?;
        let descriptions = empty.collectors().iter().flat_map(|one| one.desc()).cloned().collect();
        Ok(DnsMetrics { server: Arc::clone(server), directory: Arc::clone(directory), descriptions })
    }
}

impl Collector for DnsMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Made anew each time: two scrapes at once share nothing.
        let Ok(families) = Families::new() else { return Vec::new() };
        families.show(&self.server, &self.directory);
        families.collectors().iter().flat_map(|one| one.collect()).collect()
    }
}

struct Families {
    queries: CounterVec,
    responses: CounterVec,
    truncated: CounterVec,
    drops: CounterVec,
    names: Gauge,
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let counter =
            |name: &str, help: &str, labels: &[&str]| CounterVec::new(Opts::new(name, help), labels);
        Ok(Families {
            queries: counter(
                "fulcrum_registry_dns_queries_total",
                "DNS queries for services that were answered.",
                &["transport"],
            )?,
            responses: counter("fulcrum_registry_dns_responses_total", "Answers by their code.", &["code"])?,
            truncated: counter("fulcrum_registry_dns_truncated_total", "Answers that did not fit.", &[])?,
            drops: counter(
                "fulcrum_registry_dns_drops_total",
                "Queries and connections without a whole answer.",
                &["reason"],
            )?,
            names: Gauge::new("fulcrum_registry_dns_services", "Services that have a name.")?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 5] {
        [&self.queries, &self.responses, &self.truncated, &self.drops, &self.names]
    }

    fn show(&self, server: &DirectoryServer, directory: &Directory) {
        let counters = server.counters();
        for (transport, count) in counters.transports() {
            self.queries.with_label_values(&[transport]).inc_by(count as f64);
        }
        let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
        for zone in counters.zones() {
            for (code, count) in zone.codes {
                *codes.entry(code).or_default() += count;
            }
        }
        for (code, count) in codes.into_iter().filter(|(_, count)| *count > 0) {
            self.responses.with_label_values(&[code]).inc_by(count as f64);
        }
        self.truncated.with_label_values::<&str>(&[]).inc_by(counters.truncated() as f64);
        for (reason, count) in counters.drops() {
            self.drops.with_label_values(&[reason]).inc_by(count as f64);
        }
        self.names.set(directory.count() as f64);
    }
}
