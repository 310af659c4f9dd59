//! Arrows between crates only point down, and each foreign crate stays where it belongs.

use std::collections::BTreeSet;
use std::fs;

use super::licence;
use super::metadata::Graph;
use super::top;
use super::version::{Requirement, Version};

/// Which of our crates each one may need. A crate that is not here has to be put in its place first.
const ARROWS: [(&str, &[&str]); 9] = [
    ("fulcrum-model", &[]),
    ("fulcrum-balance", &["fulcrum-model"]),
    ("fulcrum-config", &["fulcrum-model"]),
    ("fulcrum-tls", &["fulcrum-model"]),
    ("fulcrum-data-plane", &BELOW_THE_PLANES),
    ("fulcrum-control-plane", &BELOW_THE_PLANES),
    ("fulcrum-gslb", &BELOW_THE_PLANES),
    ("fulcrum-client", &["fulcrum-balance", "fulcrum-model"]),
    (
        "fulcrum",
        &[
            "fulcrum-model",
            "fulcrum-balance",
            "fulcrum-config",
            "fulcrum-tls",
            "fulcrum-data-plane",
            "fulcrum-control-plane",
            "fulcrum-gslb",
            "fulcrum-client",
        ],
    ),
];

const BELOW_THE_PLANES: [&str; 4] = ["fulcrum-model", "fulcrum-balance", "fulcrum-config", "fulcrum-tls"];

/// Crates that decide and do not act: values in, values out.
const PURE: [&str; 3] = ["fulcrum-model", "fulcrum-config", "fulcrum-balance"];

/// What a pure crate cannot reach, not even through others: runtimes, sockets, clocks, metrics, logging.
const IMPURE: [&str; 23] = [
    "tokio",
    "tokio-util",
    "mio",
    "futures-util",
    "async-io",
    "socket2",
    "rustix",
    "libc",
    "nix",
    "hyper",
    "hyper-util",
    "h2",
    "http",
    "httparse",
    "rustls",
    "prometheus",
    "tracing",
    "tracing-core",
    "log",
    "chrono",
    "time",
    "rand",
    "getrandom",
];

/// Foreign crates that only some of ours may name.
const AT_HOME: [(&str, &[&str]); 14] = [
    ("granit-parser", &["fulcrum-config"]),
    ("serde_yaml", &["fulcrum-config"]),
    ("yaml_serde", &["fulcrum-config"]),
    ("schemars", &["fulcrum-config"]),
    ("hyper", &["fulcrum", "fulcrum-client", "fulcrum-control-plane"]),
    ("hyper-util", &["fulcrum", "fulcrum-client", "fulcrum-control-plane"]),
    ("httparse", &["fulcrum-data-plane"]),
    ("hickory-resolver", &["fulcrum-control-plane"]),
    ("maxminddb", &["fulcrum-gslb"]),
    ("rustls", &["fulcrum-tls"]),
    ("tokio-rustls", &["fulcrum-tls"]),
    ("aws-lc-rs", &["fulcrum-balance", "fulcrum-control-plane", "fulcrum-tls"]),
    ("clap", &["fulcrum"]),
    ("tracing-subscriber", &["fulcrum"]),
];

/// Crates and versions that must not be in the build, as `deny.toml` writes them.
const DENIED: [&str; 28] = [
    "serde_yml",
    "serde_yaml",
    "yaml-rust",
    "ring",
    "openssl-sys",
    "native-tls",
    "rustls-pemfile",
    "bincode",
    "proc-macro-error",
    "hyper:<1.12.0",
    "h2:<0.4.16",
    "quinn-proto:<0.11.15",
    "rustls-webpki:<0.103.13",
    "aws-lc-sys:<0.39.0",
    "hickory-proto:<0.26.1",
    "maxminddb:<0.31.0",
    "memmap2:<0.9.11",
    "time:<0.3.47",
    "rand:<0.8.6",
    "rand:>=0.9.0, <0.9.3",
    "rand:>=0.10.0, <0.10.1",
    "event-listener:<5.4.2",
    "lru:<0.18.2",
    "scc:<3.8.4",
    "jsonwebtoken:<10.3.0",
    "tracing-subscriber:<0.3.20",
    "tokio:<1.53.3",
    "tokio:>=1.54.0",
];

/// Licences whose terms the product can keep, as `deny.toml` writes them.
const LICENCES: [&str; 10] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

