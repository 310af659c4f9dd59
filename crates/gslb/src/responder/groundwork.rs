//! What follows from a configuration for all looks at the world: worked out before anybody has to wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fulcrum_config::gslb::Gslb;
use fulcrum_model::ServiceName;

use super::checked::{Checked, Target, targets};
use super::dependents::Dependents;
use super::regions;
use crate::compiled::Compiled;
use crate::verdict::{Rules, Sites};

/// What a state of the world needs of its configuration.
#[derive(Debug)]
pub(super) struct Groundwork {
    /// Nothing is known of them yet.
    pub(super) targets: BTreeMap<Target, Checked>,
    pub(super) sites: Option<Sites>,
    pub(super) rules: Rules,
    /// How late clients may follow.
    pub(super) largest_ttl: Duration,
    /// The services that names and regions speak of.
    pub(super) services: Arc<BTreeSet<ServiceName>>,
    pub(super) dependents: Dependents,
}

impl Groundwork {
    pub(super) fn new(gslb: &Gslb, compiled: &Compiled) -> Self {
        let targets = targets(gslb, compiled);
        let largest_ttl = regions::largest_ttl(compiled);
        Groundwork {
            sites: regions::sites(gslb, &targets),
            rules: regions::rules(gslb, largest_ttl),
            services: Arc::new(gslb.services().cloned().collect()),
            dependents: Dependents::new(gslb, compiled),
            targets,
            largest_ttl,
        }
    }
}
