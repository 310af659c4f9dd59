//! Calls that a fuzzer makes of the API's own document: schemathesis, a public tool, whatever it comes up with.
//!
//! Whether a call that fits the document is accepted is not asked: what bytes a text may have, that an end lies in the
//! future, and that `wait` needs `since` no schema can say.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::yaml;
use crate::harness::{Fulcrum, path_of, registration};

const OPS: &str = "the-secret-of-the-operators";
const READER: &str = "the-secret-of-the-readers";

/// Everything is allowed to one token, and only reading to the other.
fn guarded() -> Fulcrum {
    let tokens = format!(
        ", register_rate: none, allow_addresses: [registrant, \"10.0.0.0/8\"], tokens: [\
         {{ name: ops, secret: \"{OPS}\", grants: [admin, \"register:*\"] }}, \
         {{ name: reader, secret: \"{READER}\", grants: [read] }}]"
    );
    Fulcrum::start(&yaml(&tokens, ""))
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Has the tool make calls; what it says where it finds anything wrong.
#[track_caller]
fn fuzz(fulcrum: &Fulcrum, token: &str, checks: &str, more: &[&str]) {
    let tool = top().join("target/schemathesis/bin/schemathesis");
    assert!(tool.exists(), "{} is missing: `make schemathesis` installs it", tool.display());
    let told = fulcrum.directory().join("told");
    let output = File::create(&told).expect("room for a file");
    let mut command = Command::new(tool);
    command
        .current_dir(fulcrum.directory())
        .args(["run", &format!("http://{}/v1/openapi.json", fulcrum.registry())])
        // The watch has no end.
        .args(["--exclude-path", "/v1/watch", "--checks", checks, "--seed", "1"])
        .args([
            "--continue-on-failure",
            "--no-color",
            "--request-timeout",
            "30",
            "--generation-database",
            "none",
        ])
        .args(more)
        .env("COLUMNS", "200")
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a descriptor"))
        .stderr(output);
    if !token.is_empty() {
        command.arg("--header").arg(format!("Authorization: Bearer {token}"));
    }
    let status = ended(command);
    let said = fs::read_to_string(&told).unwrap_or_default();
    assert_eq!(status, Some(0), "{said}");
    let calls = said.lines().find_map(|line| line.trim().split_once(" generated, ")).map(|(count, _)| count);
    let calls = calls.and_then(|count| count.parse::<u32>().ok());
    assert!(calls.is_some_and(|calls| calls > 100), "it has made calls: {said}");
}

/// Its exit code.
#[track_caller]
fn ended(mut command: Command) -> Option<i32> {
    let mut child = command.spawn().expect("it is installed");
    let began = Instant::now();
    while began.elapsed() < TOOL_WITHIN {
        if let Some(status) = child.try_wait().expect("our child") {
            return status.code();
        }
        thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("{command:?} does not end");
}

/// Everything that a change would change, but for the leases.
#[track_caller]
fn contents(fulcrum: &Fulcrum) -> (String, String) {
    let ask = |path: &str| fulcrum.ask_registry_as(OPS, "GET", path, "").text();
    (ask("/v1/services"), ask("/v1/services/web/instances"))
}

#[track_caller]
fn populate(fulcrum: &Fulcrum) {
    for id in ["web/0", "web/a1"] {
        let body = registration("127.77.0.1:1", json!({ "ttl": "24h" }));
        assert_eq!(fulcrum.ask_registry_as(OPS, "PUT", &path_of(id), &body).status, 201);
    }
}

/// It serves as before, and nothing it has answered was a failure of its own.
#[track_caller]
fn assert_well(fulcrum: &Fulcrum) {
    assert_eq!(fulcrum.metric("fulcrum_registry_requests_total", &[("code", "5xx")]), 0.0);
    assert!(fulcrum.metric("fulcrum_registry_requests_total", &[("code", "4xx")]) > 0.0);
    assert_eq!(fulcrum.ask_registry("GET", "/healthz", "").status, 200);
    assert!(!fulcrum.child.stderr().contains(" panic: "), "{}", fulcrum.child.stderr());
}

fn whoever_may_do_everything(examples: &str) {
    let fulcrum = guarded();
    populate(&fulcrum);
    let checks =
        format!("{FORM},negative_data_rejection,use_after_free,ensure_resource_availability,ignored_auth");
    fuzz(&fulcrum, OPS, &checks, &["--max-examples", examples]);
    assert_well(&fulcrum);
    let body = registration("127.77.0.1:1", json!({}));
    assert_eq!(fulcrum.ask_registry_as(OPS, "PUT", &path_of("web/new"), &body).status, 201);
}

#[test]
fn a_fuzzer_that_may_do_everything_finds_what_the_document_says() {
    whoever_may_do_everything("12");
}

/// The long form.
#[test]
#[ignore = "minutes: make soak"]
fn a_fuzzer_that_may_do_everything_finds_what_the_document_says_for_long() {
    whoever_may_do_everything("400");
}

#[test]
fn a_fuzzer_that_may_change_nothing_changes_nothing() {
    let fulcrum = guarded();
    populate(&fulcrum);
    let before = contents(&fulcrum);
    for token in [READER, "", "the-secret-of-nobody-at-all"] {
        fuzz(&fulcrum, token, FORM, &["--max-examples", "5", "--phases", "examples,coverage,fuzzing"]);
        assert_eq!(contents(&fulcrum), before, "with {token:?}");
    }
    let refused = |reason| fulcrum.metric("fulcrum_registry_refused_total", &[("reason", reason)]);
    assert!(refused("unauthorized") > 0.0 && refused("forbidden") > 0.0, "they were refused, and counted");
    assert_well(&fulcrum);
}

/// Answers have the status, the fields and the form that the document says, and none is a failure.
const FORM: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,unsupported_method,allow_header_conformance,missing_required_header";

/// Longer than the long form takes.
const TOOL_WITHIN: Duration = Duration::from_secs(900);
