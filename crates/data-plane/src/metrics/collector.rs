//! Adds the workers' cells up into Prometheus metric families.

mod process;
mod states;

use std::sync::Arc;

use prometheus::core::Desc;
use prometheus::proto::{MetricFamily, MetricType};

use super::families::{Families, NANOSECOND};
use super::{Cell, CodeClasses, Objects, PerWorker};
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
            tcp_listeners(&mut families, objects);
            routes(&mut families, objects);
            services(&mut families, objects);
            endpoints(&mut families, objects);
            states::states(&mut families, objects, &self.shared);
        });
        process::process(&mut families, &self.shared);
        process::overload(&mut families, &self.shared);
        families.0.into_values().collect()
    }
}

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

fn tcp_listeners(families: &mut Families, objects: &Objects) {
    for (name, cells) in &objects.tcp_listeners {
        let labels = [("listener", &**name)];
        let counters: [(&'static str, &'static str, f64); 3] = [
            (
                "fulcrum_tcp_connections_total",
                "Connections accepted.",
                total(cells, |cells| &cells.connections),
            ),
            (
                "fulcrum_tcp_received_bytes_total",
                "Bytes received from clients and passed on.",
                total(cells, |cells| &cells.received_bytes),
            ),
            (
                "fulcrum_tcp_sent_bytes_total",
                "Bytes sent to clients.",
                total(cells, |cells| &cells.sent_bytes),
            ),
        ];
        for (name, help, value) in counters {
            families.add((name, help, MetricType::COUNTER), &labels, value);
        }
        families.add(
            ("fulcrum_tcp_connections", "Connections open now.", MetricType::GAUGE),
            &labels,
            total(cells, |cells| &cells.connections_now),
        );
        families.histogram(
            ("fulcrum_tcp_connection_duration_seconds", "From accept to the end of a connection."),
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
