//! What is known of services and their endpoints.

use std::sync::atomic::Ordering;

use prometheus::proto::MetricType;

use crate::endpoint::Gate;
use crate::metrics::families::Families;
use crate::metrics::{OTHER, Objects};
use crate::service::{Panic, ServiceState};
use crate::shared::Shared;

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
pub(super) fn states(families: &mut Families, objects: &Objects, shared: &Shared) {
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
