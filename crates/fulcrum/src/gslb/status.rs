//! What `/status` says of the responder.

use fulcrum_control_plane::timestamp::Timestamp;
use fulcrum_gslb::responder::RegionStatus;
use fulcrum_gslb::verdict::{Order, Source};

use super::{Answering, region_state};
use crate::admin::{GslbRegionStatus, GslbStatus, GslbTargetStatus, RegionOrderStatus};

impl Answering {
    /// How it is doing now; nothing where there is none.
    pub(crate) fn status(&self) -> Option<GslbStatus> {
        let responder = self.responder()?;
        let snapshot = responder.snapshot();
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

/// A region, with what is ordered of it and who may still be led there.
pub(super) fn region(region: RegionStatus) -> GslbRegionStatus {
    let left = region.exposed.left;
    // Rounded up: a countdown that says 0 is over.
    let remembered_seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    let in_flight = region.load.map(|load| load.load);
    GslbRegionStatus {
        name: region.name.to_string(),
        state: region.standing.state.to_string(),
        since: Timestamp(region.standing.since),
        why: region.standing.reason.to_string(),
        share_percent: region.standing.share,
        headroom_percent: region.headroom,
        order: region.order.map(order),
        names: region.exposed.names,
        remembered_seconds,
        in_flight,
        capacity: region.load.and_then(|load| load.capacity),
        safe_to_stop: remembered_seconds == 0 && in_flight.is_none_or(|load| load <= 0.0),
    }
}

fn order((order, source): (Order, Source)) -> RegionOrderStatus {
    let from = match source {
        Source::RunTime => "order",
        Source::Configuration => "config",
    };
    RegionOrderStatus {
        state: region_state(order.forced),
        reason: order.reason.to_string(),
        until: Timestamp(order.until),
        from: from.to_owned(),
    }
}

/// Zones and targets that are shown.
const MOST: usize = 1000;
