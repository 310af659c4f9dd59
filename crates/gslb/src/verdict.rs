//! Whether a region is up: slowly and surely decided, from what many see and from what the region says of itself.
//!
//! ```text
//!                quorum fails           hold, corroborated, brake
//!        UP ────────────────► SUSPECT ───────────────────────────► DOWN_CONFIRMED
//!         ▲ ◄──────────────────  │                                    │     ▲
//!         │      quorum well     ▼                        quorum well │     │ fails before it serves again,
//!         │                 (answers as UP,                           ▼     │ or for the hold while it does
//!         └──────────────── with a low TTL)  ◄─────────────────── RECOVERING
//!             last step of the ramp             failback hold, brake, ramp
//! ```
//!
//! An operator's `DRAINED`, `FORCED_UP` and `FORCED_DOWN` lie over all of it; what is below goes on being judged.
//! Who cannot tell abstains; where too few can tell, what was decided before stands.
//!
//! Pure: reports and the time in, verdicts and their reasons out.

mod ballot;
mod carry;
mod course;
mod judge;
mod memory;
mod operator;
mod panic;
mod recorder;
mod rules;
mod settle;
mod sites;
mod standing;
mod tally;
#[cfg(test)]
mod tests;
mod view;

use std::time::{Duration, SystemTime};

pub use ballot::{Outcome, Votes};
pub use fulcrum_config::gslb::{Failback, Failover};
pub use judge::{Judge, Taken};
pub use memory::Memory;
pub use operator::{Forced, Order, Refused, Source};
pub use panic::Panic;
pub use recorder::{RECORDED, Transition};
pub use rules::{Quorum, Ramp, Rules};
pub use sites::{MAX_OBSERVERS, MAX_TARGETS, Observer, Site, Sites, SitesError, Watcher};
pub use standing::{Reason, Standing, State, Ttl};

use crate::region::Region;

/// A point in time, as the caller's two clocks show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since any start; never goes back. Everything is measured by this clock, except:
    pub clock: Duration,
    /// The time of day: what orders end by, what is shown, and what outlasts a restart.
    pub wall: SystemTime,
}

/// What an observer makes of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// It answered as it should.
    Ok,
    /// It did not, and the observer is sure that it asked.
    Fail,
    /// The observer cannot tell: it abstains, and speaks neither for nor against.
    Unknown,
}

/// What one observer has found out about one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who looked.
    pub observer: Observer,
    /// The region that was looked at.
    pub region: Region,
    /// Which target of the region: 0 to one less than the site's `targets`.
    pub target: u16,
    /// What was seen.
    pub vote: Vote,
    /// Grows with each report of an observer about a target: an older one that comes late is passed over. An observer
    /// that starts again may begin anew, for its old reports are stale by then.
    pub sequence: u64,
    /// How long ago it was seen. Older than three intervals counts as unknown.
    pub age: Duration,
}

/// What a region's own balancer says: its heartbeat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Endpoints that are healthy. With 0 the region itself says that it has no usable capacity.
    pub healthy: u32,
    /// Requests or connections in flight and queued. Not processor time: other jobs move that.
    pub load: f64,
    /// What the healthy endpoints can work on at a time, in the unit of `load`; `None` where nobody has said.
    pub capacity: Option<f64>,
    /// Whether the region has the data it serves: with `false` nobody is sent to it, unless an operator orders it.
    pub data_ready: bool,
}
