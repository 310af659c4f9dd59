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
    remembered: GaugeVec,
    logged: CounterVec,
    target_answers: CounterVec,
    target_weights: GaugeVec,
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
                "Answers by policies, by the region that was answered and the policy.",
                &["region", "policy"],
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
            remembered: gauge(
                "fulcrum_gslb_region_remembered_seconds",
                "For how long answers with the region may be remembered.",
                &["region"],
            )?,
            logged: counter(
                "fulcrum_gslb_query_log_lines_total",
                "Lines of the query log, written or lost.",
                &["result"],
            )?,
            target_answers: counter(
                "fulcrum_gslb_target_answers_total",
                "Answers by policies that began with this target.",
                &["name", "region", "target"],
            )?,
            target_weights: gauge(
                "fulcrum_gslb_target_weight_ratio",
                "The part of the weights of its name, or of its region in it, that a target has.",
                &["name", "region", "target"],
            )?,
            targets: gauge("fulcrum_gslb_targets", "Targets of policies that are checked.", &["state"])?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 13] {
        [
            &self.queries,
            &self.types,
            &self.responses,
            &self.truncated,
            &self.drops,
            &self.answers,
            &self.regions,
            &self.shares,
            &self.remembered,
            &self.logged,
            &self.target_answers,
            &self.target_weights,
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
        let log = responder.log_counts();
        for (result, count) in [("written", log.written()), ("dropped", log.dropped())] {
            self.logged.with_label_values(&[result]).inc_by(count as f64);
        }
        self.show_regions(responder);
        self.show_targets(responder);
    }

    /// Targets of names where weights count, beside their weights.
    fn show_targets(&self, responder: &Responder) {
        for target in responder.weights(MOST_TARGETS) {
            let region = target.region.as_ref().map_or("none", |region| region.as_str());
            let labels = [&*target.name.to_string(), region, &target.answer];
            self.target_answers.with_label_values(&labels).inc_by(target.answers as f64);
            self.target_weights.with_label_values(&labels).set(target.weight);
        }
    }

    fn show_regions(&self, responder: &Responder) {
        for ((region, policy), count) in responder.answers() {
            let name = region.as_ref().map_or("none", |region| region.as_str());
            self.answers.with_label_values(&[name, &policy]).inc_by(count as f64);
        }
        for region in responder.regions() {
            let name = region.name.as_str();
            self.regions.with_label_values(&[name, region.standing.state.as_str()]).set(1.0);
            let share = f64::from(region.standing.share) / 100.0 * f64::from(region.headroom) / 100.0;
            self.shares.with_label_values(&[name]).set(share);
            self.remembered.with_label_values(&[name]).set(region.exposed.left.as_secs_f64());
        }
        let targets = responder.targets();
        let down = targets.iter().filter(|(_, is_down, _)| *is_down).count();
        self.targets.with_label_values(&["down"]).set(down as f64);
        self.targets.with_label_values(&["up"]).set((targets.len() - down) as f64);
    }
}

/// Targets that have series of their own; those of names further down in the configuration have none.
const MOST_TARGETS: usize = 1000;
