//! What is counted of answers and regions.

use std::sync::Arc;

use fulcrum_gslb::responder::Responder;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts};

/// A collector of the `fulcrum_gslb_*` family.
pub(crate) struct GslbMetrics {
    responder: Arc<Responder>,
    descriptions: Vec<Desc>,
}

impl GslbMetrics {
    pub(super) fn new(responder: Arc<Responder>) -> Result<Self, prometheus::Error> {
        let empty = Families::new()?;
        let descriptions = empty.collectors().iter().flat_map(|one| one.desc()).cloned().collect();
        Ok(GslbMetrics { responder, descriptions })
    }
}

impl Collector for GslbMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Made anew each time: two scrapes at once share nothing.
        let Ok(families) = Families::new() else { return Vec::new() };
        families.show(&self.responder);
        families.collectors().iter().flat_map(|one| one.collect()).collect()
    }
}

struct Families {
    queries: CounterVec,
    types: CounterVec,
    responses: CounterVec,
    truncated: CounterVec,
    drops: CounterVec,
    answers: CounterVec,
    regions: GaugeVec,
    shares: GaugeVec,
    targets: GaugeVec,
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let counter =
            |name: &str, help: &str, labels: &[&str]| CounterVec::new(Opts::new(name, help), labels);
        let gauge = |name: &str, help: &str, labels: &[&str]| GaugeVec::new(Opts::new(name, help), labels);
        Ok(Families {
            queries: counter(
                "fulcrum_gslb_queries_total",
                "DNS queries that were answered.",
                &["transport"],
            )?,
            types: counter("fulcrum_gslb_questions_total", "Types that were asked for.", &["zone", "type"])?,
            responses: counter("fulcrum_gslb_responses_total", "Answers by their code.", &["zone", "code"])?,
            truncated: counter("fulcrum_gslb_truncated_total", "Answers that did not fit.", &[])?,
            drops: counter(
                "fulcrum_gslb_drops_total",
                "Queries and connections without a whole answer.",
                &["reason"],
            )?,
            answers: counter(
                "fulcrum_gslb_answers_total",
                "Answers by policies, by the region that was answered.",
                &["region"],
            )?,
            regions: gauge(
                "fulcrum_gslb_region_state",
                "1 for the state that a region is in.",
                &["region", "state"],
            )?,
            shares: gauge(
                "fulcrum_gslb_region_share_ratio",
                "The part of its clients that a region gets.",
                &["region"],
            )?,
            targets: gauge("fulcrum_gslb_targets", "Targets of policies that are checked.", &["state"])?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 9] {
        [
            &self.queries,
            &self.types,
            &self.responses,
            &self.truncated,
            &self.drops,
            &self.answers,
            &self.regions,
            &self.shares,
            &self.targets,
        ]
    }

    fn show(&self, responder: &Responder) {
        let counters = responder.counters();
        for (transport, count) in counters.transports() {
            self.queries.with_label_values(&[transport]).inc_by(count as f64);
        }
        for zone in counters.zones() {
            for (record_type, count) in zone.types.iter().filter(|(_, count)| *count > 0) {
                self.types.with_label_values(&[&zone.zone, record_type]).inc_by(*count as f64);
            }
            for (code, count) in zone.codes.iter().filter(|(_, count)| *count > 0) {
                self.responses.with_label_values(&[&zone.zone, *code]).inc_by(*count as f64);
            }
        }
        self.truncated.with_label_values::<&str>(&[]).inc_by(counters.truncated() as f64);
        for (reason, count) in counters.drops() {
            self.drops.with_label_values(&[reason]).inc_by(count as f64);
        }
        self.show_regions(responder);
    }

    fn show_regions(&self, responder: &Responder) {
        let config = responder.config();
        for chosen in responder.compiled().chosen() {
            for (region, count) in chosen.counts().counts() {
                let region = region.and_then(|region| config.regions.get(region.index()));
                let name = region.map_or("none", |region| region.name.as_str());
                self.answers.with_label_values(&[name]).inc_by(count as f64);
            }
        }
        for region in responder.regions() {
            let name = region.name.as_str();
            self.regions.with_label_values(&[name, region.standing.state.as_str()]).set(1.0);
            let share = f64::from(region.standing.share) / 100.0 * f64::from(region.headroom) / 100.0;
            self.shares.with_label_values(&[name]).set(share);
        }
        let targets = responder.targets();
        let down = targets.iter().filter(|(_, is_down, _)| *is_down).count();
        self.targets.with_label_values(&["down"]).set(down as f64);
        self.targets.with_label_values(&["up"]).set((targets.len() - down) as f64);
    }
}
