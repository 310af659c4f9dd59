//! Register, beat, leave: what an instance does by itself, and what the registry then says of it.

use std::time::{Duration, Instant};

use fulcrum_client::{InstanceError, State};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{await_state, free_address, instance, registry_at, registry_of, runtime};
use crate::harness::{Fulcrum, REFUSED, eventually};

/// The lease of an instance as the registry shows it.
fn lease(fulcrum: &Fulcrum, instance: &str) -> Value {
    fulcrum.instance(instance).map(|instance| instance["lease"].clone()).unwrap_or_default()
}

#[test]
fn an_instance_stays_while_it_is_held_and_goes_when_it_is_dropped() {
    let fulcrum = registry_at("127.0.0.1:0", "");
    let registered = registry_of(fulcrum.registry())
        .register(instance("a", "127.0.0.1:8080").tag("blue").meta("version", "1.4.2"))
        .expect("a thread");
    assert_eq!(runtime().block_on(registered.ready()).expect("registered"), 1);
    let known = fulcrum.instance("web/a").expect("it is there");
    assert_eq!((&known["tags"], &known["meta"]), (&json!(["blue"]), &json!({"version": "1.4.2"})));
    let since = Instant::now();
    registered.load().set_in_flight(7);
    registered.load().set_cpu(0.5);
    // Longer than the lease: only heartbeats keep it, and they say how busy it is.
    eventually("heartbeats carry the load", || (lease(&fulcrum, "web/a")["in_flight"] == 7).then_some(()));
    assert_eq!(lease(&fulcrum, "web/a")["cpu"], 0.5);
    eventually("the lease would be over", || (since.elapsed() > Duration::from_secs(4)).then_some(()));
    let known = fulcrum.instance("web/a").expect("it is still there");
    assert_eq!((&known["health"], &known["epoch"]), (&json!("ok"), &json!(1)));
    let status = registered.status();
    drop(registered);
    assert_eq!(fulcrum.instance("web/a"), None, "dropping waits until it is out");
    assert_eq!(status.borrow().state, State::Left);
}

#[test]
fn leaving_drains_and_beats_until_it_is_over() {
    let fulcrum = registry_at("127.0.0.1:0", "");
    let registered =
        registry_of(fulcrum.registry()).register(instance("a", "127.0.0.1:8080")).expect("a thread");
    let runtime = runtime();
    runtime.block_on(registered.ready()).expect("registered");
    let status = registered.status();
    let leaving = runtime.spawn(registered.leave(Duration::from_secs(4)));
    eventually("it drains", || {
        fulcrum.instance("web/a").filter(|instance| instance["state"] == "draining").map(|_| ())
    });
    eventually("it knows", || (status.borrow().state == State::Draining).then_some(()));
    let begun = Instant::now();
    runtime.block_on(leaving).expect("no panic").expect("it has left");
    assert!(begun.elapsed() > Duration::from_secs(2), "it was let finish: {:?}", begun.elapsed());
    eventually("it is gone", || fulcrum.instance("web/a").is_none().then_some(()));
}

/// Who has finished before its time is over need not wait.
#[test]
fn a_drain_that_is_given_up_ends_at_once() {
    let fulcrum = registry_at("127.0.0.1:0", "");
    let registered =
        registry_of(fulcrum.registry()).register(instance("a", "127.0.0.1:8080")).expect("a thread");
    let runtime = runtime();
    runtime.block_on(registered.ready()).expect("registered");
    let status = registered.status();
    let finished = async {
        let mut status = status.clone();
        status.wait_for(|status| status.state == State::Draining).await.map(|_| ())
    };
    runtime.block_on(async {
        tokio::select! {
            _ = registered.leave(Duration::from_secs(3600)) => panic!("an hour is not over"),
            finished = finished => finished.expect("it drains"),
        }
    });
    assert_eq!(fulcrum.instance("web/a"), None);
}

#[test]
fn who_was_replaced_ends_and_touches_nothing() {
    let fulcrum = registry_at("127.0.0.1:0", "");
    let registry = registry_of(fulcrum.registry());
    let old = registry.register(instance("a", "127.0.0.1:8080")).expect("a thread");
    let runtime = runtime();
    runtime.block_on(old.ready()).expect("registered");
    let new = registry.register(instance("a", "127.0.0.1:8081")).expect("a thread");
    assert_eq!(runtime.block_on(new.ready()).expect("registered"), 2);
    await_state(&old, State::Replaced);
    assert!(matches!(runtime.block_on(old.ready()), Err(InstanceError::Replaced)));
    let left = runtime.block_on(old.leave(Duration::ZERO));
    assert!(matches!(left, Err(InstanceError::Replaced)), "{left:?}");
    let known = fulcrum.instance("web/a").expect("the new one is there");
    assert_eq!((&known["epoch"], &known["port"]), (&json!(2), &json!(8081)));
    await_state(&new, State::Up);
}

