//! Weights that heartbeats say.

use super::*;
use crate::state::{MayOrder, Overlay};

impl World {
    /// A heartbeat of `a` that says a weight.
    fn weigh(&self, epoch: u64, weight: u16) -> Beat {
        let Key { service, id } = key("a");
        self.registry.beat(&Heartbeat {
            service: &service,
            id: &id,
            epoch: Some(Epoch(epoch)),
            owner: Some("t"),
            weight: Weight::new(weight),
            load: Load::default(),
        })
    }

    /// What `a` weighs, and who has said so.
    fn weight(&self) -> (u16, &'static str) {
        let published = self.registry.service(&web()).expect("a service");
        let (weight, source) = published.entries[0].instance.weight_and_source();
        (weight.get(), source.as_str())
    }

    async fn order(&self, weight: Option<u16>) {
        let overlay = weight.map(|weight| Overlay {
            state: None,
            weight: Weight::new(weight),
            reason: String::new(),
            until: None,
            by: "ops".into(),
        });
        let order = Command::Order { key: key("a"), overlay, may_order: MayOrder::All };
        self.registry.apply(order).await.expect("it is there");
    }

    fn events(&self) -> u64 {
        self.registry.counters().events.load(Ordering::Relaxed)
    }
}

/// Whoever follows hears of another weight, and of nothing when it is the same.
#[tokio::test]
async fn a_heartbeat_changes_a_weight_and_an_order_goes_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    world.register("a", LONG).await;
    let mut watcher = world.registry.watch(Some(vec![web()]), None).expect("it is new");
    let reported = || [("a".to_owned(), true, Cause::Reported)];
    assert_eq!(world.weigh(1, 5), RENEWED);
    assert_eq!(next(&mut watcher).await, reported());
    assert_eq!(world.weight(), (5, "heartbeat"));
    // Nothing is new in these, or they are of someone who was replaced.
    assert_eq!(world.weigh(2, 9), Beat::StaleEpoch { current: Epoch(1) });
    (0..100).for_each(|_| assert_eq!(world.weigh(1, 5), RENEWED));
    let commits = world.registry.counters().commits.load(Ordering::Relaxed);
    world.order(Some(7)).await;
    assert_eq!(next(&mut watcher).await, [("a".to_owned(), true, Cause::Ordered)]);
    assert_eq!(world.registry.counters().commits.load(Ordering::Relaxed), commits + 1);
    assert_eq!(world.weight(), (7, "order"));
    world.weigh(1, 6);
    assert_eq!(next(&mut watcher).await, reported());
    assert_eq!(world.weight(), (7, "order"));
    world.order(None).await;
    assert_eq!(next(&mut watcher).await.len(), 1);
    assert_eq!(world.weight(), (6, "heartbeat"));
    // As registered: nothing to remember.
    world.weigh(1, 1);
    assert_eq!(next(&mut watcher).await, reported());
    assert_eq!(world.weight(), (1, "discovery"));
}

#[tokio::test]
async fn a_said_weight_lasts_until_a_registration_or_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    let mut watcher = world.registry.watch(None, None).expect("it is new");
    world.register("a", LONG).await;
    next(&mut watcher).await;
    world.weigh(1, 5);
    next(&mut watcher).await;
    assert!(!world.register("a", LONG).await.has_changed, "a repeated registration says nothing new");
    assert_eq!(world.weight(), (5, "heartbeat"));
    assert!(world.register("a", LONG / 2).await.has_changed);
    next(&mut watcher).await;
    assert_eq!(world.weight(), (1, "discovery"));
    world.weigh(1, 5);
    next(&mut watcher).await;
    // A change that is written down takes nothing of it along.
    world.order(Some(2)).await;
    world.order(None).await;
    assert_eq!(world.weight(), (5, "heartbeat"));
    world.registry.stop();
    drop((watcher, world));
    let world = World::start(folder.path());
    assert_eq!(world.weight(), (1, "discovery"));
    let mut watcher = world.registry.watch(None, None).expect("it is new");
    world.weigh(1, 5);
    assert_eq!(next(&mut watcher).await, [("a".to_owned(), true, Cause::Reported)]);
    assert_eq!(world.weight(), (5, "heartbeat"));
}

/// However often an instance changes its mind, those who watch hear of it once a second at most, and of the last.
#[tokio::test]
async fn a_weight_that_flips_with_every_heartbeat_floods_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path());
    world.register("a", LONG).await;
    let (before, began) = (world.events(), Instant::now());
    for round in 0..200_000u32 {
        world.weigh(1, if round % 2 == 0 { 3 } else { 4 });
    }
    world.weigh(1, 9);
    settles(|| world.weight() == (9, "heartbeat")).await;
    let (events, seconds) = (world.events() - before, began.elapsed().as_secs());
    assert!(events <= seconds + 2, "{events} events in {seconds} s");
}

/// Becomes true, soon.
async fn settles(is_so: impl Fn() -> bool) {
    let waits = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, waits).await.expect("it settles");
}

/// Heartbeats of one instance on several connections at once: none of them is lost on the way.
#[tokio::test]
async fn several_may_speak_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = Arc::new(World::start(folder.path()));
    world.register("a", LONG).await;
    let threads: Vec<_> = (1..=4u16)
        .map(|number| {
            let world = Arc::clone(&world);
            std::thread::spawn(move || (0..20_000).for_each(|_| assert_eq!(world.weigh(1, number), RENEWED)))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
    // Whoever came last: nothing that was said is left lying.
    settles(|| world.registry.shared.weighed.is_empty()).await;
    world.weigh(1, 77);
    settles(|| world.weight() == (77, "heartbeat")).await;
}
