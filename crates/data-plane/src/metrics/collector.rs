//! Adds the workers' cells up into Prometheus metric families.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus::core::Desc;
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use super::{BOUNDS, Cell, CodeClasses, Histogram, Limit, OTHER, Objects, PerWorker};
use crate::endpoint::Gate;
use crate::http::error::Reason;
use crate::service::{Panic, ServiceState};
use crate::shared::Shared;

/// The data plane as a collector for a Prometheus registry.
pub struct Collector {
    shared: Arc<Shared>,
}

impl Collector {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Collector { shared }
    }
}

impl prometheus::core::Collector for Collector {
    fn desc(&self) -> Vec<&Desc> {
        // The families have their descriptions with them; a registry needs descriptors only to find duplicates.
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Families::default();
        self.shared.metrics.with_objects(|objects| {
            listeners(&mut families, objects);
            routes(&mut families, objects);
            services(&mut families, objects);
            endpoints(&mut families, objects);
            states(&mut families, objects, &self.shared);
        });
        process(&mut families, &self.shared);
        overload(&mut families, &self.shared);
        families.0.into_values().collect()
    }
}

const NANOSECOND: f64 = 1e-9;

fn total<T>(cells: &PerWorker<T>, cell: impl Fn(&T) -> &Cell) -> f64 {
    // Gauges go up on one worker and down on another: the sum wraps back.
    cells.iter().flatten().map(|cells| cell(cells).get()).fold(0, u64::wrapping_add) as f64
}

fn classes<T>(cells: &PerWorker<T>, classes: impl Fn(&T) -> &CodeClasses) -> [u64; 5] {
    cells.iter().flatten().fold([0; 5], |sum, cells| {
        let more = classes(cells).get();
        std::array::from_fn(|class| sum[class] + more[class])
    })
}

fn listeners(families: &mut Families, objects: &Objects) {
    for (name, cells) in &objects.listeners {
        let labels = [("listener", &**name)];
        let counter = MetricType::COUNTER;
        let gauge = MetricType::GAUGE;
        families.add(
            ("fulcrum_http_connections_total", "Downstream connections accepted.", counter),
            &labels,
            total(cells, |cells| &cells.connections),
        );
        families.add(
            ("fulcrum_http_connections", "Downstream connections open now.", gauge),
            &labels,
            total(cells, |cells| &cells.connections_now),
        );
        families.add(
            ("fulcrum_http_requests_in_flight", "Requests being answered now.", gauge),
            &labels,
            total(cells, |cells| &cells.requests_now),
        );
        families.add(
            ("fulcrum_http_received_bytes_total", "Body bytes received from clients.", counter),
            &labels,
            total(cells, |cells| &cells.received_bytes),
        );
        families.add(
            ("fulcrum_http_sent_bytes_total", "Body bytes sent to clients.", counter),
            &labels,
            total(cells, |cells| &cells.sent_bytes),
        );
        families.codes(
            ("fulcrum_http_requests_total", "Requests answered, by status class."),
            &labels,
            classes(cells, |cells| &cells.requests),
        );
        families.histogram(
            (
                "fulcrum_http_request_duration_seconds",
                "From the first byte of a request to the last of its response.",
            ),
            &labels,
            cells.iter().flatten().map(|cells| &cells.duration),
        );
    }
}

fn routes(families: &mut Families, objects: &Objects) {
    for (name, cells) in &objects.routes {
        let labels = [("route", &**name)];
        families.codes(
            ("fulcrum_http_route_requests_total", "Requests answered, by route and status class."),
            &labels,
            classes(cells, |cells| &cells.requests),
        );
        families.add(
            ("fulcrum_http_route_duration_seconds_total", "Sum of request durations.", MetricType::COUNTER),
            &labels,
            total(cells, |cells| &cells.duration) * NANOSECOND,
        );
    }
}

fn services(families: &mut Families, objects: &Objects) {
    for (name, cells) in &objects.services {
        let labels = [("service", &**name)];
        families.histogram(
            ("fulcrum_upstream_connect_duration_seconds", "Time to connect to an endpoint."),
            &labels,
            cells.iter().flatten().map(|cells| &cells.connect),
        );
        families.histogram(
            (
                "fulcrum_upstream_time_to_first_byte_seconds",
                "From the choice of a connection to the response head.",
            ),
            &labels,
            cells.iter().flatten().map(|cells| &cells.first_byte),
        );
        families.add(
            ("fulcrum_upstream_retries_total", "Attempts after the first of a request.", MetricType::COUNTER),
            &labels,
            total(cells, |cells| &cells.retries),
        );
        families.histogram(
            ("fulcrum_upstream_queue_duration_seconds", "Time in the queue, of requests that had to wait."),
            &labels,
            cells.iter().flatten().map(|cells| &cells.queued),
        );
    }
}

