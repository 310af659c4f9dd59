//! From the sources of endpoints to the data plane: files, HTTP servers and names that the configuration names.

mod metrics;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fulcrum_config::{Discovery, EndpointState};
use fulcrum_control_plane::discovery::dns::NameStatus;
use fulcrum_control_plane::discovery::{Entry, Own, SourceStatus, Sources};
use fulcrum_control_plane::state::Stage;
use fulcrum_control_plane::timestamp::Timestamp;
use fulcrum_data_plane::{DataPlane, Discovered, LoadTerms};
use fulcrum_model::{ServiceName, Source};
use prometheus::core::Collector;
use tokio::sync::mpsc;

use self::metrics::SourceMetrics;
use crate::admin::DiscoveryStatus;
use crate::generations;
use crate::names::HostNames;
use crate::registry::own_addresses;

/// The sources of whatever configuration is in force, and what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct DiscoverySources {
    sources: Arc<Sources>,
    followed: Arc<Mutex<Vec<(ServiceName, Source)>>>,
    names: HostNames,
}

impl DiscoverySources {
    /// Follows nothing yet. Needs a tokio runtime.
    pub(crate) fn start(data_plane: &Arc<DataPlane>, names: HostNames) -> Self {
        let (found, mut told) = mpsc::unbounded_channel::<(Source, Arc<[Entry]>)>();
        let sources = Sources::start(move |source, list| {
            // The receiver lives as long as the sources.
            let _ = found.send((source.clone(), Arc::clone(list)));
        });
        let informed = Arc::clone(data_plane);
        // In their order, on a thread of its own: it waits for a reload that is being prepared.
        tokio::task::spawn_blocking(move || {
            while let Some((source, list)) = told.blocking_recv() {
                tell(&source, || {
                    let found = list.iter().map(endpoint).collect();
                    informed.discovered(&Discovery::Source(source.clone()), found);
                });
            }
        });
        DiscoverySources { sources: Arc::new(sources), followed: Arc::default(), names }
    }

    /// Follows them from now on. `others` tells where the daemon listens besides the data plane; it must not block.
    pub(crate) fn begin(
        &self,
        data_plane: &Arc<DataPlane>,
        others: impl Fn() -> Vec<SocketAddr> + Send + Sync + 'static,
    ) {
        let (follower, others) = (self.clone(), Arc::new(others));
        let ask = |data_plane: &DataPlane| (data_plane.sources(), own_addresses(data_plane, &[]));
        tokio::spawn(generations::follow(Arc::clone(data_plane), ask, move |(wanted, listeners)| {
            let others = Arc::clone(&others);
            // The others are asked each time: a reload changes them a moment after the data plane.
            let own = move || listeners.iter().copied().chain(others()).collect();
            follower.follow(wanted, Arc::new(own));
        }));
    }

    fn follow(&self, wanted: Vec<(ServiceName, Source)>, own: Own) {
        let sources: BTreeSet<Source> = wanted.iter().map(|(_, source)| source.clone()).collect();
        *self.followed() = wanted;
        self.sources.follow(&sources, own);
    }

    fn followed(&self) -> MutexGuard<'_, Vec<(ServiceName, Source)>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look at the source of each service that has one.
    pub(crate) fn status(&self) -> Vec<DiscoveryStatus> {
        let now = SystemTime::now();
        let sources = self.sources.status().into_iter().map(|status| (status.source.clone(), status));
        let sources: BTreeMap<Source, SourceStatus> = sources.collect();
        let names = self.names.known();
        let status = |(service, source): &(ServiceName, Source)| match source {
            Source::Dns(host) => {
                let known = names.iter().find(|name| *name.name == *host.host);
                known.map(|known| DiscoveryStatus::of_name(now, service, source, known))
            }
            _ => sources.get(source).map(|known| DiscoveryStatus::of_source(now, service, known)),
        };
        self.followed().iter().filter_map(status).collect()
    }

    /// What is counted of them.
    pub(crate) fn collector(&self) -> Result<Box<dyn Collector>, prometheus::Error> {
        Ok(Box::new(SourceMetrics::new(Arc::clone(&self.sources))?))
    }
}

/// A panic is the end of one list, not of all that come after it.
fn tell(source: &Source, tell: impl FnOnce()) {
    if panic::catch_unwind(AssertUnwindSafe(tell)).is_err() {
        tracing::error!(kind = source.kind(), %source, "a panic: these endpoints are not used");
    }
}

fn endpoint(entry: &Entry) -> Discovered {
    Discovered {
        id: entry.id.clone(),
        address: entry.address.clone(),
        weight: entry.weight,
        state: match entry.stage {
            Stage::Up => EndpointState::Up,
            Stage::Draining => EndpointState::Drain,
            Stage::Maintenance => EndpointState::Maintenance,
        },
        load: LoadTerms::default(),
    }
}

impl DiscoveryStatus {
    fn of_source(now: SystemTime, service: &ServiceName, known: &SourceStatus) -> Self {
        let trouble = known.last_trouble.as_ref();
        DiscoveryStatus {
            last_failure: trouble.map(|trouble| trouble.as_str().to_owned()),
            detail: trouble.map(ToString::to_string),
            failures: known.failures,
            ..Self::new(now, service, &known.source, (known.endpoints, known.last_good))
        }
    }

    fn of_name(now: SystemTime, service: &ServiceName, source: &Source, known: &NameStatus) -> Self {
        DiscoveryStatus {
            last_failure: known.last_failure.map(|failure| failure.as_str().to_owned()),
            detail: known.last_failure.map(|failure| failure.to_string()),
            failures: known.failures,
            ..Self::new(now, service, source, (known.addresses.len(), known.last_answer))
        }
    }

    fn new(
        now: SystemTime,
        service: &ServiceName,
        source: &Source,
        (endpoints, age): (usize, Option<Duration>),
    ) -> Self {
        DiscoveryStatus {
            service: service.to_string(),
            kind: source.kind().to_owned(),
            source: source.to_string(),
            endpoints,
            last_success: age.and_then(|age| now.checked_sub(age)).map(Timestamp),
            age_seconds: age.map(|age| age.as_secs_f64()),
            last_failure: None,
            detail: None,
            failures: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_one_list_only() {
        let told = Mutex::new(Vec::new());
        for number in 0..3 {
            tell(&Source::File("/list.json".into()), || {
                assert_ne!(number, 1, "as if by a defect");
                told.lock().expect("it is not held").push(number);
            });
        }
        assert_eq!(told.into_inner().expect("it is not held"), [0, 2]);
    }
}
