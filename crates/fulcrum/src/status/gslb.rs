//! The responder in the table of `fulcrum status`.

use crate::admin::{GslbRegionStatus, GslbStatus, GslbTargetStatus};

use super::columns;

/// A line about the whole, a table of the regions, and one of the targets that are left out.
pub(super) fn section(gslb: &GslbStatus) -> String {
    let GslbStatus { addresses, zones, names, generation, .. } = gslb;
    let zones = zones.len();
    let mut text =
        format!("dns {}: {zones} zones, {names} names, generation {generation}\n", addresses.join(", "));
    if !gslb.regions.is_empty() {
        text += &columns(["REGION", "STATE", "SHARE", "SINCE", "WHY"], gslb.regions.iter().map(region));
    }
    let down: Vec<_> = gslb.targets.iter().filter(|target| target.state == "down").map(target).collect();
    if !down.is_empty() {
        text += &columns(["TARGET THAT IS DOWN", "LAST FAILURE"], down.into_iter());
    }
    text
}

fn region(region: &GslbRegionStatus) -> [String; 5] {
    let share = u32::from(region.share_percent) * u32::from(region.headroom_percent) / 100;
    [
        region.name.clone(),
        region.state.clone(),
        format!("{share} %"),
        region.since.to_string(),
        region.why.clone(),
    ]
}

fn target(target: &GslbTargetStatus) -> [String; 2] {
    [target.address.clone(), target.last_check_failure.clone().unwrap_or_default()]
}