fn endpoints(families: &mut Families, objects: &Objects) {
    for ((service, endpoint), cells) in &objects.endpoints {
        let labels = [("service", &**service), ("endpoint", &**endpoint)];
        families.codes(
            ("fulcrum_upstream_requests_total", "Responses received, by endpoint and status class."),
            &labels,
            classes(cells, |cells| &cells.requests),
        );
        let counters: [(&'static str, &'static str, f64); 3] = [
            (
                "fulcrum_upstream_duration_seconds_total",
                "Sum of the times from attempt to last byte.",
                total(cells, |cells| &cells.duration) * NANOSECOND,
            ),
            (
                "fulcrum_upstream_connections_total",
                "Connections made.",
                total(cells, |cells| &cells.connections),
            ),
            (
                "fulcrum_upstream_connections_reused_total",
                "Requests sent on a pooled connection.",
                total(cells, |cells| &cells.reused),
            ),
        ];
        for (name, help, value) in counters {
            families.add((name, help, MetricType::COUNTER), &labels, value);
        }
        families.add(
            ("fulcrum_upstream_connections_idle", "Pooled connections now.", MetricType::GAUGE),
            &labels,
            total(cells, |cells| &cells.idle),
        );
        families.reasons(
            ("fulcrum_upstream_errors_total", "Failed attempts, by endpoint and reason."),
            &labels,
            |reason| total(cells, |cells| &cells.errors[reason.index()]),
        );
    }
}

fn process(families: &mut Families, shared: &Shared) {
    let metrics = &shared.metrics;
    let sum = |cell: &dyn Fn(&super::WorkerCells) -> &Cell| -> f64 {
        metrics.cells.iter().map(|cells| cell(cells).get()).sum::<u64>() as f64
    };
    families.reasons(
        ("fulcrum_http_errors_total", "Requests that ended for another reason than an answer."),
        &[],
        |reason| sum(&|cells| &cells.errors[reason.index()]),
    );
    let counters: [(&'static str, &'static str, f64); 3] = [
        (
            "fulcrum_http_idle_closed_total",
            "Connections closed because no request came.",
            sum(&|cells| &cells.idle_closed),
        ),
        (
            "fulcrum_http_connections_handed_over_total",
            "Connections accepted by one worker and served by another.",
            sum(&|cells| &cells.handed_over),
        ),
        ("fulcrum_process_panics_total", "Connections ended by a panic.", sum(&|cells| &cells.panics)),
    ];
    for (name, help, value) in counters {
        families.add((name, help, MetricType::COUNTER), &[], value);
    }
    let probes = &shared.probes;
    for (result, count) in [("passed", &probes.passed), ("failed", &probes.failed), ("void", &probes.void)] {
        families.add(
            ("fulcrum_health_probes_total", "Health checks done.", MetricType::COUNTER),
            &[("result", result)],
            count.load(Ordering::Relaxed) as f64,
        );
    }
    families.add(
        ("fulcrum_health_probes_stretched_total", "Health checks sent late.", MetricType::COUNTER),
        &[],
        probes.stretched.load(Ordering::Relaxed) as f64,
    );
    for (limit, name) in Limit::ALL {
        families.add(
            ("fulcrum_process_limit_hits_total", "Times a limit was met.", MetricType::COUNTER),
            &[("reason", name)],
            sum(&|cells| &cells.limit_hits[limit as usize]),
        );
    }
    if let Some((records, dropped)) = shared.access_log_counters() {
        families.add(
            ("fulcrum_process_access_log_records_total", "Access records written.", MetricType::COUNTER),
            &[],
            records as f64,
        );
        families.add(
            (
                "fulcrum_process_access_log_dropped_total",
                "Access records lost to a full ring or disk.",
                MetricType::COUNTER,
            ),
            &[],
            dropped as f64,
        );
    }
    let snapshot = shared.snapshot.load();
    families.add(
        ("fulcrum_config_generation", "The configuration in force.", MetricType::GAUGE),
        &[],
        snapshot.generation as f64,
    );
    families.add(
        (
            "fulcrum_config_generations_alive",
            "Generations in memory: in force or still in use.",
            MetricType::GAUGE,
        ),
        &[],
        shared.generations_alive.load(Ordering::Relaxed) as f64,
    );
    let family = ("fulcrum_upstream_requests_in_flight", "Requests at an endpoint now.", MetricType::GAUGE);
    let mut others = None;
    for service in &snapshot.services {
        // An endpoint without traffic is not asked for: as many series as endpoints that were used.
        let membership = service.state.membership.load();
        for endpoint in membership.endpoints.iter().filter(|endpoint| endpoint.was_used()) {
            let in_flight = f64::from(endpoint.in_flight());
            let (service, endpoint) = (service.name().as_str(), endpoint.id.as_str());
            if metrics.has_endpoint(service, endpoint) {
                families.add(family, &[("service", service), ("endpoint", endpoint)], in_flight);
            } else {
                *others.get_or_insert(0.0) += in_flight;
            }
        }
    }
    if let Some(in_flight) = others {
        families.add(family, &[("service", OTHER), ("endpoint", OTHER)], in_flight);
    }
}

/// What the services' states say.
#[derive(Default)]
struct States {
    endpoints: [u64; Gate::WORDS.len()],
    panic: u64,
    ejections: u64,
    transitions: u64,
    waiting: u64,
    retries_left: f64,
}

