//! What the registry shows to Prometheus. Made anew at each scrape, from numbers that are counted where things happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::core::{Collector as PrometheusCollector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts};

use crate::api::Api;
use crate::eviction::Mood;

/// A collector of the `fulcrum_registry_*` family.
#[derive(Debug)]
pub struct Collector {
    api: Arc<Api>,
    descriptions: Vec<Desc>,
}

/// The values of a name, each with the value of its label; with an empty label when there is one value.
type Values = Vec<(Vec<String>, f64)>;

impl Collector {
    /// Of this registry and its API.
    ///
    /// # Errors
    /// None that a test would not have seen: a name or a label is not one.
    pub fn new(api: Arc<Api>) -> Result<Self, prometheus::Error> {
        let descriptions = FAMILIES.iter().map(|family| {
            let labels = family.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(family.name.to_owned(), family.help.to_owned(), labels, Default::default())
        });
        let descriptions = descriptions.collect::<Result<_, _>>()?;
        Ok(Collector { api, descriptions })
    }

    fn values(&self) -> [Values; FAMILIES.len()] {
        let (registry, counted) = (self.api.registry(), self.api.counters());
        let counters = registry.counters();
        let (services, _) = registry.services();
        let entries = services.iter().flat_map(|(_, published)| &published.entries);
        let suspects = entries.filter(|entry| entry.instance.suspect.is_some()).count();
        let instances = services.iter().map(|(_, published)| published.entries.len()).sum::<usize>();
        let with_instances = services.iter().filter(|(_, published)| !published.entries.is_empty()).count();
        let is_frozen = matches!(registry.mood(), Mood::Frozen { .. });
        let is_writable = counters.is_writable.load(Ordering::Relaxed);
        let requests = counted.requests().filter(|(_, _, count)| *count > 0);
        [
            one(instances as f64),
            one(with_instances as f64),
            one(suspects as f64),
            one(registry.watchers() as f64),
            one(f64::from(u8::from(is_writable))),
            one(f64::from(u8::from(is_frozen))),
            labelled([
                ("renewed", of(&counters.renewals)),
                ("unknown", of(&counters.unknown)),
                ("stale_epoch", of(&counters.stale)),
                ("not_yours", of(&counters.foreign)),
            ]),
            one(of(&counters.events)),
            one(of(&counters.commits)),
            one(of(&counters.failures)),
            one(of(&counters.evictions)),
            one(of(&counters.overloads)),
            one(of(&counters.resets)),
            requests
                .map(|(path, class, count)| (vec![path.to_owned(), class.to_owned()], count as f64))
                .collect(),
            labelled(counted.refusals().map(|(reason, count)| (reason, count as f64))),
            labelled(counted.connections_ended().map(|(reason, count)| (reason, count as f64))),
        ]
    }
}

impl PrometheusCollector for Collector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let families = FAMILIES.iter().zip(self.values());
        families.filter_map(|(family, values)| family.collect(values)).flatten().collect()
    }
}

/// Metrics of one name.
struct Family {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

impl Family {
    fn collect(&self, values: Values) -> Option<Vec<MetricFamily>> {
        let options = Opts::new(self.name, self.help);
        match self.kind {
            Kind::Gauge => {
                let gauges = GaugeVec::new(options, self.labels).ok()?;
                for (labels, value) in values {
                    gauges.with_label_values(&labels).set(value);
                }
                Some(gauges.collect())
            }
            Kind::Counter => {
                let counters = CounterVec::new(options, self.labels).ok()?;
                for (labels, value) in values {
                    counters.with_label_values(&labels).inc_by(value);
                }
                Some(counters.collect())
            }
        }
    }
}

fn one(value: f64) -> Values {
    vec![(Vec::new(), value)]
}

fn labelled(values: impl IntoIterator<Item = (&'static str, f64)>) -> Values {
    values.into_iter().map(|(label, value)| (vec![label.to_owned()], value)).collect()
}

fn of(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, help, labels: &[], kind: Kind::Gauge }
}

const fn counter(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Family {
    Family { name, help, labels, kind: Kind::Counter }
}

/// In the order of [`Collector::values`].
const FAMILIES: [Family; 16] = [
    gauge("fulcrum_registry_instances", "Instances that are registered."),
    gauge("fulcrum_registry_services", "Services that have an instance."),
    gauge("fulcrum_registry_suspects", "Instances that are kept although their leases have run out."),
    gauge("fulcrum_registry_watchers", "Those who follow the registry, clients and parts of the daemon."),
    gauge("fulcrum_registry_writable", "1 while changes can be kept, 0 while they are refused."),
    gauge("fulcrum_registry_frozen", "1 while so many are silent that nobody is removed for it."),
    counter("fulcrum_registry_heartbeats_total", "Heartbeats, by what came of them.", &["result"]),
    counter("fulcrum_registry_events_total", "Changes that were published.", &[]),
    counter("fulcrum_registry_commits_total", "Commits to the registry's file.", &[]),
    counter("fulcrum_registry_commit_failures_total", "Commits that failed and were undone.", &[]),
    counter("fulcrum_registry_evictions_total", "Instances removed for want of heartbeats.", &[]),
    counter("fulcrum_registry_overloads_total", "Changes refused because too many were waiting.", &[]),
    counter("fulcrum_registry_resets_total", "Watchers that had missed events and began anew.", &[]),
    counter("fulcrum_registry_requests_total", "Requests to the API, by status class.", &["route", "code"]),
    counter("fulcrum_registry_refused_total", "Requests to the API that were refused.", &["reason"]),
    counter(
        "fulcrum_registry_connections_ended_total",
        "Connections to the API that were ended.",
        &["reason"],
    ),
];
