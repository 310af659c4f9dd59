//! How regions, targets and answers stand, for people and metrics.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use fulcrum_model::RegionName;

use super::Responder;
use super::checked::{Checked, Target};
use super::exposure::Exposed;
use super::services::Services;
use super::simulate::Load;
use super::state::{add_answers, load};
use crate::region::Region;
use crate::verdict::{Order, Source, Standing};

/// How often was answered, by region (perhaps none in particular) and by the words of the policy.
pub type Answers = BTreeMap<(Option<RegionName>, String), u64>;

/// How a region stands, for people.
#[derive(Clone, Debug)]
pub struct RegionStatus {
    /// Its name.
    pub name: RegionName,
    /// How it stands.
    pub standing: Standing,
    /// The part of its clients that it keeps for the sake of its headroom, in percent.
    pub headroom: u8,
    /// What is ordered of it.
    pub order: Option<(Order, Source)>,
    /// Who may still be led to it.
    pub exposed: Exposed,
    /// What its service works on, and what it can work on, where it has a service.
    pub load: Option<Load>,
}

impl Responder {
    /// The regions in configured order.
    pub fn regions(&self) -> Vec<RegionStatus> {
        let now = self.now();
        // Asked without the lock, and not as of the last look: whoever stops a region goes by it.
        let asked = self.config().regions.iter().filter_map(|region| region.service.clone()).collect();
        let services = Services::look(&self.outside, &asked);
        let state = self.state();
        let Some(judge) = &state.judge else { return Vec::new() };
        let status = |(region, configured): (Region, &fulcrum_config::gslb::Region)| RegionStatus {
            name: configured.name.clone(),
            standing: judge.standing(region).clone(),
            headroom: (state.headroom(region) * 100.0).round() as u8,
            order: judge.ordered(region).map(|(order, source)| (order.clone(), source)),
            exposed: state.exposure.exposed(region, now.clock),
            load: load(&services.views, configured),
        };
        Region::first(state.gslb.regions.len()).zip(&state.gslb.regions).map(status).collect()
    }

    /// Answers by region and policy since the start.
    pub fn answers(&self) -> Answers {
        let (mut answers, gslb, compiled) = {
            let state = self.state();
            (state.past.clone(), Arc::clone(&state.gslb), Arc::clone(&state.compiled))
        };
        add_answers(&mut answers, &gslb, compiled.chosen().iter());
        answers
    }

    /// Targets that are checked: address, whether it is left out, and what the last bad check complained of.
    pub fn targets(&self) -> Vec<(IpAddr, bool, Option<String>)> {
        let state = self.state();
        let target = |((address, _), checked): (&Target, &Checked)| {
            (*address, checked.health.is_down(), checked.health.complaint().map(str::to_owned))
        };
        state.targets.iter().map(target).collect()
    }
}
