//! DNS, asked by dig: what is always the same, what depends on place and health, and what changes.

mod answers;
mod changes;
mod drama;
#[allow(dead_code)]
#[path = "../crates/gslb/src/geo/tests/mmdb.rs"]
mod mmdb;
mod network;
mod operate;
mod policies;
mod refused;
mod rows;
mod services;
mod verdicts;

use crate::harness::Fulcrum;

/// A daemon that answers for `example.com`: these names, and more keys of the section.
#[track_caller]
fn start(names: &str, more: &str) -> Fulcrum {
    Fulcrum::start(&yaml(names, more))
}

/// A daemon with these files beside its configuration.
#[track_caller]
fn start_with(yaml: &str, files: &[(&str, &str)]) -> Fulcrum {
    let directory = tempfile::tempdir().expect("room for a directory");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("room for a file");
    }
    Fulcrum::start_in(directory, yaml)
}

fn yaml(names: &str, more: &str) -> String {
    format!(
        "state_dir: \"@DIR@/state\"\ngslb:\n  bind: \"127.0.0.1:0\"\n{more}  zones:\n    example.com:\n      soa: {{ primary: ns1.example.com., \
         contact: hostmaster.example.com. }}\n      ns: [ns1.example.com.]\n      names:\n        ns1: {{ a: 192.0.2.53 }}\n{names}"
    )
}
