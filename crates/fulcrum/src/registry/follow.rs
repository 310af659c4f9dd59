//! From the registry to the data plane: services that are discovered there have the endpoints that are registered.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fulcrum_config::{Discovery, EndpointState};
use fulcrum_control_plane::api::{self, Api, LocalAddresses};
use fulcrum_control_plane::registry::{Entry, Published, Registry, Watcher};
use fulcrum_control_plane::state::Stage;
use fulcrum_data_plane::{DataPlane, Discovered, LoadTerms};
use fulcrum_model::{Address, EndpointId, InstanceId, Reach, ServiceName};
use tokio::time::interval;

/// Keeps the services of whatever configuration is in force at what is registered, for ever.
pub(super) async fn follow(api: Arc<Api>, data_plane: Arc<DataPlane>) {
    let mut follower = Follower::new(api, data_plane);
    let mut looks = interval(LOOK);
    // Of a position that was just published nothing is forgotten.
    let Ok(mut watcher) = follower.registry.watch(None, None) else { return };
    loop {
        let changed = tokio::select! {
            _ = looks.tick() => follower.look().await,
            changed = changes(&mut watcher) => changed,
        };
        let changed = changed.unwrap_or_else(|| follower.followed.clone());
        let changed: Vec<_> = changed.intersection(&follower.followed).cloned().collect();
        for name in changed {
            follower.tell(&name).await;
        }
    }
}

/// Waits for changes, and says which services have changed; nothing when that is not known.
async fn changes(watcher: &mut Watcher) -> Option<BTreeSet<ServiceName>> {
    let events = watcher.next().await.ok()?;
    Some(events.iter().map(|event| event.key().service.clone()).collect())
}

struct Follower {
    api: Arc<Api>,
    registry: Arc<Registry>,
    data_plane: Arc<DataPlane>,
    followed: BTreeSet<ServiceName>,
    generation: Option<u64>,
    /// Where the daemon listens: it forwards nothing to itself, also not to what was registered before it listened there.
    own: Vec<SocketAddr>,
    local: LocalAddresses,
}

impl Follower {
    fn new(api: Arc<Api>, data_plane: Arc<DataPlane>) -> Self {
        let (registry, local) = (Arc::clone(api.registry()), LocalAddresses::new(Instant::now()));
        let (followed, own) = (BTreeSet::new(), Vec::new());
        Follower { api, registry, data_plane, followed, generation: None, own, local }
    }

    /// What is to be told of a new configuration; nothing when that is everything.
    async fn look(&mut self) -> Option<BTreeSet<ServiceName>> {
        let newly = self.newly_followed().await?;
        let own = self.api.own();
        if own == self.own {
            return Some(newly);
        }
        self.own = own;
        None
    }

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

    async fn tell(&mut self, name: &ServiceName) {
        let published = self.registry.service(name);
        let found = published.map_or_else(Vec::new, |published| self.endpoints(&published));
        let (data_plane, place) = (Arc::clone(&self.data_plane), Discovery::Registry(name.clone()));
        // One after the other: the last word is the one that counts.
        let told = tokio::task::spawn_blocking(move || data_plane.discovered(&place, found));
        if let Err(error) = told.await {
            tracing::error!(%error, "the data plane did not take what is registered");
        }
    }

    fn endpoints(&mut self, published: &Published) -> Vec<Discovered> {
        let Follower { own, local, .. } = self;
        let now = Instant::now();
        let mut is_own = |entry: &Entry| {
            let registration = &entry.instance.registration;
            let target = SocketAddr::new(registration.address, registration.port.get());
            api::is_own(target, own, |ip| local.has(ip, now))
        };
        let others = published.entries.iter().filter(|entry| !is_own(entry));
        others.filter_map(endpoint).collect()
    }
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
