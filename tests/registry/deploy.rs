//! A new version of everything, under load of which every byte is checked.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use super::start;
use crate::harness::{Fulcrum, Socket, Upstream, eventually};
use crate::lifecycle::verified_load::{Load, answer_all};

/// An instance whose end is that of a process: its port refuses, its connections are closed.
struct Instance {
    name: String,
    received: Arc<AtomicUsize>,
    sockets: Arc<Mutex<Vec<Socket>>>,
    upstream: Upstream,
}

impl Instance {
    #[track_caller]
    fn start(fulcrum: &Fulcrum, name: &str) -> Self {
        let (received, sockets) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<Socket>>>::default());
        let (count, open) = (Arc::clone(&received), Arc::clone(&sockets));
        let upstream = Upstream::new(move |conversation| {
            open.lock().expect(UNPOISONED).push(conversation.wire.socket.try_clone());
            answer_all(conversation, &count);
        });
        fulcrum.register(&format!("web/{name}"), upstream.address(), json!({}));
        Instance { name: name.to_owned(), received, sockets, upstream }
    }

    /// How many requests it has got.
    fn end(self) -> usize {
        drop(self.upstream);
        self.sockets.lock().expect(UNPOISONED).iter().for_each(|socket| socket.shutdown(Shutdown::Both));
        self.received.load(Ordering::Relaxed)
    }
}

const UNPOISONED: &str = "nobody panics with the lock";

/// Has new instances take over from old ones: they come first, then those that they replace drain and end.
#[track_caller]
fn replace(fulcrum: &Fulcrum, old: Vec<Instance>, version: usize) -> (Vec<Instance>, usize) {
    let new: Vec<Instance> =
        old.iter().map(|old| Instance::start(fulcrum, &format!("{}-{version}", &old.name[..2]))).collect();
    eventually("the new ones serve", || {
        new.iter().all(|instance| instance.received.load(Ordering::Relaxed) > 0).then_some(())
    });
    for old in &old {
        fulcrum.leave(&format!("web/{}", old.name), "?drain=1s&reason=deploy");
    }
    for old in &old {
        let instance = format!("web/{}", old.name);
        eventually("it has drained", || fulcrum.instance(&instance).is_none().then_some(()));
    }
    let ids = |fulcrum: &Fulcrum| -> BTreeMap<String, u64> {
        let pair = |endpoint: &serde_json::Value| {
            Some((endpoint["id"].as_str()?.to_owned(), endpoint["in_flight"].as_u64()?))
        };
        fulcrum.endpoints("app").iter().filter_map(pair).collect()
    };
    eventually("nothing is left there", || {
        let ids = ids(fulcrum);
        old.iter().all(|old| !ids.contains_key(&old.name)).then_some(())
    });
    (new, old.into_iter().map(Instance::end).sum())
}

#[test]
fn no_request_is_lost_when_ten_instances_are_replaced() {
    let fulcrum = start(", health: { http: /health, interval: 500ms }");
    let mut instances: Vec<Instance> =
        (0..10).map(|number| Instance::start(&fulcrum, &format!("i{number}-0"))).collect();
    fulcrum.await_endpoints("app", 10);
    let load = Load::default();
    let address = fulcrum.address().to_owned();
    let mut received = 0;
    let answered: usize = thread::scope(|scope| {
        let _over = EndAtDrop(&load);
        let clients = load.ask(scope, &address);
        for version in 1..=5 {
            let old = instances.drain(..2).collect();
            let (new, count) = replace(&fulcrum, old, version);
            instances.extend(new);
            received += count;
            let failed = clients.iter().any(thread::ScopedJoinHandle::is_finished);
            assert!(!failed, "see above");
        }
        load.is_over.store(true, Ordering::Release);
        clients.into_iter().map(|client| client.join().expect("see above")).sum()
    });
    assert!(instances.iter().all(|instance| !instance.name.ends_with("-0")), "all of them are new");
    received += instances.into_iter().map(Instance::end).sum::<usize>();
    assert!(answered > 500, "{answered} requests are no load");
    assert_eq!(received, answered, "each request arrived once");
    for name in ["fulcrum_http_errors_total", "fulcrum_upstream_errors_total", "fulcrum_process_panics_total"]
    {
        assert_eq!(fulcrum.metric(name, &[]), 0.0, "{name}");
    }
    assert_eq!(fulcrum.metric("fulcrum_registry_instances", &[]), 10.0);
}

struct EndAtDrop<'a>(&'a Load);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}