impl States {
    fn add(&mut self, service: &ServiceState) {
        for endpoint in &service.membership.load().endpoints {
            let word = endpoint.gate().word();
            let place = Gate::WORDS.iter().position(|known| *known == word);
            self.endpoints[place.expect("every word is among them")] += 1;
        }
        self.panic += u64::from(service.panic() != Panic::No);
        self.ejections += service.ejections.load(Ordering::Relaxed);
        self.transitions += service.transitions.load(Ordering::Relaxed);
        self.waiting += u64::from(service.queue.waiting());
        self.retries_left += service.retries_left();
    }

    fn show(&self, name: &str, families: &mut Families) {
        for (state, count) in Gate::WORDS.into_iter().zip(self.endpoints) {
            families.add(
                ("fulcrum_health_endpoints", "Endpoints by what is known of them.", MetricType::GAUGE),
                &[("service", name), ("state", state)],
                count as f64,
            );
        }
        let (counter, gauge) = (MetricType::COUNTER, MetricType::GAUGE);
        let rows = [
            (
                "fulcrum_health_panic",
                "1 while health is ignored: too few are healthy.",
                gauge,
                self.panic as f64,
            ),
            ("fulcrum_health_ejections_total", "Endpoints ejected.", counter, self.ejections as f64),
            (
                "fulcrum_health_transitions_total",
                "Changes of an endpoint's state.",
                counter,
                self.transitions as f64,
            ),
            ("fulcrum_upstream_queue_waiting", "Requests in the queue now.", gauge, self.waiting as f64),
            (
                "fulcrum_upstream_retry_budget_left",
                "Retries that could be made at once.",
                gauge,
                self.retries_left,
            ),
        ];
        for (family, help, kind, value) in rows {
            families.add((family, help, kind), &[("service", name)], value);
        }
    }
}

/// Shown from the start, before a worker has met the service; what is beyond the bound on series in one.
fn states(families: &mut Families, objects: &Objects, shared: &Shared) {
    let snapshot = shared.snapshot.load();
    let mut others = None;
    for service in &snapshot.services {
        let name = service.name().as_str();
        if objects.states.contains(name) {
            let mut states = States::default();
            states.add(&service.state);
            states.show(name, families);
        } else {
            others.get_or_insert_with(States::default).add(&service.state);
        }
    }
    if let Some(others) = others {
        others.show(OTHER, families);
    }
}

fn overload(families: &mut Families, shared: &Shared) {
    let help = "What is saved for lack of memory: 0 nothing, 1 pools, 2 requests too, 3 connections too.";
    let family = ("fulcrum_process_overload_level", help, MetricType::GAUGE);
    families.add(family, &[], f64::from(shared.overload.level() as u8));
}

/// Families under construction, by name.
#[derive(Default)]
struct Families(BTreeMap<&'static str, MetricFamily>);

impl Families {
    fn family(&mut self, (name, help, kind): (&'static str, &'static str, MetricType)) -> &mut MetricFamily {
        self.0.entry(name).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family
        })
    }

    fn add(&mut self, family: (&'static str, &'static str, MetricType), labels: &[(&str, &str)], value: f64) {
        let kind = family.2;
        let mut metric = proto::Metric::from_label(pairs(labels));
        if kind == MetricType::COUNTER {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.family(family).mut_metric().push(metric);
    }

    fn codes(
        &mut self,
        (name, help): (&'static str, &'static str),
        labels: &[(&str, &str)],
        classes: [u64; 5],
    ) {
        for (class, count) in CodeClasses::NAMES.into_iter().zip(classes) {
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("code", class)]).collect();
            self.add((name, help, MetricType::COUNTER), &labels, count as f64);
        }
    }

    /// Only reasons that have happened: most never do.
    fn reasons(
        &mut self,
        (name, help): (&'static str, &'static str),
        labels: &[(&str, &str)],
        count: impl Fn(Reason) -> f64,
    ) {
        for &reason in Reason::ALL {
            let count = count(reason);
            if count > 0.0 {
                let labels: Vec<(&str, &str)> =
                    labels.iter().copied().chain([("reason", reason.token())]).collect();
                self.add((name, help, MetricType::COUNTER), &labels, count);
            }
        }
    }

    fn histogram<'a>(
        &mut self,
        (name, help): (&'static str, &'static str),
        labels: &[(&str, &str)],
        histograms: impl Iterator<Item = &'a Histogram>,
    ) {
        let mut counts = [0u64; BOUNDS.len() + 1];
        let mut nanos = 0u64;
        for histogram in histograms {
            counts.iter_mut().zip(&histogram.buckets).for_each(|(count, bucket)| *count += bucket.get());
            nanos = nanos.wrapping_add(histogram.sum.get());
        }
        let mut cumulative = 0;
        let buckets = BOUNDS.iter().zip(counts).map(|(&bound, count)| {
            cumulative += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(nanos as f64 * NANOSECOND);
        let mut metric = proto::Metric::from_label(pairs(labels));
        metric.set_histogram(histogram);
        self.family((name, help, MetricType::HISTOGRAM)).mut_metric().push(metric);
    }
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    labels
        .iter()
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect()
}
