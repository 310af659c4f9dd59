//! SIGTERM, step by step: not ready, then not accepting, then idle connections closed, then done or cut.

use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Client, Failure, Fulcrum, Setup, Socket, Upstream, eventually, hold, ok};

/// An upstream that answers each request when it is told to.
fn upstream_on_command() -> (Upstream, Sender<()>) {
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::new(move |mut conversation| {
        while conversation.request().is_some() {
            if gate.lock().expect("nobody panics with the gate").recv().is_err() {
                return;
            }
            conversation.send(ok("done"));
        }
    });
    (upstream, release)
}

/// A client whose request is at the upstream.
#[track_caller]
fn busy_client(fulcrum: &Fulcrum, upstream: &Upstream) -> Client {
    let before = upstream.requests().len();
    let mut client = fulcrum.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    upstream.await_requests(before + 1);
    client
}

#[track_caller]
fn await_refusal(address: &str) {
    eventually("new connections are refused", || Socket::connect(address).is_err().then_some(()));
}

#[test]
fn what_is_in_progress_finishes() {
    for signal in [Signal::TERM, Signal::INT] {
        let (upstream, release) = upstream_on_command();
        let mut fulcrum = Setup::new(&upstream).start();
        release.send(()).expect("the upstream listens");
        let mut idle = fulcrum.connect();
        idle.get("/");
        let mut client = busy_client(&fulcrum, &upstream);
        fulcrum.child.signal(signal);
        await_refusal(fulcrum.address());
        idle.assert_closed();
        assert_eq!(fulcrum.ask_admin("/readyz").status, 503);
        assert_eq!(fulcrum.ask_admin("/healthz").status, 200, "health and metrics to the end");
        assert_eq!(fulcrum.metric("fulcrum_http_requests_in_flight", &[]), 1.0);
        let status = fulcrum.status();
        assert_eq!((&status["state"], &status["requests"]), (&"draining".into(), &1.into()), "{status}");
        assert!(fulcrum.child.is_running(), "it waits for the request");

        release.send(()).expect("the upstream waits");
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "done"));
        assert!(response.head.lists("connection", "close"), "{:?}", response.head);
        client.assert_closed();
        assert_eq!(fulcrum.child.exit_code(), Some(0));
        assert!(fulcrum.records(2).iter().all(|record| record["reason"] == "ok"));
    }
}

#[test]
fn pre_stop_serves_while_readiness_fails() {
    let upstream = Upstream::named("app");
    let mut fulcrum = Setup::new(&upstream).top("shutdown: { pre_stop: 700ms, deadline: 10s }").start();
    let mut kept = fulcrum.connect();
    kept.get("/");
    assert_eq!(fulcrum.ask_admin("/readyz").status, 200);
    let start = Instant::now();
    fulcrum.child.signal(Signal::TERM);
    eventually("readiness fails", || (fulcrum.ask_admin("/readyz").status == 503).then_some(()));
    let mut served = 0;
    while start.elapsed() < Duration::from_millis(400) {
        assert_eq!(fulcrum.get("/new").status, 200, "new connections are served during pre_stop");
        let response = kept.get("/kept");
        assert!(!response.head.lists("connection", "close"), "nothing is closed before its time");
        served += 1;
    }
    assert!(served > 0);
    kept.assert_closed();
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(700), "{waited:?}");
    assert_eq!(fulcrum.child.exit_code(), Some(0));
}

#[test]
fn idle_connections_are_closed_at_once() {
    let (upstream, release) = upstream_on_command();
    let mut fulcrum = Setup::new(&upstream).top("workers: 2").start();
    let mut idle: Vec<Client> = (0..10)
        .map(|_| {
            release.send(()).expect("the upstream listens");
            let mut client = fulcrum.connect();
            client.get("/");
            client
        })
        .collect();
    let mut busy = busy_client(&fulcrum, &upstream);
    let start = Instant::now();
    fulcrum.child.signal(Signal::TERM);
    idle.iter_mut().for_each(Client::assert_closed);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(fulcrum.status()["connections"], 1, "the busy one stays");
    release.send(()).expect("the upstream waits");
    assert_eq!(busy.response().text(), "done");
    assert_eq!(fulcrum.child.exit_code(), Some(0));
}

/// Browsers connect ahead of need: such a connection has nothing to lose, and must not hold the end up.
#[test]
fn a_connection_without_a_request_does_not_hold_the_end_up() {
    let upstream = Upstream::named("app");
    let mut fulcrum = Setup::new(&upstream).start();
    let mut silent = fulcrum.connect();
    fulcrum.await_metric("fulcrum_http_connections", &[], 1.0);
    let start = Instant::now();
    fulcrum.child.signal(Signal::TERM);
    assert_eq!(fulcrum.child.exit_code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    silent.assert_closed();
}

/// What the kernel has accepted for us before we stopped is served, not reset.
#[test]
fn connections_of_the_last_moment_are_served() {
    let upstream = Upstream::named("app");
    let mut fulcrum = Setup::new(&upstream).top("workers: 2").start();
    let mut clients: Vec<Client> = (0..40)
        .map(|_| {
            let mut client = fulcrum.connect();
            client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
            client
        })
        .collect();
    fulcrum.child.signal(Signal::TERM);
    for client in &mut clients {
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "app"));
        client.assert_closed();
    }
    assert_eq!(fulcrum.child.exit_code(), Some(0));
    assert_eq!(fulcrum.log_lines().len(), 40);
}

