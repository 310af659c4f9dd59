//! What `/status` says of the registry.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use fulcrum_control_plane::eviction::Mood;
use fulcrum_control_plane::registry::{Registry, Suspect};

use crate::admin::{MoodStatus, RegistryStatus, SuspectStatus};
use fulcrum_control_plane::timestamp::Timestamp;

/// The registry of this daemon, as soon as it has begun, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<OnceLock<(SocketAddr, Arc<Registry>)>>);

impl Known {
    /// It has begun; that happens once.
    pub(super) fn begun(&self, address: SocketAddr, registry: Arc<Registry>) {
        let _ = self.0.set((address, registry));
    }

    /// How it is doing now.
    pub(crate) fn status(&self) -> Option<RegistryStatus> {
        let (address, registry) = self.0.get()?;
        let summary = registry.summary();
        let now = SystemTime::now();
        Some(RegistryStatus {
            address: address.to_string(),
            services: summary.services,
            instances: summary.instances,
            suspects: summary.suspects,
            first_suspects: summary.first_suspects.iter().map(|suspect| shown(suspect, now)).collect(),
            mood: match summary.mood {
                Mood::Normal => MoodStatus::Normal,
                Mood::Frozen { .. } => MoodStatus::Frozen,
                Mood::Releasing => MoodStatus::Releasing,
            },
            watchers: summary.watchers,
            sequence: summary.sequence.0,
            writable: summary.is_writable,
            last_commit_seconds: summary.since_commit.map(|since| since.as_secs_f64()),
        })
    }
}

fn shown(suspect: &Suspect, now: SystemTime) -> SuspectStatus {
    SuspectStatus {
        service: suspect.key.service.to_string(),
        instance: suspect.key.id.to_string(),
        hold: suspect.hold.as_str().to_owned(),
        since: Timestamp(before(now, suspect.silent_for)),
    }
}

/// A clock that was set back has no time before 1970.
fn before(now: SystemTime, span: Duration) -> SystemTime {
    now.checked_sub(span).filter(|time| *time >= SystemTime::UNIX_EPOCH).unwrap_or(SystemTime::UNIX_EPOCH)
}