#[test]
fn arrows_only_point_down() {
    let graph = Graph::get();
    for member in graph.members() {
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| *name == member.name)
            .unwrap_or_else(|| panic!("{} has no place among the crates", member.name));
        for needed in graph.needs(member).filter(|needed| needed.is_member) {
            assert!(allowed.contains(&needed.name.as_str()), "{} must not need {}", member.name, needed.name);
        }
    }
}

#[test]
fn pure_crates_reach_nothing_that_acts() {
    let graph = Graph::get();
    for member in graph.members().filter(|member| PURE.contains(&member.name.as_str())) {
        let reached = graph.everything_needed(member);
        let impure: Vec<&&str> = IMPURE.iter().filter(|name| reached.contains(**name)).collect();
        assert!(impure.is_empty(), "{} reaches {impure:?}", member.name);
    }
    let found = graph.members().filter(|member| PURE.contains(&member.name.as_str())).count();
    assert_eq!(found, PURE.len());
}

#[test]
fn foreign_crates_stay_at_home() {
    let graph = Graph::get();
    for member in graph.members() {
        for needed in graph.needs(member) {
            if let Some((_, homes)) = AT_HOME.iter().find(|(name, _)| *name == needed.name) {
                assert!(
                    homes.contains(&member.name.as_str()),
                    "{} must not need {}",
                    member.name,
                    needed.name
                );
            }
        }
    }
    let data_plane = graph.members().find(|member| member.name == "fulcrum-data-plane").expect("it is ours");
    assert!(!graph.everything_needed(data_plane).contains("hyper"), "traffic never meets hyper");
}

#[test]
fn one_build_has_one_behaviour() {
    for member in Graph::get().members() {
        assert!(member.features.is_empty(), "{} has features: {:?}", member.name, member.features);
    }
}

#[test]
fn denied_crates_and_versions_are_not_in_the_build() {
    for denied in DENIED {
        let requirement = Requirement::parse(denied);
        for package in Graph::get().packages() {
            let is_denied =
                package.name == requirement.name && requirement.holds(&Version::parse(&package.version));
            assert!(!is_denied, "{} {} is denied: {denied}", package.name, package.version);
        }
    }
}

#[test]
fn licences_are_allowed_ones() {
    for package in Graph::get().packages() {
        let licence = package.licence.as_deref().unwrap_or_else(|| panic!("{} has no licence", package.name));
        assert!(licence::is_satisfied(licence, &LICENCES), "{} is under {licence}", package.name);
    }
}

#[test]
fn everything_comes_from_one_registry() {
    let graph = Graph::get();
    let mut sources: Vec<&str> = graph.packages().filter_map(|package| package.source.as_deref()).collect();
    for package in graph.packages() {
        assert_eq!(package.source.is_none(), package.is_member, "{}", package.name);
    }
    // Other systems' packages are in the lock file too.
    let lock = fs::read_to_string(top().join("Cargo.lock")).expect("there is a lock file");
    sources.extend(
        lock.lines().filter_map(|line| line.strip_prefix("source = ")).map(|source| source.trim_matches('"')),
    );
    sources.sort_unstable();
    sources.dedup();
    assert!(matches!(sources[..], [one] if one.starts_with("registry+")), "{sources:?}");
}

#[test]
fn deny_toml_says_the_same() {
    let text = fs::read_to_string(top().join("deny.toml")).expect("there is a deny.toml");
    let entries = text.lines().filter_map(|line| line.trim().strip_prefix("{ crate = \""));
    let denied: Vec<&str> = entries.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(denied, DENIED);
    let (_, licences) = text.split_once("\n[licenses]\nallow = [\n").expect("a list of licences");
    let (licences, _) = licences.split_once("\n]").expect("its end");
    let licences: Vec<&str> = licences.lines().map(|line| line.trim().trim_matches(['"', ','])).collect();
    assert_eq!(licences, LICENCES);
}

#[test]
fn every_foreign_crate_is_declared_once() {
    // Versions belong to the workspace, so that no two crates of ours ask for different ones.
    let members = fs::read_dir(top().join("crates")).expect("the folder can be read");
    for member in members {
        let path = member.expect("an entry").path().join("Cargo.toml");
        let text = fs::read_to_string(&path).expect("a crate has a manifest");
        let mut section = "";
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                section = line;
            } else if section.contains("dependencies]") {
                assert!(line.contains("workspace = true"), "{}: {line}", path.display());
            }
        }
    }
    let names: BTreeSet<&str> = Graph::get().members().map(|member| member.name.as_str()).collect();
    assert!(names.contains("fulcrum"), "{names:?}");
}
