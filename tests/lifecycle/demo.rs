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
    command
        .arg("demo")
        .args(arguments)
        .env("FULCRUM_DEMO_WEB", any)
        .env("FULCRUM_DEMO_ADMIN", any)
        .env("FULCRUM_DEMO_REGISTRY", any)
        .env("FULCRUM_DEMO_DNS", any)
        .env("FULCRUM_DEMO_NAMES", any);
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

/// The daemon, three backends, and two that register themselves.
#[track_caller]
fn cast_of(demo: &Child) -> Vec<Process> {
    let children = children_of(demo.pid());
    assert_eq!(children.len(), 6, "{children:?}");
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
    for number in 1..=10 {
        assert!(text.contains(&format!("\n{number}. ")), "no {number}. thing to try in\n{text}");
    }
    let cast = cast_of(&demo);
    read_to(&demo, "checked at the end");
    assert_eq!(demo.exit_code(), Some(0), "{}", demo.stderr());
    assert!(!cast.iter().any(Process::is_running), "it has waited for all of them");
    let stderr = demo.stderr();
    assert!(stderr.lines().all(|line| line.contains("fulcrum::reload")), "only the bad file: {stderr}");
}

/// The demo checks itself with a client of its own: this is what a visitor does.
#[test]
fn its_commands_can_be_pasted_into_a_shell() {
    let (mut demo, _directory) = demo(&[]);
    let text = read_to(&demo, "Ctrl-C ends all of it");
    let commands =
        text.lines().filter_map(|line| line.strip_prefix("   ")).filter(|line| !line.starts_with(' '));
    let commands: Vec<&str> = commands.collect();
    let crew = commands.iter().find(|command| command.contains("/crew/'")).expect("it is shown");
    let shown = commands.iter().map(|command| {
        if command.contains("ruby.pid") {
            // The tour waits here, too: whoever kills both has none.
            eventually("teal is back", || paste(crew).contains("x-backend: teal").then_some(()));
        }
        (*command, paste(command))
    });
    let shown: Vec<(&str, String)> = shown.collect();
    let of = |part: &str| -> Vec<&str> {
        shown.iter().filter(|(command, _)| command.contains(part)).map(|(_, shown)| shown.as_str()).collect()
    };
    // Behind it is what some versions of curl say of their progress.
    for victim in ["green.pid", "teal.pid", "ruby.pid"] {
        let answers = of(victim).concat().lines().next().map(|line| line.trim().to_owned());
        assert_eq!(answers.as_deref(), Some("1000 200"), "{victim}: no request has failed: {shown:?}");
    }
    let refused = of("exit code").concat();
    assert!(refused.contains("did you mean `balance`?") && refused.contains("exit code 1"), "{refused}");
    assert_eq!(of("+subnet=198.51.100.0/24"), ["192.0.2.10\n"], "Europe");
    assert_eq!(of("+subnet=203.0.113.0/24"), ["192.0.2.20\n"], "America");
    assert_eq!(of("colors.demo.example").concat().lines().count(), 3, "{shown:?}");
    let crew = of("crew.svc.demo.example").concat();
    assert!(crew.contains(" teal.crew.svc.demo.example."), "{crew}");
    let reloaded = of("reload --wait");
    assert_eq!(reloaded.len(), 2, "{shown:?}");
    assert!(reloaded.iter().all(|shown| shown.starts_with("generation ")), "{reloaded:?}");
    let told = read_to(&demo, "ruby has ended (signal: 9 (SIGKILL))");
    for end in ["green has ended (signal: 9 (SIGKILL))", "teal has ended (exit status: 0)"] {
        assert!(told.contains(end), "no {end} in {told}");
    }
    eventually("all are back", || (children_of(demo.pid()).len() == 6).then_some(()));
    demo.signal(Signal::INT);
    assert_eq!(demo.exit_code(), Some(0), "{}", demo.stderr());
}

/// What a command of the shell shows.
fn paste(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
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
