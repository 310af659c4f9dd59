//! Limits on connections and memory: who is turned away, who waits, and who makes room.

use std::time::Duration;

use crate::harness::{Client, Fulcrum, Setup, Upstream, eventually, hold};

fn hits(fulcrum: &Fulcrum, limit: &str) -> f64 {
    fulcrum.metric("fulcrum_process_limit_hits_total", &[("reason", limit)])
}

#[track_caller]
fn await_hits(fulcrum: &Fulcrum, limit: &str, expected: u32) {
    fulcrum.await_metric("fulcrum_process_limit_hits_total", &[("reason", limit)], expected.into());
}

/// Lets clients that had an answer be idle for longer than it takes to be known as idle.
fn fall_idle() {
    std::thread::sleep(Duration::from_millis(300));
}

/// Makes a connection busy, for as long as a request's head may take.
fn begin(client: &mut Client) {
    client.send("GET /late HTTP/1.1\r\n");
}

fn served(fulcrum: &Fulcrum, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| fulcrum.connect()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    clients
}

#[test]
fn a_source_has_only_so_many_connections() {
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream);
    let limited =
        |most: &str| setup.clone().listener(&format!("limits: {{ connections_per_source: {most} }}"));
    let fulcrum = limited("2").start();
    let clients = served(&fulcrum, 2);
    fulcrum.connect().assert_closed();
    await_hits(&fulcrum, "connections_per_source", 1);
    assert_eq!(upstream.requests().len(), 2, "who is turned away is closed before a request");
    drop(clients);
    fulcrum.await_metric("fulcrum_http_connections", &[], 0.0);
    let clients = served(&fulcrum, 2);
    let warning = || fulcrum.child.stderr().contains("connections_per_source").then_some(());
    eventually("a warning with the name of the limit", warning);
    drop(clients);
}

#[test]
fn a_limit_on_sources_follows_reloads() {
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream);
    let limited =
        |most: &str| setup.clone().listener(&format!("limits: {{ connections_per_source: {most} }}"));
    let fulcrum = limited("1").start();
    let first = served(&fulcrum, 1);
    fulcrum.connect().assert_closed();
    fulcrum.change(&limited("3").yaml());
    let more = served(&fulcrum, 2);
    fulcrum.connect().assert_closed();
    fulcrum.change(&limited("none").yaml());
    let all = served(&fulcrum, 5);
    await_hits(&fulcrum, "connections_per_source", 2);
    drop((first, more, all));
}

#[test]
fn at_the_cap_the_longest_idle_makes_room() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).top("overload: { connections: 3 }").start();
    let mut clients: Vec<Client> = (0..3).map(|_| fulcrum.connect()).collect();
    for client in [2, 1, 0, 2] {
        assert_eq!(clients[client].get("/").status, 200);
        fall_idle();
    }
    hold("nobody is closed before a client comes", Duration::from_millis(200), || {
        hits(&fulcrum, "idle_shed") == 0.0
    });
    let mut new = fulcrum.connect();
    assert_eq!(new.get("/new").status, 200);
    clients[1].assert_closed();
    assert_eq!(hits(&fulcrum, "idle_shed"), 1.0);
    assert_eq!(clients[0].get("/").status, 200);
    assert_eq!(clients[2].get("/").status, 200);
    fulcrum.await_metric("fulcrum_http_connections", &[], 3.0);
}

#[test]
fn a_full_listener_takes_room_from_its_own_clients_only() {
    let upstream = Upstream::named("app");
    let yaml = Setup::new(&upstream).listener("limits: { connections: 1 }").yaml();
    let yaml = yaml.replace("listeners:\n", "listeners:\n  other: { bind: \"127.0.0.1:0\" }\n");
    let fulcrum = Fulcrum::start(&yaml);
    let mut other = Client::connect(&fulcrum.addresses("other")[0]);
    assert_eq!(other.get("/").status, 200);
    fall_idle();
    let mut old = served(&fulcrum, 1);
    fall_idle();
    assert_eq!(fulcrum.get("/new").status, 200);
    old[0].assert_closed();
    assert_eq!(other.get("/").status, 200);
    await_hits(&fulcrum, "idle_shed", 1);
}

#[test]
fn other_workers_give_room_too() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).top("workers: 3\noverload: { connections: 6 }").start();
    let clients = served(&fulcrum, 6);
    fall_idle();
    let new = served(&fulcrum, 6);
    await_hits(&fulcrum, "idle_shed", 6);
    clients.into_iter().for_each(|mut client| client.assert_closed());
    drop(new);
}

#[test]
fn where_everybody_is_busy_the_new_wait_and_the_cap_follows_reloads() {
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream);
    let capped = |most: u32| setup.clone().top(&format!("overload: {{ connections: {most} }}"));
    let fulcrum = capped(2).start();
    let mut clients = served(&fulcrum, 2);
    clients.iter_mut().for_each(begin);
    let mut waiting = fulcrum.connect();
    waiting.send("GET /waiting HTTP/1.1\r\nHost: test\r\n\r\n");
    await_hits(&fulcrum, "connections", 1);
    hold("two connections are served", Duration::from_millis(300), || upstream.requests().len() == 2);
    assert_eq!(hits(&fulcrum, "idle_shed"), 0.0);
    // A request in the middle is none that is idle: it is finished, whoever waits.
    let last = clients[0].ask("Host: test\r\nConnection: close\r\n\r\n");
    assert_eq!(last.status, 200);
    assert_eq!(waiting.response().status, 200);
    begin(&mut waiting);
    let mut next = fulcrum.connect();
    next.send("GET /next HTTP/1.1\r\nHost: test\r\n\r\n");
    hold("the next one waits", Duration::from_millis(200), || upstream.requests().len() == 4);
    fulcrum.change(&capped(3).yaml());
    assert_eq!(next.response().status, 200);
}

#[test]
fn pools_are_emptied_where_memory_is_short() {
    // A host that uses less than 1 % of its memory is not known.
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream);
    let begin = |memory: &str| setup.clone().top(&format!("overload: {{ memory: {memory} }}")).yaml();
    let fulcrum = Fulcrum::start(&begin("none"));
    assert_eq!(fulcrum.get("/").status, 200);
    fulcrum.await_metric("fulcrum_upstream_connections_idle", &[], 1.0);
    assert_eq!(fulcrum.metric("fulcrum_process_overload_level", &[]), 0.0);
    fulcrum.change(&begin("1%"));
    fulcrum.await_metric("fulcrum_upstream_connections_idle", &[], 0.0);
    assert!(fulcrum.metric("fulcrum_process_overload_level", &[]) >= 1.0);
    assert!(hits(&fulcrum, "memory_shrink") >= 1.0);
    fulcrum.change(&begin("none"));
    fulcrum.await_metric("fulcrum_process_overload_level", &[], 0.0);
    assert_eq!(fulcrum.get("/").status, 200);
}
