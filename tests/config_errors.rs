//! Bad input: refused as a whole with every mistake at its place, by `check` and `run` alike, whatever it is.

mod documentation;
mod hostile;
mod ports;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Output, fulcrum};

/// A configuration in a directory of its own.
struct File {
    directory: TempDir,
    path: PathBuf,
}

impl File {
    #[track_caller]
    fn new(content: impl AsRef<[u8]>) -> Self {
        let directory = tempfile::tempdir().expect("room for a directory");
        let path = directory.path().join("shop.yaml");
        let directory_name = directory.path().display().to_string();
        let content = match std::str::from_utf8(content.as_ref()) {
            Ok(text) => text.replace("@DIR@", &directory_name).into_bytes(),
            Err(_) => content.as_ref().to_vec(),
        };
        fs::write(&path, content).expect("room for a file");
        File { directory, path }
    }

    fn check(&self) -> Output {
        check(&self.path)
    }
}

fn check(path: &Path) -> Output {
    fulcrum(["check".as_ref(), path.as_os_str()])
}

/// The findings of `check --format json` as code, line, column; the exit code is as it should be.
#[track_caller]
fn findings(path: &Path) -> Vec<(String, Option<u64>, Option<u64>)> {
    let output = fulcrum(["check".as_ref(), path.as_os_str(), "--format".as_ref(), "json".as_ref()]);
    let list: Vec<Value> = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", output.stdout, output.stderr));
    assert_eq!(output.stderr, "", "json goes to stdout alone");
    let errors = list.iter().filter(|one| one["severity"] == "error").count();
    assert_eq!(output.code, Some(if errors > 0 { 64 } else { 0 }), "{}", output.stdout);
    let place = |one: &Value| {
        assert!(one["message"].as_str().is_some_and(|message| !message.is_empty()), "{one}");
        assert!(one["file"].is_string() && one["notes"].is_array(), "{one}");
        (one["code"].as_str().expect("a code").to_owned(), one["line"].as_u64(), one["column"].as_u64())
    };
    list.iter().map(place).collect()
}

/// `check` and `run` both refuse it with 64 and the same text; nothing is started. The text.
#[track_caller]
fn refused(path: &Path) -> String {
    let checked = check(path);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(64), ""), "{}", checked.stderr);
    let run = fulcrum(["run".as_ref(), "-c".as_ref(), path.as_os_str()]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(64), ""), "{}", run.stderr);
    assert_eq!(checked.stderr, run.stderr, "both say the same");
    checked.stderr
}

