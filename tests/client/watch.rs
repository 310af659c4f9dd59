//! Following services: nothing is missed, and nothing that was known is lost with the registry.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use fulcrum_client::{EndpointState, Watch};
use rustix::process::Signal;
use serde_json::json;

use super::{free_address, registry_at, registry_of, runtime};
use crate::harness::{eventually, hold};

/// The ids of the endpoints that take new requests, in order.
fn ids(watch: &Watch) -> Vec<String> {
    let endpoints = watch.endpoints().of("web");
    let up = endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Up);
    up.map(|endpoint| endpoint.id.to_string()).collect()
}

#[track_caller]
fn await_ids(watch: &Watch, expected: &[&str]) {
    eventually(&format!("{expected:?}"), || (ids(watch) == expected).then_some(()));
}

#[test]
fn a_watcher_sees_who_comes_drains_and_goes() {
    let fulcrum = registry_at("127.0.0.1:0", "");
    fulcrum.register(
        "web/a",
        "127.0.0.1:8080",
        json!({"weight": 7, "meta": {"version": "1"}, "locality": "eu"}),
    );
    fulcrum.register("db/x", "127.0.0.1:9090", json!({}));
    let runtime = runtime();
    let _context = runtime.enter();
    let watch = registry_of(fulcrum.registry()).watch(["web"]).expect("a name");
    let endpoints = runtime.block_on(watch.ready());
    assert_eq!(endpoints.len(), 1, "nothing of other services: {endpoints:?}");
    let endpoint = Arc::clone(&endpoints.of("web")[0]);
    assert_eq!((endpoint.address.to_string(), endpoint.weight.get()), ("127.0.0.1:8080".to_owned(), 7));
    assert_eq!((&*endpoint.meta["version"], endpoint.locality.as_deref()), ("1", Some("eu")));
    fulcrum.register("web/b", "127.0.0.1:8081", json!({}));
    await_ids(&watch, &["a", "b"]);
    fulcrum.leave("web/a", "?drain=1h");
    await_ids(&watch, &["b"]);
    assert_eq!(watch.endpoints().of("web").len(), 2, "it drains");
    fulcrum.leave("web/b", "");
    await_ids(&watch, &[]);
    assert!(watch.problem().is_none(), "{:?}", watch.problem());
}

#[test]
fn a_large_service_is_seen_whole() {
    let fulcrum = registry_at("127.0.0.1:0", "");
    let meta = json!({ "ttl": "1h", "meta": { "k": "v".repeat(200) } });
    for number in 0..600 {
        fulcrum.register(&format!("web/{number}"), &format!("127.0.0.1:{}", 1000 + number), meta.clone());
    }
    let runtime = runtime();
    let _context = runtime.enter();
    let watch = registry_of(fulcrum.registry()).watch([]).expect("no name");
    let endpoints = runtime.block_on(watch.ready());
    assert_eq!(endpoints.of("web").len(), 600);
}

#[test]
fn a_watcher_goes_on_after_the_registry_was_killed() {
    let address = free_address();
    let mut fulcrum = registry_at(&address, "");
    fulcrum.register("web/a", "127.0.0.1:8080", json!({"ttl": "1h"}));
    fulcrum.register("web/b", "127.0.0.1:8081", json!({"ttl": "1h"}));
    let runtime = runtime();
    let _context = runtime.enter();
    let watch = registry_of(&address).watch(["web"]).expect("a name");
    await_ids(&watch, &["a", "b"]);
    let mut changes = watch.changes();
    changes.mark_unchanged();
    for round in 0..2 {
        fulcrum.child.signal(Signal::KILL);
        assert_eq!(fulcrum.child.exit_code(), None);
        eventually("it notices", || watch.problem());
        hold("what was known is known", Duration::from_millis(300), || ids(&watch).len() == 2 + round);
        fulcrum.restart();
        fulcrum.register(&format!("web/c{round}"), "127.0.0.1:8082", json!({"ttl": "1h"}));
        let expected = [&["a", "b", "c0"][..], &["a", "b", "c0", "c1"]][round];
        await_ids(&watch, expected);
        eventually("it is well again", || watch.problem().is_none().then_some(()));
    }
    assert!(changes.has_changed().expect("it is there"));
}

/// The registry's file is lost: who registers again in time was never away, and who is told to have gone has.
#[test]
fn a_registry_that_lost_its_file_takes_nobody_away() {
    let address = free_address();
    let mut fulcrum = registry_at(&address, "");
    fulcrum.register("web/a", "127.0.0.1:8080", json!({"ttl": "1h"}));
    fulcrum.register("web/c", "127.0.0.1:8082", json!({"ttl": "1h"}));
    let runtime = runtime();
    let _context = runtime.enter();
    let watch = registry_of(&address).watch(["web"]).expect("a name");
    await_ids(&watch, &["a", "c"]);
    assert_eq!(fulcrum.stop(), Some(0));
    std::fs::remove_dir_all(fulcrum.directory().join("state")).expect("it is ours");
    hold("they stay", Duration::from_millis(300), || ids(&watch) == ["a", "c"]);
    fulcrum.restart();
    fulcrum.register("web/b", "127.0.0.1:8081", json!({"ttl": "1h"}));
    await_ids(&watch, &["a", "b", "c"]);
    hold("they have time", Duration::from_millis(300), || ids(&watch) == ["a", "b", "c"]);
    fulcrum.register("web/a", "127.0.0.1:8080", json!({"ttl": "1h"}));
    fulcrum.leave("web/a", "");
    await_ids(&watch, &["b", "c"]);
}

/// What makes no sense does so again at the next time: it is asked ever more seldom, and from the beginning.
#[test]
fn events_that_make_no_sense_are_not_asked_for_without_end() {
    let listener = TcpListener::bind("127.0.0.3:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let (begun, connections) = mpsc::channel();
    // It ends with the test's process: nobody connects when the watch is gone.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            if begun.send((Instant::now(), head.join("\n").to_lowercase())).is_err() {
                return;
            }
            let _ = (&stream).write_all(NONSENSE.as_bytes());
        }
    });
    let runtime = runtime();
    let _context = runtime.enter();
    let watch = registry_of(&address).watch(["web"]).expect("a name");
    let heads: Vec<_> =
        (0..3).map(|_| connections.recv_timeout(REACHED_WITHIN).expect("it is asked")).collect();
    let between = heads[2].0 - heads[0].0;
    assert!(between >= Duration::from_millis(1400), "at least 0.5 s and 1 s: {between:?}");
    assert!(heads.iter().all(|(_, head)| !head.contains("last-event-id")), "{heads:?}");
    assert!(watch.endpoints().is_complete(), "what came before it counts");
}

const NONSENSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
    retry: 10\n\nevent: snapshot\ndata: {\"instances\":[],\"done\":true}\nid: h.0.1\n\n\
    event: put\nid: h.0.2\ndata: {\n\n";

const REACHED_WITHIN: Duration = Duration::from_secs(20);
