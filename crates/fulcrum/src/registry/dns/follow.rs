//! From the registry to names: who has changed is told, and nothing else.
//!
//! Instances answer that are up and do not fail, as far as the data plane looks; where all fail, all that are up.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fulcrum_control_plane::registry::{Published, Registry, Watcher};
use fulcrum_control_plane::state::{Instance, Stage};
use fulcrum_data_plane::DataPlane;
use fulcrum_gslb::directory::{Directory, Host};
use fulcrum_model::{InstanceId, Reach, ServiceName};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::registry::follow::reaches;

/// Keeps a directory at what is registered.
pub(super) struct Follower {
    watcher: Watcher,
    names: Names,
}

/// What is told, and what it depends on.
struct Names {
    registry: Arc<Registry>,
    directory: Arc<Directory>,
    data_plane: Arc<DataPlane>,
    /// Those that have a name.
    known: BTreeSet<ServiceName>,
    /// Instances that fail, of the services that have some.
    failing: BTreeMap<ServiceName, BTreeSet<InstanceId>>,
    looks: u64,
}

impl Follower {
    /// Everything that is registered has been told when this returns.
    pub(super) fn new(
        registry: &Arc<Registry>,
        directory: &Arc<Directory>,
        data_plane: &Arc<DataPlane>,
    ) -> io::Result<Self> {
        let mut watcher = registry.watch(None, None).map_err(io::Error::other)?;
        let mut names = Names {
            registry: Arc::clone(registry),
            directory: Arc::clone(directory),
            data_plane: Arc::clone(data_plane),
            known: BTreeSet::new(),
            failing: BTreeMap::new(),
            looks: 0,
        };
        names.begin_anew(&mut watcher);
        Ok(Follower { watcher, names })
    }

    pub(super) async fn run(mut self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let happened = tokio::select! {
                _ = looks.tick() => Happened::Time,
                events = self.watcher.next() => match events {
                    Ok(events) => Happened::Changes(events.iter().map(|event| event.key().service.clone()).collect()),
                    Err(_) => Happened::Missed,
                },
            };
            let began = Instant::now();
            // A service may have very many instances, and the data plane may have to be waited for.
            let worked = tokio::task::spawn_blocking(move || {
                self.work(happened);
                self
            });
            match worked.await {
                Ok(follower) => self = follower,
                Err(error) => return tracing::error!(%error, "names do not follow the registry any more"),
            }
            // However much changes, half of a processor is left; what happens meanwhile is told together.
            sleep(began.elapsed().min(LONGEST_REST)).await;
        }
    }

    fn work(&mut self, happened: Happened) {
        match happened {
            Happened::Changes(services) => self.names.tell(services),
            Happened::Missed => self.names.begin_anew(&mut self.watcher),
            Happened::Time => self.names.look(),
        }
    }
}

enum Happened {
    /// These services have changed.
    Changes(BTreeSet<ServiceName>),
    /// More has changed than is known.
    Missed,
    /// It is time to look whether instances fail.
    Time,
}

impl Names {
    /// Tells everything.
    fn begin_anew(&mut self, watcher: &mut Watcher) {
        let mut services: BTreeSet<ServiceName> =
            watcher.begin_anew().into_iter().map(|(name, _)| name).collect();
        services.extend(self.known.iter().cloned());
        self.tell(services);
    }

    /// Tells what these services are now.
    fn tell(&mut self, services: BTreeSet<ServiceName>) {
        let mut changes = Vec::with_capacity(services.len());
        for name in services {
            let published = self.registry.service(&name);
            match published {
                Some(_) => self.known.insert(name.clone()),
                None => self.known.remove(&name),
            };
            let hosts = published.map(|published| hosts(&published, self.failing.get(&name)));
            changes.push((name, hosts));
        }
        self.directory.update(changes);
    }

    /// Looks at what the data plane knows; and now and then, which services nobody remembers: nothing happens then.
    fn look(&mut self) {
        let mut changed = BTreeSet::new();
        let followed = self.data_plane.followed();
        let gone: Vec<_> = self.failing.keys().filter(|name| !followed.contains(*name)).cloned().collect();
        for name in followed.into_iter().chain(gone) {
            let reaches = reaches(&self.data_plane, &name).into_iter();
            let failing: BTreeSet<InstanceId> =
                reaches.filter(|(_, reach)| *reach == Reach::Failing).map(|(id, _)| id).collect();
            if failing != self.failing.get(&name).cloned().unwrap_or_default() {
                changed.insert(name.clone());
            }
            match failing.is_empty() {
                true => self.failing.remove(&name),
                false => self.failing.insert(name, failing),
            };
        }
        self.looks += 1;
        if self.looks.is_multiple_of(FORGET_EVERY) {
            changed.extend(self.known.iter().filter(|name| self.registry.service(name).is_none()).cloned());
        }
        // Those that are not known yet come with an event of their own.
        changed.retain(|name| self.known.contains(name));
        self.tell(changed);
    }
}

/// The instances of a service, and which of them take work.
fn hosts(published: &Published, failing: Option<&BTreeSet<InstanceId>>) -> Vec<Host> {
    let is_up = |instance: &Instance| instance.stage() == Stage::Up;
    let passes = |instance: &Instance| {
        is_up(instance) && failing.is_none_or(|failing| !failing.contains(&instance.key.id))
    };
    let instances = || published.entries.iter().map(|entry| &entry.instance);
    let any_passes = instances().any(|instance| passes(instance));
    let host = |instance: &Arc<Instance>| {
        let registration = &instance.registration;
        Host {
            id: instance.key.id.as_str().to_owned(),
            address: registration.address,
            port: registration.port.get(),
            ports: registration.ports.iter().map(|(name, port)| (name.to_owned(), port.get())).collect(),
            weight: instance.weight().get(),
            takes_work: if any_passes { passes(instance) } else { is_up(instance) },
        }
    };
    instances().map(host).collect()
}

/// How soon it is seen that an instance fails, after the data plane has seen it.
const LOOK: Duration = Duration::from_millis(500);
/// What has changed is told within a second nevertheless.
const LONGEST_REST: Duration = Duration::from_millis(500);
/// After so many looks services are looked for that nobody remembers.
const FORGET_EVERY: u64 = 60;
