//! From the registry to the data plane: services that are discovered there have the endpoints that are registered.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_config::{Discovery, EndpointState};
use fulcrum_control_plane::registry::{Entry, Published, Registry, Watcher};
use fulcrum_control_plane::state::Stage;
use fulcrum_data_plane::{DataPlane, Discovered, LoadTerms};
use fulcrum_model::{Address, EndpointId, InstanceId, Reach, ServiceName};
use tokio::time::interval;

/// Keeps the services of whatever configuration is in force at what is registered, for ever.
pub(super) async fn follow(registry: Arc<Registry>, data_plane: Arc<DataPlane>) {
    let mut follower = Follower { registry, data_plane, followed: BTreeSet::new(), generation: None };
    let mut looks = interval(LOOK);
    // Of a position that was just published nothing is forgotten.
    let Ok(mut watcher) = follower.registry.watch(None, None) else { return };
    loop {
        let changed = tokio::select! {
            _ = looks.tick() => follower.newly_followed().await,
            changed = changes(&mut watcher) => changed,
        };
        let changed = changed.unwrap_or_else(|| follower.followed.clone());
        for name in changed.intersection(&follower.followed) {
            follower.tell(name).await;
        }
    }
}

/// Waits for changes, and says which services have changed; nothing when that is not known.
async fn changes(watcher: &mut Watcher) -> Option<BTreeSet<ServiceName>> {
    let events = watcher.next().await.ok()?;
    Some(events.iter().map(|event| event.key.service.clone()).collect())
}

struct Follower {
    registry: Arc<Registry>,
    data_plane: Arc<DataPlane>,
    followed: BTreeSet<ServiceName>,
    generation: Option<u64>,
}

impl Follower {
    /// The names that a new configuration follows; of those that it followed before everything is told.
    async fn newly_followed(&mut self) -> Option<BTreeSet<ServiceName>> {
        let generation = self.data_plane.generation();
        if self.generation == Some(generation) {
            return Some(BTreeSet::new());
        }
        let asked = Arc::clone(&self.data_plane);
        // It waits for a change that is being prepared.
        let followed = tokio::task::spawn_blocking(move || asked.followed()).await.ok()?;
        self.generation = Some(generation);
        let before = std::mem::replace(&mut self.followed, followed);
        Some(self.followed.difference(&before).cloned().collect())
    }

    async fn tell(&self, name: &ServiceName) {
        let found = self.registry.service(name).map_or_else(Vec::new, |published| endpoints(&published));
        let (data_plane, place) = (Arc::clone(&self.data_plane), Discovery::Registry(name.clone()));
        // One after the other: the last word is the one that counts.
        let told = tokio::task::spawn_blocking(move || data_plane.discovered(&place, found));
        if let Err(error) = told.await {
            tracing::error!(%error, "the data plane did not take what is registered");
        }
    }
}

fn endpoints(published: &Published) -> Vec<Discovered> {
    published.entries.iter().filter_map(endpoint).collect()
}

fn endpoint(entry: &Entry) -> Option<Discovered> {
    let Entry { instance, lease } = entry;
    let registration = &instance.registration;
    let (weight, weight_source) = instance.weight_and_source();
    let address = SocketAddr::new(registration.address, registration.port.get());
    Some(Discovered {
        // Whatever is an id of an instance is one of an endpoint.
        id: instance.key.id.as_str().parse::<EndpointId>().ok()?,
        address: Address::Tcp(address),
        weight,
        state: match instance.stage() {
            Stage::Up => EndpointState::Up,
            Stage::Draining => EndpointState::Drain,
            Stage::Maintenance => EndpointState::Maintenance,
        },
        load: LoadTerms {
            limit: registration.load_limit,
            weight_source,
            // What is reported comes there without a detour from here on.
            reports: Some(Arc::clone(lease.reports())),
        },
    })
}

/// What the data plane knows of the ways to the instances of a service.
pub(super) fn reaches(data_plane: &DataPlane, service: &ServiceName) -> HashMap<InstanceId, Reach> {
    let known = data_plane.reaches(service).into_iter();
    // Endpoints of the configuration may have names that no instance has.
    known.filter_map(|(id, reach)| Some((id.as_str().parse().ok()?, reach))).collect()
}

/// How soon a new configuration is looked at.
const LOOK: Duration = Duration::from_millis(50);
