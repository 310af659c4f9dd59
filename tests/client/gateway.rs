//! The gateway of the examples, with instances of the examples behind it, under load that allows no failure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::Signal;

use super::{example, free_address, registry_at};
use crate::harness::{Child, Client, eventually};

/// Clients that ask until it is over, and panic with the first answer that is none.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    /// How often each instance has answered.
    answers: Mutex<BTreeMap<String, usize>>,
}

impl Load {
    fn ask(&self, gateway: &str) {
        let mut client = Client::connect(gateway);
        while !self.is_over.load(Ordering::Acquire) {
            let response = client.get("/");
            assert_eq!(response.status, 200, "{}", response.text());
            *self.answers().entry(response.text()).or_default() += 1;
        }
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, usize>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, id: &str) -> usize {
        self.answers().get(id).copied().unwrap_or_default()
    }

    /// Waits for so many more answers.
    #[track_caller]
    fn await_more(&self, count: usize) {
        let sum = || self.answers().values().sum::<usize>();
        let before = sum();
        eventually("the clients go on", || (sum() >= before + count).then_some(()));
    }

    #[track_caller]
    fn await_answer_of(&self, id: &str) {
        let before = self.of(id);
        eventually(&format!("{id} gets requests"), || (self.of(id) > before).then_some(()));
    }

    /// Has four clients ask a gateway while something is done.
    fn during(&self, gateway: &str, act: impl FnOnce()) {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| self.ask(gateway))).collect();
            let over = EndAtDrop(self);
            act();
            drop(over);
            clients.into_iter().for_each(|client| client.join().expect("no request failed"));
        });
    }
}

struct EndAtDrop<'a>(&'a Load);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

/// A running instance `web/ID`, registered.
#[track_caller]
fn instance(registry: &str, id: &str) -> Child {
    let child = example("instance", registry, &["web", id, "127.0.0.1:0", "1000"]);
    child.line();
    child
}

/// A running gateway to `web`; its address.
#[track_caller]
fn gateway(registry: &str) -> (Child, String) {
    let child = example("gateway", registry, &["web", "127.0.0.1:0"]);
    let address = child.line();
    (child, address)
}

#[track_caller]
fn kill(child: &mut Child) {
    child.signal(Signal::KILL);
    assert_eq!(child.exit_code(), None);
}

#[test]
fn no_request_fails_while_instances_and_the_registry_are_killed() {
    let address = free_address();
    let mut registry = registry_at(&address, "");
    let mut instances: Vec<Child> = (0..4).map(|number| instance(&address, &format!("i{number}"))).collect();
    let (_gateway, gateway) = gateway(&address);
    let load = Load::default();
    load.during(&gateway, || {
        (0..4).for_each(|number| load.await_answer_of(&format!("i{number}")));
        kill(&mut instances[0]);
        load.await_more(500);
        kill(&mut registry.child);
        load.await_more(500);
        // Nobody but the gateway itself can know of this one.
        kill(&mut instances[1]);
        load.await_more(500);
        registry.restart();
        let fresh = instance(&address, "fresh");
        load.await_answer_of("fresh");
        instances.push(fresh);
        load.await_more(500);
    });
    let answers = load.answers().clone();
    assert!(["i2", "i3", "fresh"].iter().all(|id| answers[*id] > 10), "{answers:?}");
}

#[test]
fn no_request_fails_while_instances_are_replaced() {
    let registry = registry_at("127.0.0.1:0", "");
    let address = registry.registry();
    let mut instances: Vec<Child> = (0..2).map(|number| instance(address, &format!("i{number}-0"))).collect();
    let (_gateway, gateway) = gateway(address);
    let load = Load::default();
    load.during(&gateway, || {
        load.await_more(100);
        for version in 1..=3 {
            let names: Vec<String> = (0..2).map(|number| format!("i{number}-{version}")).collect();
            let new: Vec<Child> = names.iter().map(|name| instance(address, name)).collect();
            names.iter().for_each(|name| load.await_answer_of(name));
            for mut old in std::mem::replace(&mut instances, new) {
                old.signal(Signal::TERM);
                assert_eq!(old.exit_code(), Some(0), "{}", old.stderr());
            }
            let gone = (0..2).map(|number| format!("web/i{number}-{}", version - 1));
            gone.for_each(|gone| eventually(&gone, || registry.instance(&gone).is_none().then_some(())));
            load.await_more(200);
        }
    });
    let answers = load.answers().clone();
    assert_eq!(answers.len(), 8, "{answers:?}");
}

/// The same process under the same id again, as a supervisor starts it: the registry never forgets the id in between.
#[test]
fn an_instance_that_is_killed_and_started_again_serves_again() {
    let registry = registry_at("127.0.0.1:0", "");
    let mut first = instance(registry.registry(), "a");
    let (_gateway, gateway) = gateway(registry.registry());
    let mut client = Client::connect(&gateway);
    assert_eq!(client.get("/").text(), "a");
    kill(&mut first);
    assert_eq!(client.get("/").status, 502, "nobody is there");
    let _second = instance(registry.registry(), "a");
    eventually("it serves", || (client.get("/").status == 200).then_some(()));
    assert_eq!(registry.instance("web/a").expect("it is there")["epoch"], 2);
}
