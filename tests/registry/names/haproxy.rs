//! HAProxy with `server-template` and SRV: a join, a clean leave and a kill, while clients go on.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use super::NAMES;
use crate::harness::{Child, Client, Fulcrum, eventually};

/// HAProxy, ended with its test.
struct Haproxy {
    address: SocketAddr,
    _child: Child,
    _directory: TempDir,
}

impl Haproxy {
    /// In front of five servers of the service `web`.
    #[track_caller]
    fn start(names: &str) -> Self {
        let directory = tempfile::tempdir().expect("room for a directory");
        let address = TcpListener::bind("127.62.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port");
        let file = directory.path().join("haproxy.cfg");
        let config = include_str!("haproxy.cfg").replace("@NAMES@", names);
        fs::write(&file, config.replace("@LISTEN@", &address.to_string())).expect("room for a file");
        // Daemons live in sbin, which is not in everybody's PATH.
        let program = Path::new("/usr/sbin/haproxy");
        let mut command = Command::new(if program.exists() { program } else { Path::new("haproxy") });
        command.arg("-db").arg("-f").arg(&file);
        let child = Child::spawn(command, directory.path().join("stderr"));
        eventually("HAProxy accepts connections", || TcpStream::connect(address).ok());
        Haproxy { address, _child: child, _directory: directory }
    }

    /// Who answers 30 requests; what is not answered by a backend counts under its status.
    fn shares(&self) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for _ in 0..30 {
            let response = Client::connect(&self.address.to_string()).get("/");
            let name = response.field("x-backend").map_or(response.status.to_string(), str::to_owned);
            *shares.entry(name).or_default() += 1;
        }
        shares
    }

    /// Waits until these answer, each as often.
    #[track_caller]
    fn await_backends(&self, names: &[&str]) {
        let expected: BTreeMap<String, usize> =
            names.iter().map(|name| ((*name).to_owned(), 30 / names.len())).collect();
        eventually(&format!("{names:?} answer through HAProxy"), || {
            (self.shares() == expected).then_some(())
        });
    }
}

/// A process that registers itself as `web/NAME`, beats, and leaves when it is asked to end.
fn backend(fulcrum: &Fulcrum, name: &str) -> Child {
    let (instance, registry) = (format!("web/{name}"), format!("http://{}", fulcrum.registry()));
    let arguments = [
        "demo-backend",
        "--bind",
        "127.0.0.1:0",
        "--name",
        name,
        "--register",
        &instance,
        "--registry",
        &registry,
    ];
    let child = Child::start(&arguments, fulcrum.directory().join(name));
    child.line();
    child
}

#[test]
fn haproxy_follows_who_joins_leaves_and_dies() {
    let health = ", health: { http: /healthz, interval: 200ms, rise: 1, fall: 2 }";
    let fulcrum = Fulcrum::start(&crate::registry::yaml(NAMES, health));
    let _first = backend(&fulcrum, "first");
    let mut second = backend(&fulcrum, "second");
    let haproxy = Haproxy::start(fulcrum.names());
    haproxy.await_backends(&["first", "second"]);
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        // Meanwhile a client goes on, and nothing that it asks for fails.
        let client = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                let response = Client::connect(&haproxy.address.to_string()).get("/");
                assert_eq!(response.status, 200, "{}", response.text());
                answered.fetch_add(1, Ordering::AcqRel);
            }
        });
        let third = backend(&fulcrum, "third");
        haproxy.await_backends(&["first", "second", "third"]);
        second.signal(Signal::TERM);
        haproxy.await_backends(&["first", "third"]);
        assert_eq!(second.exit_code(), Some(0), "it has left and finished: {}", second.stderr());
        eventually("its lease is gone, too", || fulcrum.instance("web/second").is_none().then_some(()));
        third.signal(Signal::KILL);
        haproxy.await_backends(&["first"]);
        // Not only HAProxy's own check has seen it.
        let target = "first.web.svc.example.com.";
        eventually("its name is out", || {
            let found = super::records(&fulcrum.ask_name(&["web.svc.example.com", "SRV"]));
            (found.len() == 1 && found[0].ends_with(target)).then_some(())
        });
        let _fourth = backend(&fulcrum, "fourth");
        haproxy.await_backends(&["first", "fourth"]);
        is_over.store(true, Ordering::Release);
        client.join().expect("nothing has failed");
    });
    assert!(answered.load(Ordering::Acquire) > 50, "{answered:?}");
}
