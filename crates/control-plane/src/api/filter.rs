//! Which instances of a list are wanted.

use super::document::{OK, SUSPECT, health};
use super::problem::Problem;
use super::query::{Query, wrong};
use crate::state::{Instance, Stage};

/// All of it has to be so.
#[derive(Debug, Default)]
pub(super) struct Filter {
    health: Option<String>,
    state: Option<String>,
    locality: Option<String>,
    tags: Vec<String>,
    meta: Vec<(String, String)>,
}

impl Filter {
    pub(super) fn take(query: &mut Query) -> Result<Self, Problem> {
        let filter = Filter {
            health: query.one("health")?,
            state: query.one("state")?,
            locality: query.one("locality")?,
            tags: query.all("tag"),
            meta: query.starting("meta."),
        };
        check("health", filter.health.as_deref(), &[OK, SUSPECT])?;
        check("state", filter.state.as_deref(), &STATES.map(Stage::as_str))?;
        Ok(filter)
    }

    pub(super) fn wants(&self, instance: &Instance) -> bool {
        let registration = &instance.registration;
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.health, health(instance))
            && is(&self.state, instance.stage().as_str())
            && (self.locality.is_none() || self.locality.as_deref() == registration.locality.as_deref())
            && self.tags.iter().all(|tag| registration.tags.iter().any(|found| **found == **tag))
            && self
                .meta
                .iter()
                .all(|(key, value)| registration.meta.find(key).is_some_and(|found| **found == **value))
    }
}

fn check(name: &str, given: Option<&str>, words: &[&str]) -> Result<(), Problem> {
    match given {
        Some(given) if !words.contains(&given) => {
            Err(wrong(name, &format!("expected one of {}", words.join(", "))))
        }
        _ => Ok(()),
    }
}

const STATES: [Stage; 3] = [Stage::Up, Stage::Draining, Stage::Maintenance];
