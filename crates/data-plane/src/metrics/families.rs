//! Prometheus families under construction.

use std::collections::BTreeMap;

use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use super::{BOUNDS, CodeClasses, Histogram};
use crate::http::error::Reason;

/// Families under construction, by name.
#[derive(Default)]
pub(super) struct Families(pub(super) BTreeMap<&'static str, MetricFamily>);

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

    pub(super) fn add(
        &mut self,
        family: (&'static str, &'static str, MetricType),
        labels: &[(&str, &str)],
        value: f64,
    ) {
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

    pub(super) fn codes(
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
    pub(super) fn reasons(
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

    pub(super) fn histogram<'a>(
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

pub(super) const NANOSECOND: f64 = 1e-9;
