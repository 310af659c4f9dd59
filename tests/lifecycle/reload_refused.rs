//! A configuration that cannot be used changes nothing, and everybody is told.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use super::reload::saying;
use crate::harness::{Client, Fulcrum, eventually};

/// Still what it was, in every respect.
#[track_caller]
fn check_unchanged(fulcrum: &Fulcrum, word: &str) {
    assert_eq!(fulcrum.generation(), 1);
    assert_eq!(fulcrum.get("/").text(), word);
    assert_eq!(fulcrum.metric("fulcrum_config_generation", &[]), 1.0);
    assert_eq!(fulcrum.ask_admin("/readyz").status, 200);
}

#[test]
fn every_mistake_is_told_everywhere() {
    let fulcrum = Fulcrum::start(&saying("one"));
    assert_eq!(fulcrum.metric("fulcrum_config_last_reload_successful", &[]), 1.0);
    assert!(fulcrum.status()["config"]["last_error"].is_null());
    let bad =
        saying("two").replace("status: 200", "status: 99").replace("routes:", "lissteners: {}\nroutes:");
    fulcrum.move_config(&bad);
    fulcrum.await_metric("fulcrum_config_last_reload_successful", &[], 0.0);

    let output = fulcrum.reload_with(&[]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    let place = format!("--> {}:", fulcrum.file().display());
    assert_eq!(output.stderr.matches(&place).count(), 2, "both with their place: {}", output.stderr);
    for part in ["lissteners", "listeners", "99", "nothing has changed"] {
        assert!(output.stderr.contains(part), "no {part} in {}", output.stderr);
    }
    let output = fulcrum.reload_with(&["--format", "json"]);
    assert_eq!(output.code, Some(1));
    let problem: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let errors = problem["errors"].as_array().expect("a list");
    assert_eq!((&problem["status"], errors.len()), (&422.into(), 2), "{problem}");
    assert!(errors.iter().all(|error| error["line"].is_u64()), "{problem}");

    let last_error = &fulcrum.status()["config"]["last_error"];
    assert_eq!(last_error["errors"], problem["errors"], "{last_error}");
    let text = crate::harness::fulcrum(["status", "--admin", &fulcrum.admin()]).stdout;
    assert!(text.contains("was refused") && text.contains("lissteners"), "{text}");
    let stderr = fulcrum.child.stderr();
    // By the file system once, by the two commands once each.
    let told = stderr.lines().filter(|line| line.contains("lissteners") && line.contains("ERROR")).count();
    assert_eq!(told, 3, "{stderr}");
    assert_eq!(fulcrum.metric("fulcrum_config_reloads_total", &[("result", "refused")]), 3.0);
    check_unchanged(&fulcrum, "one");

    let before = fulcrum.metric("fulcrum_config_last_reload_timestamp_seconds", &[]);
    assert!(fulcrum.change(&saying("two")) >= 2);
    assert!(fulcrum.status()["config"]["last_error"].is_null());
    let metrics = fulcrum.metrics();
    assert_eq!(metrics.value("fulcrum_config_last_reload_successful", &[]), 1.0);
    assert!(metrics.value("fulcrum_config_last_reload_timestamp_seconds", &[]) > before);
}

#[test]
fn a_taken_port_refuses_the_whole() {
    let fulcrum = Fulcrum::start(&saying("one"));
    let owner = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = owner.local_addr().expect("bound").to_string();
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let also_taken = other.local_addr().expect("bound").to_string();
    let listeners = format!(
        "  free: {{ bind: \"127.0.0.2:0\" }}\n  api: {{ bind: \"{taken}\" }}\n\
         admin: {{ socket: \"@DIR@/admin.sock\", bind: \"{also_taken}\" }}\nroutes:"
    );
    fulcrum.move_config(&saying("two").replace("routes:", &listeners));
    let output = fulcrum.reload_with(&[]);
    assert_eq!(output.code, Some(1));
    for part in ["`api`", &taken, &also_taken] {
        assert!(output.stderr.contains(part), "no {part} in {}", output.stderr);
    }
    check_unchanged(&fulcrum, "one");
    let names: Vec<_> = fulcrum.status()["listeners"].as_array().expect("a list").clone();
    assert_eq!(names.len(), 1, "{names:?}");

    drop((owner, other));
    assert_eq!(fulcrum.reload_with(&[]).code, Some(0), "the same file, once the ports are free");
    eventually("the new listener serves", || {
        (Client::connect(&taken).get("/").text() == "two").then_some(())
    });
}

#[test]
fn the_number_of_workers_stays() {
    let fulcrum = Fulcrum::start(&saying("one"));
    fulcrum.move_config(&format!("workers: 2\n{}", saying("two")));
    let output = fulcrum.reload_with(&["--wait"]);
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("workers") && output.stderr.contains("restart"), "{}", output.stderr);
    check_unchanged(&fulcrum, "one");
}

#[test]
fn a_daemon_that_is_not_there_is_told_from_one_that_refuses() {
    let output = crate::harness::fulcrum(["reload", "--admin", "unix:/nowhere/admin.sock"]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(69), ""));
    assert!(output.stderr.contains("/nowhere/admin.sock"), "{}", output.stderr);
}

/// To open a pipe waits for a writer, for ever perhaps.
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let fulcrum = Fulcrum::start(&saying("one"));
    let pipe = fulcrum.directory().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("coreutils").success());
    #[track_caller]
    fn check(fulcrum: &Fulcrum) {
        let output = fulcrum.reload_with(&[]);
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        for part in ["cannot read", "it is not a regular file", "nothing has changed"] {
            assert!(output.stderr.contains(part), "no {part} in {}", output.stderr);
        }
        check_unchanged(fulcrum, "one");
    }
    let registry = "registry: { bind: \"127.0.0.1:0\", store: { embedded: \"@DIR@/r.redb\" }, \
                    tokens: [{ name: a, secret: \"file:@DIR@/pipe\", grants: [read] }] }\nroutes:";
    fulcrum.move_config(&saying("two").replace("routes:", registry));
    check(&fulcrum);
    fulcrum.move_config(&saying("two").replace("routes:", "include: pipe\nroutes:"));
    check(&fulcrum);
    fs::rename(&pipe, fulcrum.file()).expect("a rename in one folder");
    check(&fulcrum);
    assert!(fulcrum.change(&saying("two")) >= 2);
    assert_eq!(fulcrum.get("/").text(), "two");
}