#[test]
fn an_operator_tells_an_instance_to_drain() {
    let fulcrum = registry_at("127.0.0.1:0", "");
    let registered =
        registry_of(fulcrum.registry()).register(instance("a", "127.0.0.1:8080")).expect("a thread");
    await_state(&registered, State::Up);
    for (order, state) in [("drain", State::Draining), ("maintenance", State::Maintenance)] {
        fulcrum.order("web/a", &json!({ "state": order, "reason": "disk" }));
        await_state(&registered, state);
    }
    fulcrum.order("web/a", &Value::Null);
    await_state(&registered, State::Up);
}

/// An operator's mistake, or a lease that ran out while the machine slept.
#[test]
fn who_was_forgotten_comes_back() {
    let fulcrum = registry_at("127.0.0.1:0", "");
    let registered =
        registry_of(fulcrum.registry()).register(instance("a", "127.0.0.1:8080")).expect("a thread");
    await_state(&registered, State::Up);
    fulcrum.leave("web/a", "");
    let back = eventually("it is back", || fulcrum.instance("web/a"));
    assert_eq!(back["epoch"], 2, "nobody takes the number of a registration that has ended");
    await_state(&registered, State::Up);
    eventually("it knows its number", || (registered.status().borrow().epoch == Some(2)).then_some(()));
}

#[test]
fn what_cannot_be_registered_is_said() {
    let fulcrum = registry_at("127.0.0.1:0", "");
    let runtime = runtime();
    let registry = registry_of(fulcrum.registry());
    let refused = |instance| {
        let registered = registry.register(instance).expect("a thread");
        let error = runtime.block_on(registered.ready()).expect_err("it is refused").to_string();
        (registered.status().borrow().state, error)
    };
    let (state, error) = refused(instance("a", "127.0.0.1:8080").ttl(Duration::from_secs(1)));
    assert!(state == State::Refused && error.contains("422 invalid"), "{state:?}: {error}");
    // The registry's settings may change: it goes on asking.
    let (state, error) = refused(instance("a", "192.0.2.1:80"));
    assert!(state == State::Registering && error.contains("403 address"), "{state:?}: {error}");
}

#[test]
fn a_token_is_sent_and_asked_for() {
    let token = "the-secret-of-the-web-servers";
    let tokens = format!(", tokens: [{{ name: web, secret: \"{token}\", grants: [\"register:web\"] }}]");
    let fulcrum = registry_at("127.0.0.1:0", &tokens);
    let runtime = runtime();
    let registry = registry_of(fulcrum.registry());
    let registered = registry.register(instance("a", "127.0.0.1:8080")).expect("a thread");
    let error = runtime.block_on(registered.ready()).expect_err("no token").to_string();
    assert!(error.contains("401 unauthorized"), "{error}");
    let registry = registry.with_token(token).expect("a token");
    let registered = registry.register(instance("a", "127.0.0.1:8080")).expect("a thread");
    assert_eq!(runtime.block_on(registered.ready()).expect("registered"), 1);
    drop(registered);
    let gone = fulcrum.ask_registry_as(token, "GET", "/v1/services/web/instances/a", "");
    assert_eq!(gone.status, 404, "{}", gone.text());
}

#[test]
fn a_registry_that_is_killed_and_comes_back_finds_its_instances() {
    let address = free_address();
    let mut fulcrum = registry_at(&address, "");
    let registered = registry_of(&address).register(instance("a", "127.0.0.1:8080")).expect("a thread");
    await_state(&registered, State::Up);
    fulcrum.child.signal(Signal::KILL);
    assert_eq!(fulcrum.child.exit_code(), None);
    let status = registered.status();
    eventually("it notices", || status.borrow().problem.is_some().then_some(()));
    assert_eq!(status.borrow().state, State::Up, "silence is no answer");
    fulcrum.restart();
    eventually("it is heard of again", || status.borrow().problem.is_none().then_some(()));
    let known = fulcrum.instance("web/a").expect("it is there");
    assert_eq!((&known["epoch"], &known["health"]), (&json!(1), &json!("ok")));
    drop(registered);
    assert_eq!(fulcrum.instance("web/a"), None);
}

