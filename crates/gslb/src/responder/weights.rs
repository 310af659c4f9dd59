//! What targets are to get beside what they got.

use std::sync::Arc;

use fulcrum_config::gslb::{Answer, TargetAnswer, Targets};
use fulcrum_model::{DnsName, RegionName};

use super::Responder;
use crate::compiled::Chosen;
use crate::policy::is_weighted;

/// A target of a name where weights count.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedTarget {
    /// The name.
    pub name: DnsName,
    /// The region, where there are some.
    pub region: Option<RegionName>,
    /// The address or the alias.
    pub answer: String,
    /// Its part of the weights that are configured: of its region where one region answers, else of the name; 0 to 1.
    pub weight: f64,
    /// How many answers began with it.
    pub answers: u64,
}

impl Responder {
    /// The first so many targets of names where weights count.
    pub fn weights(&self, most: usize) -> Vec<WeightedTarget> {
        let (gslb, compiled) = {
            let state = self.state();
            (Arc::clone(&state.gslb), Arc::clone(&state.compiled))
        };
        let region =
            |region: crate::Region| gslb.regions.get(region.index()).map(|region| region.name.clone());
        let targets = compiled.chosen().iter().flat_map(|chosen| {
            let name = chosen.owner.clone();
            targets(chosen).map(move |(of, answer, weight, answers)| WeightedTarget {
                name: name.clone(),
                region: of.and_then(region),
                answer,
                weight,
                answers,
            })
        });
        targets.take(most).collect()
    }
}

type Counted = (Option<crate::Region>, String, f64, u64);

fn targets(chosen: &Chosen) -> impl Iterator<Item = Counted> {
    let lists = match &chosen.answer {
        Answer::Policy(policy) if is_weighted(policy.choose) => match &policy.targets {
            Targets::Endpoints(targets) => vec![&targets[..]],
            Targets::Regions { regions, .. } => regions.iter().map(|region| &region.targets[..]).collect(),
        },
        _ => Vec::new(),
    };
    let sum = |targets: &[fulcrum_config::gslb::Target]| -> u64 {
        targets.iter().map(|target| u64::from(target.weight)).sum()
    };
    let all: u64 = lists.iter().map(|targets| sum(targets)).sum();
    let together = chosen.answers_together();
    // In the order in which they are counted.
    let weights = lists.into_iter().flat_map(move |targets| {
        let total = if together { all } else { sum(targets) }.max(1);
        targets.iter().map(move |target| f64::from(target.weight) / total as f64)
    });
    weights.zip(chosen.counts().targets()).filter_map(|(weight, (target, answers))| {
        let (region, answer) = target?;
        let answer = match answer {
            TargetAnswer::Address(address) => address.to_string(),
            TargetAnswer::Alias(name) => name.to_string(),
        };
        Some((*region, answer, weight, answers))
    })
}
