//! `fulcrum demo`: shows what it promises and leaves nothing behind, however it ends.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::processes::{Process, children_of};
use crate::harness::{Child, Client, eventually};

fn demo(arguments: &[&str]) -> (Child, TempDir) {
    let directory = tempfile::tempdir().expect("room for a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulcrum"));
    // The usual ports may be somebody's, or another demo's a moment later.
    let any = "127.0.0.1:0";
    command.arg("demo").args(arguments).env("FULCRUM_DEMO_WEB", any).env("FULCRUM_DEMO_ADMIN", any);
    (Child::spawn(command, directory.path().join("stderr")), directory)
}

/// Reads what it prints up to the line that holds `part`.
#[track_caller]
fn read_to(demo: &Child, part: &str) -> String {
    let mut text = String::new();
    loop {
        let line = demo.line();
        text += &line;
        text.push('\n');
        if line.contains(part) {
            return text;
        }
    }
}

/// The daemon and three backends.
#[track_caller]
fn cast_of(demo: &Child) -> Vec<Process> {
    let children = children_of(demo.pid());
    assert_eq!(children.len(), 4, "{children:?}");
    children
}

#[track_caller]
fn await_end(cast: &[Process]) {
    eventually("no child is left", || (!cast.iter().any(Process::is_running)).then_some(()));
}

/// What `make demo FOR=…` runs.
#[test]
fn the_demo_checks_itself_and_leaves_no_children() {
    let (mut demo, _directory) = demo(&["--for", "5s"]);
    let text = read_to(&demo, "checked at the start");
    for number in 1..=5 {
        assert!(text.contains(&format!("\n{number}. ")), "no {number}. thing to try in\n{text}");
    }
    let cast = cast_of(&demo);
    read_to(&demo, "checked at the end");
    assert_eq!(demo.exit_code(), Some(0), "{}", demo.stderr());
    assert!(!cast.iter().any(Process::is_running), "it has waited for all of them");
    assert_eq!(demo.stderr(), "");
}

#[test]
fn ctrl_c_ends_all_of_it() {
    let (mut demo, _directory) = demo(&[]);
    let text = read_to(&demo, "Ctrl-C ends all of it");
    let cast = cast_of(&demo);
    let url = text.split("http://").nth(1).expect("a URL is printed");
    let address: String = url.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    let response = Client::connect(&address).get("/hello");
    let echo: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!((response.status, &echo["target"]), (200, &"/hello".into()));
    assert!(["blue", "green", "amber"].contains(&response.field("x-backend").expect("a name")));
    demo.signal(Signal::INT);
    assert_eq!(demo.exit_code(), Some(0), "{}", demo.stderr());
    assert!(!cast.iter().any(Process::is_running), "it has waited for all of them");
}

#[test]
fn a_killed_demo_takes_its_children_with_it() {
    let (mut demo, _directory) = demo(&[]);
    read_to(&demo, "Ctrl-C ends all of it");
    let cast = cast_of(&demo);
    demo.signal(Signal::KILL);
    assert_eq!(demo.exit_code(), None);
    await_end(&cast);
}

#[test]
fn a_demo_whose_daemon_dies_says_so() {
    let (mut demo, _directory) = demo(&[]);
    read_to(&demo, "Ctrl-C ends all of it");
    let cast = cast_of(&demo);
    let daemon = cast.iter().find(|child| child.arguments().contains(&"run".to_owned())).expect("a daemon");
    let pid = i32::try_from(daemon.pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::KILL).expect("a child of our child");
    assert_eq!(demo.exit_code(), Some(1));
    assert!(demo.stderr().contains("has ended by itself"), "{}", demo.stderr());
    await_end(&cast);
}