/// Registries that know nothing of each other all know the instance, and each goes its own way.
#[test]
fn an_instance_registers_at_every_registry() {
    let mut registries = [registry_at("127.0.0.1:0", ""), registry_at(&free_address(), "")];
    let urls = registries.each_ref().map(|fulcrum| format!("http://{}", fulcrum.registry()));
    let both = fulcrum_client::Registry::new([&*urls[0], &*urls[1], &format!("http://{REFUSED}")]);
    let both = both.expect("addresses");
    let registered = both.register(instance("a", "127.0.0.1:8080")).expect("a thread");
    let runtime = runtime();
    assert_eq!(runtime.block_on(registered.ready()).expect("registered"), 1);
    for fulcrum in &registries {
        eventually("it is known", || fulcrum.instance("web/a"));
    }
    let states = || registered.registries().map(|(_, status)| status.state).collect::<Vec<_>>();
    eventually("it knows", || (states() == [State::Up, State::Up, State::Registering]).then_some(()));
    let dead = registered.registries().nth(2).expect("the third");
    assert!(dead.0.to_string().contains(REFUSED) && dead.1.problem.is_some());

    // One takes it out: the other's clients still come.
    registries[0].order("web/a", &json!({ "state": "drain", "reason": "disk" }));
    eventually("it is told", || (states()[0] == State::Draining).then_some(()));
    assert_eq!(registered.status().borrow().state, State::Up);
    registries[1].order("web/a", &json!({ "state": "drain", "reason": "disk" }));
    await_state(&registered, State::Draining);
    registries[0].order("web/a", &Value::Null);
    await_state(&registered, State::Up);

    // One is gone: the other one keeps it, longer than a lease, and both are left.
    assert_eq!(registries[1].stop(), Some(0));
    let problem = |place| registered.registries().nth(place).and_then(|(_, status)| status.problem);
    eventually("it is noticed", || problem(1));
    crate::harness::hold("the other one keeps it", Duration::from_secs(4), || {
        registries[0].instance("web/a").is_some_and(|instance| instance["health"] == "ok")
    });
    registries[1].restart();
    eventually("it is heard of", || problem(1).is_none().then_some(()));
    drop(registered);
    for fulcrum in &registries {
        assert_eq!(fulcrum.instance("web/a"), None);
    }
}

#[test]
fn who_is_replaced_at_one_registry_is_replaced() {
    let registries = [registry_at("127.0.0.1:0", ""), registry_at("127.0.0.1:0", "")];
    let urls = registries.each_ref().map(|fulcrum| format!("http://{}", fulcrum.registry()));
    let both = fulcrum_client::Registry::new(&urls).expect("addresses");
    let old = both.register(instance("a", "127.0.0.1:8080")).expect("a thread");
    for fulcrum in &registries {
        eventually("it is known", || fulcrum.instance("web/a"));
    }
    let new =
        registry_of(registries[1].registry()).register(instance("a", "127.0.0.1:8081")).expect("a thread");
    assert_eq!(runtime().block_on(new.ready()).expect("registered"), 2);
    await_state(&old, State::Replaced);
    let left = runtime().block_on(old.leave(Duration::ZERO));
    assert!(matches!(left, Err(InstanceError::Replaced)), "{left:?}");
    assert_eq!(registries[0].instance("web/a"), None, "nobody is sent to the old one");
    assert_eq!(registries[1].instance("web/a").expect("the new one")["port"], 8081);
}

#[test]
fn a_registry_that_is_away_does_not_hold_up_who_ends() {
    let registered = registry_of(REFUSED).register(instance("a", "127.0.0.1:8080")).expect("a thread");
    let status = registered.status();
    eventually("it has tried", || status.borrow().problem.is_some().then_some(()));
    let begun = Instant::now();
    drop(registered);
    assert!(begun.elapsed() < Duration::from_secs(1), "it was never there: {:?}", begun.elapsed());

    let mut fulcrum = registry_at("127.0.0.1:0", "");
    let registered =
        registry_of(fulcrum.registry()).register(instance("a", "127.0.0.1:8080")).expect("a thread");
    await_state(&registered, State::Up);
    assert_eq!(fulcrum.stop(), Some(0));
    let begun = Instant::now();
    let left = runtime().block_on(registered.leave(Duration::ZERO));
    assert!(matches!(left, Err(InstanceError::Unheard(Some(_)))), "{left:?}");
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
}
