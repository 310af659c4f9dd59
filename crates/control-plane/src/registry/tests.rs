//! The running registry, over a file, by the real clock.

mod weights;

use std::path::Path;

use fulcrum_model::{Reach, Weight};
use tokio::time::timeout;

use super::*;
use crate::lease::Load;
use crate::state::{Cause, Epoch, Evidence as Proof, Key, Leave, MayTouch, Stage, testing};

/// What is known of the ways, set by a test.
type Known = Arc<Mutex<Reaches>>;

struct World {
    registry: Registry,
    reaches: Known,
}

impl World {
    fn start(folder: &Path) -> Self {
        let reaches = Known::default();
        let known = Arc::clone(&reaches);
        let evidence = move |_: &ServiceName| known.lock().expect("nobody panics with it").clone();
        let settings = Settings {
            file: folder.join("registry.redb"),
            policy: Policy::default(),
            bounds: Bounds::default(),
        };
        let registry =
            Opened::open(settings, 1).expect("a new file").start(Box::new(evidence)).expect("a thread");
        World { registry, reaches }
    }

    async fn register(&self, id: &str, ttl: Duration) -> Outcome {
        let register = testing::register(key(id), testing::lasting(ttl));
        self.registry.apply(Command::Register(register)).await.expect("registered")
    }

    async fn leave(&self, id: &str) -> Result<Outcome, Failure> {
        let principal = "t".into();
        let leave = Leave { key: key(id), epoch: None, drain: None, principal, may_touch: MayTouch::Own };
        self.registry.apply(Command::Leave(leave)).await
    }

    fn beat(&self, id: &str, epoch: Option<Epoch>) -> Beat {
        let Key { service, id } = key(id);
        let load = Load { in_flight: Some(7), cpu: None };
        self.registry.beat(&Heartbeat {
            service: &service,
            id: &id,
            epoch,
            owner: Some("t"),
            weight: None,
            load,
        })
    }

    fn ids(&self) -> Vec<String> {
        let published = self.registry.service(&web()).expect("a service");
        published.entries.iter().map(|entry| entry.instance.key.id.to_string()).collect()
    }
}

fn web() -> ServiceName {
    "web".parse().expect("a name")
}

fn key(id: &str) -> Key {
    Key { service: web(), id: id.parse().expect("an id") }
}

/// The next events: who, whether it is there, and why.
async fn next(watcher: &mut Watcher) -> Vec<(String, bool, Cause)> {
    let events =
        timeout(SOON, watcher.next()).await.expect("something happens soon").expect("it is quick enough");
    events
        .iter()
        .map(|event| (event.key().id.to_string(), event.after.is_some(), event.cause.clone()))
        .collect()
}

const RENEWED: Beat = Beat::Renewed { epoch: Epoch(1), stage: Stage::Up, ttl: LONG };
const LONG: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn who_registers_is_seen_and_who_leaves_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    let mut watcher = world.registry.watch(Some(vec![web()]), None).expect("it is new");
    let other = "other".parse().expect("a name");
    let mut elsewhere = world.registry.watch(Some(vec![other]), None).expect("it is new");
    assert!(world.register("a", LONG).await.has_changed);
    assert!(!world.register("a", LONG).await.has_changed, "a repeated one");
    let by: crate::state::Principal = "t".into();
    let registered = Cause::Registered { by: Arc::clone(&by) };
    assert_eq!(next(&mut watcher).await, [("a".to_owned(), true, registered)]);
    assert_eq!(world.ids(), ["a"]);
    assert_eq!(world.beat("a", Some(Epoch(1))), RENEWED);
    let published = world.registry.service(&web()).expect("a service");
    assert_eq!(published.entries[0].lease.in_flight(), Some(7));
    let owner = Some("u");
    let load = Load::default();
    let foreign = Heartbeat { service: &web(), id: &key("a").id, epoch: None, owner, weight: None, load };
    assert_eq!(world.registry.beat(&foreign), Beat::NotYours);
    let stale = world.beat("a", Some(Epoch(9)));
    assert_eq!(stale, Beat::StaleEpoch { current: Epoch(1) });
    assert_eq!(world.beat("b", None), Beat::Unknown);
    world.leave("a").await.expect("it was there");
    assert_eq!(next(&mut watcher).await, [("a".to_owned(), false, Cause::Left { by })]);
    assert_eq!(world.leave("a").await.err(), Some(Failure::Refused(Refusal::Unknown)));
    assert!(world.ids().is_empty());
    assert_eq!(elsewhere.look().expect("it is quick enough").len(), 0);
}

