//! What `/status` says of the responder.

use fulcrum_control_plane::timestamp::Timestamp;

use super::Answering;
use crate::admin::{GslbRegionStatus, GslbStatus, GslbTargetStatus};

impl Answering {
    /// How it is doing now; nothing where there is none.
    pub(crate) fn status(&self) -> Option<GslbStatus> {
        let responder = self.0.get()?;
        let snapshot = responder.snapshot();
        let region = |region: fulcrum_gslb::responder::RegionStatus| GslbRegionStatus {
            name: region.name.to_string(),
            state: region.standing.state.to_string(),
            since: Timestamp(region.standing.since),
            why: region.standing.reason.to_string(),
            share_percent: region.standing.share,
            headroom_percent: region.headroom,
        };
        let target =
            |(address, is_down, complaint): (std::net::IpAddr, bool, Option<String>)| GslbTargetStatus {
                address: address.to_string(),
                state: if is_down { "down" } else { "up" }.to_owned(),
                last_check_failure: complaint,
            };
        Some(GslbStatus {
            addresses: responder.addresses().iter().map(ToString::to_string).collect(),
            generation: snapshot.generation,
            zones: snapshot.names.zones().map(ToString::to_string).take(MOST).collect(),
            names: snapshot.names.count(),
            regions: responder.regions().into_iter().map(region).collect(),
            targets: responder.targets().into_iter().take(MOST).map(target).collect(),
        })
    }
}

/// Zones and targets that are shown.
const MOST: usize = 1000;
