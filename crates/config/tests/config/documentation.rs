//! `docs/configuration.md`: every example loads, every code is explained, every key is listed.

use std::path::PathBuf;

use fulcrum_config::{ACCESS_LOG_FIELDS, Code, load, schema};
use serde_json::Value;

/// A YAML block of the reference, completed with the sections that it leaves to the first one.
pub(crate) struct Example {
    line: usize,
    pub(crate) yaml: String,
}

fn reference() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    std::fs::read_to_string(path).expect("the reference can be read")
}

/// All examples.
pub(crate) fn examples() -> Vec<Example> {
    let text = reference();
    let mut examples: Vec<Example> = Vec::new();
    let mut open: Option<Example> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line) {
            (None, "```yaml") => open = Some(Example { line: index + 2, yaml: String::new() }),
            (Some(_), "```") => examples.extend(open.take()),
            (Some(example), line) => {
                example.yaml.push_str(line);
                example.yaml.push('\n');
            }
            (None, _) => {}
        }
    }
    examples.iter_mut().for_each(complete);
    examples
}

fn complete(example: &mut Example) {
    if example.yaml.contains("version: 1\n") {
        return;
    }
    for (section, line) in [
        ("version", "version: 1"),
        ("listeners", "listeners: { web: { bind: \":8080\" } }"),
        (
            "services",
            "services: { web: { endpoints: [10.0.0.1:8080] }, api: { endpoints: [10.0.1.1:9000] } }",
        ),
        ("routes", "routes: [{ to: web }, { path: /api, to: api }]"),
    ] {
        if !example.yaml.lines().any(|own| own.starts_with(&format!("{section}:"))) {
            example.yaml.push_str(line);
            example.yaml.push('\n');
        }
    }
}

#[test]
fn every_example_loads_without_a_warning() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("conf.d")).expect("a folder");
    std::fs::write(folder.path().join("admin.token"), "s3cret\n").expect("a file");
    for token in ["web.token", "ops.token"] {
        std::fs::write(folder.path().join(token), "s3cret\n").expect("a file");
    }
    for key in ["sticky.new", "sticky.old"] {
        std::fs::write(folder.path().join(key), "0123456789abcdef\n").expect("a file");
    }
    for key in ["dns-cookie.new", "dns-cookie.old"] {
        std::fs::write(folder.path().join(key), "0123456789abcdef0123456789abcdef\n").expect("a file");
    }
    let included = "routes: [{ to: web }]\nservices: { web: { endpoints: [10.0.0.1:80] } }\n";
    std::fs::write(folder.path().join("conf.d/shop.yaml"), included).expect("a file");
    let examples = examples();
    assert!(examples.len() > 8, "the examples are found");
    for example in &examples {
        let path = folder.path().join("fulcrum.yaml");
        std::fs::write(&path, &example.yaml).expect("a file");
        match load(&path, &|_| None) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "line {}\n{}", example.line, loaded.warnings),
            Err(report) => panic!("line {}\n{report}", example.line),
        }
    }
}

#[test]
fn the_shipped_files_load() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config");
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            match load(&path, &|_| None) {
                Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings),
                Err(report) => panic!("{report}"),
            }
        }
    }
}

#[test]
fn every_code_is_explained_and_tested() {
    let reference = reference();
    let tests = [
        include_str!("discovery.rs"),
        include_str!("files.rs"),
        include_str!("gslb_errors.rs"),
        include_str!("gslb_zone_errors.rs"),
        include_str!("listener.rs"),
        include_str!("meaning.rs"),
        include_str!("registry.rs"),
        include_str!("service_errors.rs"),
        include_str!("shape.rs"),
        include_str!("syntax.rs"),
        include_str!("values.rs"),
        include_str!("warnings.rs"),
    ]
    .concat();
    for code in Code::ALL {
        assert!(reference.contains(&format!("\n| {code} |")), "{code} is not in the reference");
        assert!(
            tests.contains(code.as_str()) || tests.contains(&format!("Code::{code:?}")),
            "{code} is not tested"
        );
    }
    let rows = reference.lines().filter(|line| line.starts_with("| E") || line.starts_with("| W")).count();
    assert_eq!(rows, Code::ALL.len(), "the reference has a code that does not exist");
}

#[test]
fn every_key_and_field_is_listed() {
    fn walk(value: &Value, reference: &str) {
        for (key, _) in value.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let listed = ["`", ".", " ", "["].iter().any(|before| {
                ["`", ":", ",", " ", ".", "["]
                    .iter()
                    .any(|after| reference.contains(&format!("{before}{key}{after}")))
            });
            assert!(listed, "the key {key} is not in the reference");
        }
        match value {
            Value::Object(object) => object.values().for_each(|value| walk(value, reference)),
            Value::Array(items) => items.iter().for_each(|item| walk(item, reference)),
            _ => {}
        }
    }
    let reference = reference();
    walk(&schema(), &reference);
    for field in ACCESS_LOG_FIELDS {
        assert!(reference.contains(&format!("`{field}`")), "the field {field} is not in the reference");
    }
}