const EVERYTHING_WRONG: &str = "\
version: 1
listners: {}
listeners:
  web: { bind: \"127.0.0.1:0\", timeouts: { header: 5 sec } }
  web2: { bind: \"nonsense\" }
routes:
  - { host: shop.example.com, to: web }
  - { host: shop.example.com, to: api }
  - { host: a.example.com, to: wbe }
  - { path: api, to: api }
services:
  web: { endpoints: [10.0.0.1:80], balance: roundrobin }
  api: { endpoints: [10.0.0.1], pool: { max_idle: many } }
  api: { endpoints: [10.0.0.2:80] }
  idle: { endpoints: [] }
admin: { socket: \"@DIR@/admin.sock\" }
";

#[test]
fn every_mistake_is_told_at_once_at_its_place() {
    let file = File::new(EVERYTHING_WRONG);
    let found = findings(&file.path);
    let expected = [
        ("E103", 2, "unknown key"),
        ("E105", 4, "bad duration"),
        ("E109", 5, "not an address to listen on"),
        ("E204", 8, "the route of line 7 again"),
        ("E201", 9, "missing service"),
        ("E113", 10, "not a path"),
        ("E104", 12, "not a policy"),
        ("E109", 13, "no port"),
        ("E102", 13, "not a number"),
        ("E006", 14, "key twice"),
        ("E116", 15, "no endpoint"),
    ];
    for (code, line, what) in expected {
        let is_found = found.iter().any(|(other, at, column)| {
            other == code && *at == Some(line) && column.is_some_and(|column| column > 0)
        });
        assert!(is_found, "{what}: no {code} in line {line} of {found:?}");
    }
    let errors = found.iter().filter(|(code, ..)| code.starts_with('E')).count();
    assert_eq!(errors, expected.len(), "nothing is made up: {found:?}");

    let text = refused(&file.path);
    let path = file.path.display();
    for (code, line, column) in found {
        let place = format!("{path}:{}:{}", line.expect("a line"), column.expect("a column"));
        assert!(text.contains(&place), "no {place} in\n{text}");
        assert!(text.contains(&format!("[{code}]")), "no {code} in\n{text}");
    }
    for line in [2, 4, 9] {
        let source = EVERYTHING_WRONG.lines().nth(line - 1).expect("a line");
        assert!(text.contains(&format!("{line} | {source}")), "line {line} is not shown in\n{text}");
    }
    assert!(text.contains("did you mean `listeners`") && text.contains("did you mean `web`"), "{text}");
    assert!(
        text.ends_with(&format!("{errors} errors\n")) || text.contains(&format!("{errors} errors, ")),
        "{text}"
    );
    assert!(!file.directory.path().join("admin.sock").exists(), "nothing was opened");
}

#[test]
fn carets_stand_under_what_is_wrong() {
    let file = File::new(EVERYTHING_WRONG);
    let text = refused(&file.path);
    let lines: Vec<&str> = text.lines().collect();
    let mut seen = 0;
    for (at, line) in lines.iter().enumerate() {
        let Some((_, place)) = line.split_once("--> ") else { continue };
        let mut parts = place.rsplit(':');
        let column: usize = parts.next().and_then(|column| column.parse().ok()).expect("a column");
        let (source, caret) = (lines[at + 2], lines[at + 3]);
        let bar = source.find('|').expect("a gutter");
        assert_eq!(caret.find('^'), Some(bar + 1 + column), "{source}\n{caret}");
        seen += 1;
    }
    assert!(seen >= 10, "{text}");
}

#[test]
fn one_mistake_is_one_error() {
    let complete = |change: &str, other: &str| {
        let base = "version: 1\nlisteners: { web: { bind: \"127.0.0.1:0\" } }\nroutes: [{ to: web }]\n\
                    services: { web: { endpoints: [10.0.0.1:80] } }\nadmin: { socket: none }\n";
        assert!(base.contains(change), "{change}");
        base.replace(change, other)
    };
    let rows = [
        ("E101", "version: 1\n", ""),
        ("E108", "version: 1", "version: 2"),
        ("E103", "admin:", "autoscaling: {}\nadmin:"),
        ("E103", "bind: \"127.0.0.1:0\"", "bind: \"127.0.0.1:0\", tls: { certs: /x }"),
        ("E105", "socket: none }", "socket: none }\nshutdown: { deadline: 30 }"),
        ("E106", "socket: none }", "socket: none }\ndefaults: { http: { body: 10MX } }"),
        ("E107", "socket: none }", "socket: none }\nworkers: 0"),
        ("E201", "to: web", "to: wbe"),
        ("E117", "to: web", "to: web, respond: { status: 200 }"),
        ("E210", "listeners: { web: { bind: \"127.0.0.1:0\" } }", "listeners: {}"),
        ("E203", "web: { bind: \"127.0.0.1:0\" }", "a: { bind: \":8080\" }, b: { bind: \"127.0.0.1:8080\" }"),
        ("E209", "socket: none", "socket: none, bind: \"127.0.0.1:0\", token: \"file:@DIR@/missing\""),
        ("E006", "version: 1", "version: 1\nversion: 1"),
        ("E004", "version: 1", "version: [1"),
        ("E008", "to: web", "to: \"${FULCRUM_TEST_MISSING}\""),
        ("E009", "version: 1", "version: 1\ninclude: \"@DIR@/missing.yaml\""),
        (
            "E120",
            "socket: none }",
            "socket: none }\nlog: { access: { path: stdout, format: \"{no_field}\" } }",
        ),
    ];
    for (code, change, other) in rows {
        let file = File::new(complete(change, other));
        let found = findings(&file.path);
        let errors: Vec<_> = found.iter().filter(|(found, ..)| found.starts_with('E')).collect();
        assert!(errors.iter().any(|(found, ..)| found == code), "{other}: {found:?}, not {code}");
        assert_eq!(errors.len(), 1, "{other}: {found:?}");
        let text = refused(&file.path);
        assert!(text.contains(&format!("error[{code}]")), "{text}");
    }
}

#[test]
fn mistakes_of_all_files_are_told_together() {
    let file = File::new("version: 1\ninclude: more.yaml\nlisteners: { web: { bind: nowhere } }\n");
    let more = "routes: [{ to: wbe }]\nservices: { web: { endpoints: [10.0.0.1:80], helth: x } }\n";
    fs::write(file.directory.path().join("more.yaml"), more).expect("room for a file");
    let text = refused(&file.path);
    for place in ["shop.yaml:3:", "more.yaml:1:", "more.yaml:2:"] {
        assert!(text.contains(place), "no {place} in\n{text}");
    }
    assert!(text.contains("3 errors"), "{text}");
}

#[test]
fn a_good_file_passes_and_says_what_it_is() {
    let file = File::new(
        "version: 1\nlisteners: { web: { bind: \":80\" } }\nroutes: [{ respond: { status: 200 } }]\n",
    );
    let text = file.check();
    assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""));
    assert!(text.stdout.contains("good: 1 listener, 1 route, 0 services, 0 endpoints"), "{}", text.stdout);
    let json = fulcrum(["check".as_ref(), "--format=json".as_ref(), "-c".as_ref(), file.path.as_os_str()]);
    assert_eq!((json.code, json.stdout.as_str()), (Some(0), "[]\n"));
}

#[test]
fn warnings_are_told_and_pass() {
    let file = File::new("version: 1\nlisteners: { web: { bind: \":80\" } }\n");
    let output = file.check();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("warning[W308]"), "{}", output.stderr);
    assert_eq!(findings(&file.path).len(), 1);
}

#[test]
fn a_command_line_that_makes_no_sense_is_2() {
    for arguments in [
        &["check", "a", "-c", "b"][..],
        &["run", "--format", "json"],
        &["fly"],
        &["check", "--format", "xml", "a"],
        &["demo", "--for", "soon"],
        &["demo-backend", "--bind", "nowhere", "--name", "x"],
        &[],
    ] {
        let output = fulcrum(arguments);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains("Usage:") || output.stderr.contains("error:"), "{}", output.stderr);
    }
    let version = fulcrum(["--version"]);
    assert_eq!(version.stdout, format!("fulcrum {}\n", env!("CARGO_PKG_VERSION")));
}
