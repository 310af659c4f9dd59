//! What cargo knows about the workspace: `cargo metadata` for Linux, as locked, of which `cargo tree` says what is built.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::top;

/// The packages of the build for Linux and what they need.
pub(super) struct Graph {
    packages: BTreeMap<String, Package>,
}

/// One package.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) licence: Option<String>,
    pub(super) features: Vec<String>,
    /// Whether it is ours.
    pub(super) is_member: bool,
    /// Where it comes from; nothing for our own.
    pub(super) source: Option<String>,
    /// The packages that the product needs of it, not counting those of tests and build scripts.
    normal: Vec<String>,
}

impl Graph {
    /// Asks cargo, once for all tests.
    pub(super) fn get() -> &'static Graph {
        static GRAPH: OnceLock<Graph> = OnceLock::new();
        GRAPH.get_or_init(Graph::load)
    }

    fn load() -> Graph {
        let metadata = cargo(&[
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--filter-platform=x86_64-unknown-linux-gnu",
        ]);
        Graph::parse(&serde_json::from_slice(&metadata).expect("JSON"), &built())
    }

    fn parse(metadata: &Value, built: &BTreeSet<(String, String)>) -> Graph {
        let members: BTreeSet<&str> = texts(&metadata["workspace_members"]).collect();
        let nodes = metadata["resolve"]["nodes"].as_array().expect("a graph");
        let by_id: BTreeMap<&str, &Value> = metadata["packages"]
            .as_array()
            .expect("packages")
            .iter()
            .map(|package| (text(&package["id"]), package))
            .collect();
        let packages = nodes.iter().map(|node| {
            let id = text(&node["id"]);
            let package = by_id[id];
            let features = package["features"].as_object().expect("features");
            let parsed = Package {
                name: text(&package["name"]).to_owned(),
                version: text(&package["version"]).to_owned(),
                licence: package["license"].as_str().map(str::to_owned),
                features: features.keys().cloned().collect(),
                is_member: members.contains(id),
                source: package["source"].as_str().map(str::to_owned),
                normal: normal_dependencies(node),
            };
            (id.to_owned(), parsed)
        });
        let is_built = |package: &Package| built.contains(&(package.name.clone(), package.version.clone()));
        let mut packages: BTreeMap<String, Package> =
            packages.filter(|(_, package)| is_built(package)).collect();
        let ids: BTreeSet<String> = packages.keys().cloned().collect();
        for package in packages.values_mut() {
            package.normal.retain(|id| ids.contains(id));
        }
        Graph { packages }
    }

    /// Every package of the build, tests and build scripts included.
    pub(super) fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// Our own.
    pub(super) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages().filter(|package| package.is_member)
    }

    /// What a package needs by itself.
    pub(super) fn needs<'a>(&'a self, package: &'a Package) -> impl Iterator<Item = &'a Package> {
        package.normal.iter().map(|id| &self.packages[id])
    }

    /// The names of everything that a package needs, however far away.
    pub(super) fn everything_needed(&self, package: &Package) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&String> = package.normal.iter().collect();
        while let Some(id) = open.pop() {
            let package = &self.packages[id];
            if found.insert(package.name.as_str()) {
                open.extend(&package.normal);
            }
        }
        found
    }
}

/// The names and versions of the packages that are built. The metadata have more: what a feature like `ring?/std` names is
/// among them even if nothing else asks for it, and it is never built.
fn built() -> BTreeSet<(String, String)> {
    let tree = cargo(&[
        "tree",
        "--workspace",
        "--locked",
        "--offline",
        "--target=x86_64-unknown-linux-gnu",
        "--edges=normal,build,dev",
        "--prefix=none",
        "--format={p}",
    ]);
    let tree = String::from_utf8(tree).expect("names");
    let packages = tree.lines().filter(|line| !line.is_empty());
    let of = |line: &str| {
        let (name, rest) = line.split_once(" v").unwrap_or_else(|| panic!("{line:?} is no package"));
        (name.to_owned(), rest.split_whitespace().next().expect("a version").to_owned())
    };
    packages.map(of).collect()
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .current_dir(top())
        .output()
        .expect("cargo is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn normal_dependencies(node: &Value) -> Vec<String> {
    let dependencies = node["deps"].as_array().expect("dependencies");
    let is_normal = |dependency: &&Value| {
        dependency["dep_kinds"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    };
    dependencies.iter().filter(is_normal).map(|dependency| text(&dependency["pkg"]).to_owned()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().expect("a list").iter().map(text)
}
