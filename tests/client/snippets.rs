//! The programs of docs/clients.md, run as they are written there.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{free_address, registry_at};
use crate::harness::{Child, Fulcrum, eventually};

/// The first block of this language.
#[track_caller]
fn block(language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/clients.md");
    let page = fs::read_to_string(path).expect("a page can be read");
    let (_, rest) = page.split_once(&format!("\n```{language}\n")).expect("the page has such a block");
    rest.split("\n```").next().expect("it has an end").to_owned() + "\n"
}

/// Runs a program against a registry.
#[track_caller]
fn run(interpreter: &str, program: &Path, address: &str, stderr: &str) -> Child {
    let mut command = Command::new("env");
    command.arg(format!("FULCRUM_REGISTRY=http://{address}")).arg(interpreter).arg(program);
    Child::spawn(command, program.with_extension(stderr))
}

#[track_caller]
fn epoch(fulcrum: &Fulcrum) -> Option<u64> {
    fulcrum.instance("web/a1").and_then(|instance| instance["epoch"].as_u64())
}

#[track_caller]
fn await_epoch(fulcrum: &Fulcrum, expected: u64) {
    eventually(&format!("epoch {expected}"), || (epoch(fulcrum) == Some(expected)).then_some(()));
}

/// Registers, beats longer than a lease, comes back when it was forgotten and when the registry was away, leaves with a
/// drain; and ends without a word when it was replaced.
#[track_caller]
fn check(language: &str, interpreter: &str) {
    let address = free_address();
    let mut fulcrum = registry_at(&address, "");
    let program = fulcrum.directory().join(format!("program.{language}"));
    fs::write(&program, block(language)).expect("room for a file");
    let mut first = run(interpreter, &program, &address, "first");
    await_epoch(&fulcrum, 1);
    let since = Instant::now();
    eventually("the lease would be over", || (since.elapsed() > Duration::from_secs(4)).then_some(()));
    let known = fulcrum.instance("web/a1").expect("heartbeats keep it");
    assert_eq!((&known["health"], &known["epoch"], &known["port"]), (&json!("ok"), &json!(1), &json!(8080)));

    fulcrum.leave("web/a1", "");
    await_epoch(&fulcrum, 2);

    assert_eq!(fulcrum.stop(), Some(0));
    fulcrum.restart();
    let remaining = |fulcrum: &Fulcrum| {
        fulcrum.instance("web/a1").and_then(|instance| instance["lease"]["remaining_ms"].as_u64())
    };
    let mut last = u64::MAX;
    eventually("it beats again", || {
        let before = std::mem::replace(&mut last, remaining(&fulcrum)?);
        (last > before).then_some(())
    });

    let mut second = run(interpreter, &program, &address, "second");
    assert_eq!(first.exit_code(), Some(1), "{}", first.stderr());
    assert!(first.stderr().contains("replaced by another process"), "{}", first.stderr());
    await_epoch(&fulcrum, 3);

    second.signal(Signal::TERM);
    assert_eq!(second.exit_code(), Some(0), "{}", second.stderr());
    let known = fulcrum.instance("web/a1").expect("it drains");
    assert_eq!((&known["state"], &known["epoch"]), (&json!("draining"), &json!(3)), "{known}");
}

#[test]
fn python() {
    check("python", "python3");
}

#[test]
fn node() {
    check("js", "node");
}

#[test]
fn shell() {
    check("sh", "sh");
}
