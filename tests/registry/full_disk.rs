//! A file system without room: the registry takes nothing new, says so, and all else goes on.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use super::await_shares;
use crate::harness::{Client, Fulcrum, Response, Upstream, eventually, path_of, registration};

/// A small file system, which is there as long as this is.
struct Room {
    holder: Child,
    path: PathBuf,
}

impl Room {
    /// So many KiB, at a place that nobody else sees anything of.
    #[track_caller]
    fn new(kibibytes: u32, place: &Path) -> Self {
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let mount = format!("mount -t tmpfs -o size={kibibytes}k none \"$0\" && echo mounted && exec cat");
        command.args(["--mount", "sh", "-c", &mount]).arg(place);
        let mut holder =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("util-linux is there");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        assert_eq!(line, "mounted\n", "a file system can be mounted in a namespace of one's own");
        // Seen through the process that holds it.
        let path = PathBuf::from(format!("/proc/{}/root{}", holder.id(), place.display()));
        Room { holder, path }
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    /// Takes all that is left.
    #[track_caller]
    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a name needs no room");
        let error = (0..100_000).find_map(|_| file.write_all(&[7; 512]).err());
        let error = error.expect("it is not that large");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    }

    #[track_caller]
    fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it was made");
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Registers an instance that takes a page of its own.
#[track_caller]
fn register(fulcrum: &Fulcrum, id: &str) -> Response {
    let body = registration("127.77.0.1:1", json!({ "meta": { "text": "x".repeat(1000) }, "ttl": "1h" }));
    fulcrum.ask_registry("PUT", &path_of(&format!("other/{id}")), &body)
}

#[track_caller]
fn registered(fulcrum: &Fulcrum) -> BTreeSet<String> {
    let list = fulcrum.ask_registry("GET", "/v1/services/other/instances", "");
    assert_eq!(list.status, 200, "{}", list.text());
    let list = list.json();
    let ids = list["instances"].as_array().expect("a list").iter();
    ids.map(|instance| instance["id"].as_str().expect("a text").to_owned()).collect()
}

/// Registers one after the other until there is no room; who was acknowledged, and what the first was told that was not.
#[track_caller]
fn register_until_refused(fulcrum: &Fulcrum, acknowledged: &mut BTreeSet<String>) -> Response {
    for number in 0..5000 {
        let id = format!("i{number}");
        let response = register(fulcrum, &id);
        if response.status != 201 {
            return response;
        }
        acknowledged.insert(id);
    }
    panic!("there is always room");
}

#[test]
fn nothing_but_changes_needs_room() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let room = Room::new(6 << 10, directory.path());
    let yaml = format!(
        "state_dir: \"{}\"\nregistry: {{ bind: \"127.0.0.1:0\" }}\nlisteners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\n\
         routes: [{{ to: app }}]\nservices: {{ app: {{ discovery: {{ registry: web }} }} }}\n",
        room.path.display()
    );
    let upstream = Upstream::named("a");
    let mut fulcrum = Fulcrum::start(&yaml);
    fulcrum.register("web/a", upstream.address(), json!({}));
    await_shares(&fulcrum, [("a", 1)]);
    let mut watcher = Client::connect(fulcrum.registry());
    watcher.send("GET /v1/watch?service=web HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(watcher.wire.head().expect("a head").word(1), "200");

    let mut acknowledged = BTreeSet::new();
    room.fill();
    let refused = register_until_refused(&fulcrum, &mut acknowledged);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.field("content-type"), Some("application/problem+json"));
    assert!(
        refused.field("retry-after").is_some_and(|after| after.parse::<u32>().is_ok_and(|after| after > 0))
    );
    let problem = refused.json();
    assert_eq!(
        (&problem["status"], &problem["title"]),
        (&503.into(), &"Service Unavailable".into()),
        "{problem}"
    );

    for _ in 0..20 {
        assert_eq!((fulcrum.get("/").status, fulcrum.get("/").text()), (200, "a".to_owned()));
        assert_eq!(fulcrum.beat("web/a", &1.into()).status, 200);
        assert_eq!(registered(&fulcrum), acknowledged);
        assert_eq!(register(&fulcrum, "late").status, 503);
        let gone = fulcrum.ask_registry("DELETE", &path_of("web/a"), "");
        assert_eq!(gone.status, 503, "what cannot be kept is not done");
    }
    assert_eq!(fulcrum.metric("fulcrum_registry_writable", &[]), 0.0);
    assert_eq!(fulcrum.status()["registry"]["writable"], false);
    assert!(fulcrum.child.stderr().contains("the registry takes no changes for now"), "it is told");

    room.make_room();
    let again =
        eventually("there is room again", || Some(register(&fulcrum, "late")).filter(|r| r.status != 503));
    assert_eq!(again.status, 201, "{}", again.text());
    acknowledged.insert("late".to_owned());
    assert_eq!(fulcrum.metric("fulcrum_registry_writable", &[]), 1.0);
    fulcrum.register("web/b", "127.77.0.1:9", json!({}));
    let mut events = String::new();
    while !events.contains("\"id\":\"b\"") {
        events += &String::from_utf8_lossy(&watcher.wire.some().expect("it goes on watching"));
    }
    assert!(!events.contains("event: delete"), "{events}");

    fulcrum.child.signal(Signal::KILL);
    fulcrum.child.end();
    fulcrum.restart();
    assert_eq!(registered(&fulcrum), acknowledged, "what was acknowledged, and nothing else");
    assert!(fulcrum.instance("web/a").is_some() && fulcrum.instance("web/b").is_some());
}
