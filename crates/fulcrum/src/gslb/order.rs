//! Orders for regions at run time: followed at once, and kept with what else is held of regions.

use std::str::FromStr;

use fulcrum_gslb::responder::Responder;
use fulcrum_gslb::verdict::{Forced, Order, Refused};
use fulcrum_model::RegionName;

use super::{Answering, status, tell};
use crate::admin::{self, GslbRegionStatus, RegionOrderDocument, RegionState};

/// Why something cannot be said or ordered of a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegionError {
    /// This daemon answers no DNS.
    #[error("this daemon answers no DNS")]
    NoDns,
    /// These are there.
    #[error("there is no region {region:?}: {}", admin::there_are(.known))]
    NoRegion { region: String, known: Vec<String> },
    /// The order makes no sense.
    #[error("{0}")]
    Refused(Refused),
}

impl Answering {
    /// Orders what a region is to be, or ends what was ordered; how it stands then.
    pub(crate) fn order(
        &self,
        region: &str,
        order: Option<RegionOrderDocument>,
    ) -> Result<GslbRegionStatus, RegionError> {
        let running = self.0.get().ok_or(RegionError::NoDns)?;
        let responder = &running.responder;
        let name = find(responder, region)?;
        match &order {
            Some(order) => {
                let document = serde_json::to_string(order).unwrap_or_default();
                tracing::info!(region, order = %document, "ordered");
            }
            None => tracing::info!(region, "order cleared"),
        }
        let given = order.map(|order| Order {
            forced: forced(order.state),
            until: order.until.0,
            reason: order.reason.as_str().into(),
        });
        let is_lift = given.is_none();
        match responder.order(&name, given) {
            Ok(transitions) => transitions.iter().for_each(tell),
            // As with endpoints: to clear what is not there is no mistake.
            Err(Refused::NothingToLift) if is_lift => {}
            Err(refused) => return Err(RegionError::Refused(refused)),
        }
        // A crash in the next second must not undo it.
        running.memory.keep(responder);
        let stands = responder.regions().into_iter().find(|region| region.name == name);
        stands.map(status::region).ok_or_else(|| unknown(responder, region))
    }
}

/// The name of a region that is there.
pub(super) fn find(responder: &Responder, region: &str) -> Result<RegionName, RegionError> {
    let name = RegionName::from_str(region).ok();
    let is_there = |name: &RegionName| responder.config().regions.iter().any(|region| region.name == *name);
    name.filter(is_there).ok_or_else(|| unknown(responder, region))
}

fn unknown(responder: &Responder, region: &str) -> RegionError {
    let known = responder.config().regions.iter().map(|region| region.name.to_string()).collect();
    RegionError::NoRegion { region: region.to_owned(), known }
}

fn forced(state: RegionState) -> Forced {
    match state {
        RegionState::Up => Forced::Up,
        RegionState::Down => Forced::Down,
        RegionState::Drain => Forced::Drain,
    }
}

pub(super) fn region_state(forced: Forced) -> RegionState {
    match forced {
        Forced::Up => RegionState::Up,
        Forced::Down => RegionState::Down,
        Forced::Drain => RegionState::Drain,
    }
}