#[test]
fn the_deadline_cuts_what_is_left() {
    let (upstream, _release) = upstream_on_command();
    let mut fulcrum = Setup::new(&upstream).top("shutdown: { deadline: 300ms }").start();
    let mut client = busy_client(&fulcrum, &upstream);
    let start = Instant::now();
    fulcrum.child.signal(Signal::TERM);
    let (rest, failure) = client.wire.until_end();
    assert!(rest.is_empty() && failure != Failure::Silent, "{failure:?}");
    assert_eq!(fulcrum.child.exit_code(), Some(0));
    let waited = start.elapsed();
    assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    assert!(fulcrum.child.stderr().contains("deadline has passed"), "{}", fulcrum.child.stderr());
}

#[test]
fn a_second_signal_ends_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
        let (upstream, _release) = upstream_on_command();
        let mut fulcrum = Setup::new(&upstream).top("shutdown: { pre_stop: 1m, deadline: 1m }").start();
        let _client = busy_client(&fulcrum, &upstream);
        fulcrum.child.signal(first);
        eventually("readiness fails", || (fulcrum.ask_admin("/readyz").status == 503).then_some(()));
        let start = Instant::now();
        fulcrum.child.signal(second);
        assert_eq!(fulcrum.child.exit_code(), Some(1));
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}

#[test]
fn other_signals_do_not_hurry_a_drain() {
    let (upstream, release) = upstream_on_command();
    let mut fulcrum = Setup::new(&upstream).start();
    let mut client = busy_client(&fulcrum, &upstream);
    fulcrum.child.signal(Signal::TERM);
    await_refusal(fulcrum.address());
    fulcrum.child.signal(Signal::HUP);
    eventually("a warning", || fulcrum.child.stderr().contains("SIGHUP changes nothing").then_some(()));
    fulcrum.child.signal(Signal::USR1);
    eventually("the log is opened", || fulcrum.child.stderr().contains("opened anew").then_some(()));
    release.send(()).expect("the upstream waits");
    assert_eq!(client.response().text(), "done");
    assert_eq!(fulcrum.child.exit_code(), Some(0));
}

#[test]
fn an_upgraded_connection_is_cut_at_the_deadline() {
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let upstream = Upstream::new(move |mut conversation| {
        conversation.head();
        conversation.send(upgrade);
        conversation.until_closed();
    });
    let mut fulcrum = Setup::new(&upstream).top("shutdown: { deadline: 500ms }").start();
    let mut client = fulcrum.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(client.try_response("GET").expect("an answer").status, 101);
    fulcrum.child.signal(Signal::TERM);
    assert_eq!(fulcrum.child.exit_code(), Some(0));
    client.assert_closed();
    assert_eq!(upstream.open_connections(), 0);
}

/// A configuration that listens at a unix socket in the daemon's directory.
fn unix_yaml(upstream: &Upstream) -> String {
    Setup::new(upstream).yaml().replace("\"127.0.0.1:0\"", "\"unix:@DIR@/web.sock\"")
}

#[test]
fn socket_files_are_removed_at_the_end() {
    let upstream = Upstream::named("app");
    let mut fulcrum = Fulcrum::start(&unix_yaml(&upstream));
    assert_eq!(fulcrum.get("/").text(), "app");
    let files = ["web.sock", "admin.sock"].map(|name| fulcrum.directory().join(name));
    files.iter().for_each(|file| assert!(file.exists(), "{}", file.display()));
    assert_eq!(fulcrum.stop(), Some(0));
    files.iter().for_each(|file| assert!(!file.exists(), "{} stays behind", file.display()));
}

/// A restart while the old daemon still drains: its end must not take the new one's socket away.
#[test]
fn the_socket_of_the_next_daemon_is_left_alone() {
    let (upstream, release) = upstream_on_command();
    let mut old = Fulcrum::start(&unix_yaml(&upstream));
    let mut client = busy_client(&old, &upstream);
    old.child.signal(Signal::TERM);
    await_refusal(old.address());

    let next_upstream = Upstream::named("next");
    let address = old.address().to_owned();
    let next = Fulcrum::start(&Setup::new(&next_upstream).yaml().replace("127.0.0.1:0", &address));
    assert_eq!(next.get("/").text(), "next");
    release.send(()).expect("the upstream waits");
    assert_eq!(client.response().text(), "done");
    assert_eq!(old.child.exit_code(), Some(0));
    hold("the next daemon can be reached", Duration::from_millis(200), || Socket::connect(&address).is_ok());
    assert_eq!(next.get("/").text(), "next");
}

#[test]
fn a_killed_daemon_leaves_sockets_that_the_next_one_replaces() {
    let upstream = Upstream::named("app");
    let directory = tempfile::tempdir().expect("room for a directory");
    let names = ["web.sock", "admin.sock"];
    for name in names {
        // What a process leaves that had no time to clean up.
        drop(UnixListener::bind(directory.path().join(name)).expect("a free path"));
    }
    let mut fulcrum = Fulcrum::start_in(directory, &unix_yaml(&upstream));
    assert_eq!(fulcrum.get("/").text(), "app");
    fulcrum.child.signal(Signal::KILL);
    assert_eq!(fulcrum.child.exit_code(), None, "killed");
    names.iter().for_each(|name| assert!(fulcrum.directory().join(name).exists(), "{name} is stale now"));
    fulcrum.restart();
    assert_eq!(fulcrum.get("/").text(), "app");
    assert_eq!(fulcrum.ask_admin("/readyz").status, 200);
    assert_eq!(fulcrum.stop(), Some(0));
}