#[tokio::test]
async fn who_begins_anew_sees_everything_and_then_what_comes_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    let mut watcher = world.registry.watch(None, None).expect("it is new");
    let many = MOST_AT_ONCE + 10;
    for place in 0..many {
        world.register(&format!("i{place}"), LONG).await;
    }
    assert_eq!(next(&mut watcher).await.len(), MOST_AT_ONCE, "the rest waits");
    assert_eq!(next(&mut watcher).await.len(), 10);
    let mut late = world.registry.watch(Some(vec![web()]), Some(Sequence(0))).expect("all is remembered");
    let lists = late.begin_anew();
    assert_eq!(lists.iter().map(|(_, list)| list.entries.len()).collect::<Vec<_>>(), [many]);
    assert_eq!(late.look().expect("it is quick enough").len(), 0);
    world.leave("i0").await.expect("it was there");
    assert_eq!(next(&mut late).await.len(), 1);
}

#[tokio::test]
async fn what_is_registered_outlives_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    let epoch = world.registry.epoch();
    for id in ["a", "b", "c"] {
        world.register(id, LONG).await;
    }
    world.leave("b").await.expect("it was there");
    let index = world.registry.service(&web()).expect("a service").index;
    drop(world);
    let world = World::start(folder.path());
    assert_eq!(world.registry.epoch(), epoch);
    assert_eq!(world.ids(), ["a", "c"]);
    assert!(world.registry.service(&web()).expect("a service").index > index, "an index never goes back");
    assert_eq!(world.register("b", LONG).await.instance.epoch, Epoch(2), "it is remembered");
    let far = Some(Sequence(u64::MAX));
    assert_eq!(world.registry.watch(None, far).err(), Some(Reset), "a number of another history");
    assert_eq!(world.registry.watch(None, Some(index)).err(), Some(Reset), "not every event since is known");
}

#[tokio::test]
async fn who_falls_silent_goes_when_it_cannot_be_reached_and_stays_when_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    let mut watcher = world.registry.watch(None, None).expect("it is new");
    let short = Duration::from_millis(1500);
    for (id, reach) in [("gone", Reach::Failing), ("there", Reach::Reachable), ("well", Reach::Reachable)] {
        world.reaches.lock().expect("nobody panics with it").insert(key(id).id, reach);
        world.register(id, if id == "well" { LONG } else { short }).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.extend(next(&mut watcher).await);
    }
    seen.drain(..3);
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    let evicted = Cause::Evicted(Proof::Unreachable);
    assert_eq!(seen, [("gone".to_owned(), false, evicted), ("there".to_owned(), true, Cause::Lease)]);
    assert_eq!(world.ids(), ["there", "well"]);
    let beats = async {
        loop {
            assert!(matches!(world.beat("there", None), Beat::Renewed { .. }));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let heard = tokio::select! {
        () = beats => unreachable!("it beats for ever"),
        events = next(&mut watcher) => events,
    };
    assert_eq!(heard, [("there".to_owned(), true, Cause::Lease)]);
    let published = world.registry.service(&web()).expect("a service");
    assert!(published.entries.iter().all(|entry| entry.instance.suspect.is_none()), "heard of again");
}

#[tokio::test]
async fn watchers_that_have_gone_are_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    let watchers: Vec<_> = (0..300).map(|_| world.registry.watch(Some(vec![web()]), None)).collect();
    assert_eq!(world.registry.watchers(), 300);
    drop(watchers);
    assert_eq!(world.registry.watchers(), 0);
}

#[tokio::test]
async fn a_file_has_one_daemon_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    world.register("a", LONG).await;
    let second = Settings {
        file: folder.path().join("registry.redb"),
        policy: Policy::default(),
        bounds: Bounds::default(),
    };
    assert!(matches!(Opened::open(second, 2), Err(OpenError::InUse { .. })));
}
