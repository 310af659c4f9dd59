//! What is counted for the process as a whole.

use std::sync::atomic::Ordering;

use prometheus::proto::MetricType;

use crate::metrics::families::Families;
use crate::metrics::{Cell, Limit, OTHER, WorkerCells};
use crate::shared::Shared;

pub(super) fn process(families: &mut Families, shared: &Shared) {
    let metrics = &shared.metrics;
    let sum = |cell: &dyn Fn(&WorkerCells) -> &Cell| -> f64 {
        metrics.cells.iter().map(|cells| cell(cells).get()).sum::<u64>() as f64
    };
    families.reasons(
        ("fulcrum_http_errors_total", "Requests that ended for another reason than an answer."),
        &[],
        |reason| sum(&|cells| &cells.errors[reason.index()]),
    );
    families.reasons(
        ("fulcrum_tcp_errors_total", "Connections that did not end by both sides ending."),
        &[],
        |reason| sum(&|cells| &cells.tcp_errors[reason.index()]),
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

pub(super) fn overload(families: &mut Families, shared: &Shared) {
    let help = "What is saved for lack of memory: 0 nothing, 1 pools, 2 requests too, 3 connections too.";
    let family = ("fulcrum_process_overload_level", help, MetricType::GAUGE);
    families.add(family, &[], f64::from(shared.overload.level() as u8));
}
