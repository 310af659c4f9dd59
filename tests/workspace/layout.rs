//! Where things are and what they are called.

use std::fs;
use std::process::Command;

use super::sources::files;
use super::top;

#[test]
fn the_top_has_only_its_folders() {
    let allowed = ["crates", "config", "deploy", "tests", "benches", "docs", "target"];
    for entry in fs::read_dir(top()).expect("the top can be read") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().expect("a type").is_dir();
        assert!(
            !is_folder || name.starts_with('.') || allowed.contains(&name.as_str()),
            "{name}/ at the top"
        );
    }
}

/// Names that say nothing about what is inside.
const NAMELESS: [&str; 10] =
    ["core", "common", "util", "utils", "manager", "handler", "helper", "helpers", "globals", "misc"];

#[test]
fn names_say_what_is_inside() {
    for file in files() {
        let path = file.strip_prefix(top()).expect("a path of ours");
        for part in path.components() {
            let part = part.as_os_str().to_string_lossy();
            let stem = part.split('.').next().unwrap_or_default().to_lowercase();
            let is_nameless = NAMELESS.iter().any(|name| stem.split(['_', '-']).any(|word| word == *name))
                || stem.ends_with("_main");
            assert!(!is_nameless, "{}", path.display());
        }
    }
}

#[test]
fn a_folder_is_named_as_its_crate() {
    for entry in fs::read_dir(top().join("crates")).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        let folder = path.file_name().expect("a name").to_string_lossy().into_owned();
        let manifest = fs::read_to_string(path.join("Cargo.toml")).expect("a crate has a manifest");
        let name = if folder == "fulcrum" { folder } else { format!("fulcrum-{folder}") };
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{}", path.display());
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{} keeps the lints", path.display());
    }
    let workspace = fs::read_to_string(top().join("Cargo.toml")).expect("there is a manifest");
    assert!(workspace.contains("unsafe_code = \"deny\"") && workspace.contains("unwrap_used = \"warn\""));
}

#[test]
fn the_lock_file_is_kept() {
    assert!(top().join("Cargo.lock").exists());
    let ignored = fs::read_to_string(top().join(".gitignore")).expect("there is a .gitignore");
    assert!(!ignored.lines().any(|line| line.contains("Cargo.lock")), "{ignored}");
    if !top().join(".git").exists() {
        // An archive of the sources: it is there, which is all that can be known.
        return;
    }
    let output = Command::new("git").args(["ls-files", "Cargo.lock"]).current_dir(top()).output();
    let output = output.expect("a clone was made by git");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "Cargo.lock", "{output:?}");
}

#[test]
fn ordinary_files_are_there() {
    for name in [
        "README.md",
        "LICENSE",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "Cargo.lock",
        "rust-toolchain.toml",
        "deny.toml",
        ".ci/run",
        "docs/README.md",
        "config/fulcrum.yaml",
        "config/demo.yaml",
        "config/fulcrum.schema.json",
    ] {
        let text = fs::read_to_string(top().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!text.trim().is_empty(), "{name} is empty");
    }
}
