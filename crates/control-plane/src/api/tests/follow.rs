//! Server-sent events: snapshots, changes, going on after a break, beginning anew.

use tokio::time::timeout;

use super::*;

/// A client that reads events.
struct Follower {
    body: Incoming,
    text: String,
}

#[derive(Debug)]
struct Seen {
    name: String,
    id: Option<String>,
    data: Value,
}

impl Follower {
    async fn of(world: &World, target: &str, last: Option<&str>) -> Self {
        let headers: Vec<_> = last.map(|last| ("last-event-id", last)).into_iter().collect();
        let response = world.send(("GET", target), &headers, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Follower { body: response.into_body(), text: String::new() }
    }

    /// The next event; nothing when the feed has ended.
    async fn next(&mut self) -> Option<Seen> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
                };
                if let Some(data) = field("data") {
                    let data = serde_json::from_str(&data).expect("JSON");
                    return Some(Seen { name: field("event").expect("a name"), id: field("id"), data });
                }
            }
            let frame = timeout(SOON, self.body.frame()).await.expect("something comes soon")?;
            let bytes = frame.expect("a whole frame").into_data().expect("data");
            self.text += std::str::from_utf8(&bytes).expect("UTF-8");
        }
    }

    async fn expect(&mut self, name: &str) -> Seen {
        let seen = self.next().await.expect("it goes on");
        assert_eq!(seen.name, name, "{seen:?}");
        seen
    }
}

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_follower_sees_everything_and_then_what_happens() {
    let world = World::plain().await;
    world.register("a", json!({})).await.is(201, "");
    let mut follower = Follower::of(&world, "/v1/watch", None).await;
    let snapshot = follower.expect("snapshot").await;
    assert_eq!((&snapshot.data["done"], &snapshot.data["instances"][0]["id"]), (&json!(true), &json!("a")));
    let history = format!("{}.0.", world.api.store_epoch());
    assert_eq!(snapshot.id, Some(format!("{history}{}", world.sequence())));
    world.register("b", json!({"tags": ["x"]})).await.is(201, "");
    let put = follower.expect("put").await;
    assert_eq!((&put.data["instance"]["id"], &put.data["cause"]), (&json!("b"), &json!("registered")));
    assert_eq!(put.id, Some(format!("{history}{}", put.data["sequence"])));
    world.call(&format!("PUT {WEB}/b/override"), r#"{"state":"drain"}"#).await.is(200, "");
    assert_eq!(follower.expect("put").await.data["instance"]["state"], "draining");
    world.call(&format!("DELETE {WEB}/b"), "").await.is(204, "");
    let delete = follower.expect("delete").await.data;
    let sequence = world.sequence();
    let expected = json!({"sequence": sequence, "cause": "left", "service": "web", "id": "b", "epoch": 1});
    assert_eq!(delete, expected);
    world.end().await;
}

#[tokio::test]
async fn a_snapshot_comes_in_chunks_and_only_its_end_is_a_place_to_go_on_from() {
    let world = World::plain().await;
    let mut places = Vec::new();
    for place in 0..1200 {
        places.push(world.api.registry.apply(registration(place)).await.expect("registered"));
    }
    let mut follower = Follower::of(&world, "/v1/watch?service=web&service=none", None).await;
    let mut count = 0;
    let last = loop {
        let chunk = follower.expect("snapshot").await;
        let instances = chunk.data["instances"].as_array().expect("a list").len();
        assert!((1..=500).contains(&instances));
        count += instances;
        if chunk.data["done"] == true {
            break chunk.id;
        }
        assert_eq!(chunk.id, None);
    };
    assert_eq!(count, 1200);
    assert!(last.is_some());
    let mut empty = Follower::of(&world, "/v1/watch?service=none", None).await;
    assert_eq!(empty.expect("snapshot").await.data, json!({"instances": [], "done": true}));
    world.end().await;
}

#[tokio::test]
async fn who_comes_back_goes_on_or_begins_anew() {
    let world = World::plain().await;
    world.register("a", json!({})).await.is(201, "");
    let mut follower = Follower::of(&world, "/v1/watch", None).await;
    let id = follower.expect("snapshot").await.id.expect("a place");
    drop(follower);
    world.register("b", json!({})).await.is(201, "");
    world.call("PUT /v1/services/db/instances/d", r#"{"port":1}"#).await.is(201, "");
    let mut all = Follower::of(&world, "/v1/watch", Some(&id)).await;
    assert_eq!(all.expect("put").await.data["instance"]["id"], "b");
    let put = all.expect("put").await;
    assert_eq!(put.data["instance"]["id"], "d");
    let mut some = Follower::of(&world, "/v1/watch?service=db", Some(&id)).await;
    assert_eq!(
        some.expect("put").await.data["instance"]["id"],
        "d",
        "what it does not follow is passed over"
    );

    let sequence = world.sequence();
    let begins_anew = async |id: String| {
        let mut follower = Follower::of(&world, "/v1/watch", Some(&id)).await;
        assert_eq!(follower.expect("reset").await.id, None, "{id}");
        assert_eq!(follower.expect("snapshot").await.data["instances"].as_array().map(Vec::len), Some(3));
    };
    let epoch = world.api.store_epoch();
    begins_anew(format!("0123456789abcdef.0.{sequence}")).await;
    begins_anew(format!("{epoch}.1.{sequence}")).await;
    begins_anew(format!("{epoch}.0.{}", sequence + 1)).await;
    begins_anew(format!("{epoch}.0.x")).await;
    begins_anew("anything".to_owned()).await;
    world.end().await;
}

/// As many events as the registry remembers, and more, while nobody reads.
#[tokio::test]
async fn who_has_missed_events_begins_anew() {
    let world = World::plain().await;
    let first = world.api.registry.apply(registration(0)).await.expect("registered");
    let id = format!("{}.0.{}", world.api.store_epoch(), first.instance.sequence.0);
    let mut waiting = tokio::task::JoinSet::new();
    for place in 0..70_000u64 {
        let (registry, command) = (Arc::clone(&world.api.registry), registration(place));
        waiting.spawn(async move { registry.apply(command).await.map(|_| ()) });
        if waiting.len() >= 4096 {
            waiting.join_next().await.expect("one").expect("it ends").expect("registered");
        }
    }
    while let Some(done) = waiting.join_next().await {
        done.expect("it ends").expect("registered");
    }
    let mut follower = Follower::of(&world, "/v1/watch?service=web", Some(&id)).await;
    follower.expect("reset").await;
    follower.expect("snapshot").await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_tells_that_the_connection_lives() {
    let world = World::plain().await;
    let mut follower = Follower::of(&world, "/v1/watch", None).await;
    follower.expect("snapshot").await;
    let began = tokio::time::Instant::now();
    let bookmark = follower.expect("bookmark").await;
    follower.expect("bookmark").await;
    assert!(began.elapsed() >= Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(bookmark.data, json!({"sequence": 0}));
    assert_eq!(bookmark.id, Some(format!("{}.0.0", world.api.store_epoch())));
    world.end().await;
}

#[tokio::test]
async fn a_feed_ends_with_the_api() {
    let world = World::plain().await;
    let mut follower = Follower::of(&world, "/v1/watch", None).await;
    follower.expect("snapshot").await;
    let ended = async { assert!(follower.next().await.is_none(), "it ends, whole") };
    tokio::join!(world.end(), ended);
}

fn registration(place: u64) -> crate::state::Command {
    use crate::state::{Command, Incarnation, Register, testing};
    let key = testing::key("web", &format!("i{:05}", place % 2000));
    Command::Register(Register {
        incarnation: Incarnation(place.into()),
        principal: "local".into(),
        ..testing::register(key, testing::lasting(Duration::from_secs(3600)))
    })
}
