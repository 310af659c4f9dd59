//! What the documentation shows works: every configuration, and every command that a reader would type.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::check;
use crate::harness::{Child, Setup, Upstream, eventually, fulcrum};

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages for users, with their names.
fn pages() -> Vec<(String, String)> {
    let mut paths = vec![top().join("README.md")];
    let entries = fs::read_dir(top().join("docs")).expect("the folder can be read");
    paths.extend(entries.map(|entry| entry.expect("an entry").path()));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(top()).expect("a path of ours").display().to_string();
        (name, fs::read_to_string(path).expect("a page can be read"))
    };
    paths.iter().map(read).collect()
}

/// The blocks of this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&*fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// An example with the sections that it leaves out. Lines that give one key again and again are an example each.
fn completed(block: &str) -> Vec<String> {
    let keys = |text: &str| -> Vec<String> {
        let top_level =
            text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        top_level.filter_map(|line| line.split_once(':')).map(|(key, _)| key.to_owned()).collect()
    };
    let all = keys(block);
    if all.iter().collect::<HashSet<_>>().len() < all.len() {
        return block.lines().flat_map(completed).collect();
    }
    let mut text = format!("{block}\n");
    if block.contains("version: 1\n") {
        return vec![text];
    }
    for (key, section) in [
        ("version", "1"),
        ("listeners", "{ web: { bind: \":8080\" } }"),
        ("services", "{ web: { endpoints: [10.0.0.1:8080] }, api: { endpoints: [10.0.1.1:9000] } }"),
        ("routes", "[{ to: web }, { path: /api, to: api }]"),
    ] {
        if !all.iter().any(|own| own == key) {
            text += &format!("{key}: {section}\n");
        }
    }
    vec![text]
}

#[test]
fn every_example_passes() {
    let folder = tempfile::tempdir().expect("room for a directory");
    fs::write(folder.path().join("admin.token"), "s3cret\n").expect("room for a file");
    for token in ["web.token", "ops.token"] {
        fs::write(folder.path().join(token), "s3cret\n").expect("room for a file");
    }
    for key in ["dns-cookie.new", "dns-cookie.old"] {
        fs::write(folder.path().join(key), "0123456789abcdef0123456789abcdef\n").expect("room for a file");
    }
    for key in ["sticky.new", "sticky.old"] {
        fs::write(folder.path().join(key), "a secret of 16 bytes or more\n").expect("room for a file");
    }
    fs::create_dir(folder.path().join("conf.d")).expect("room for a folder");
    // What examples look for in /etc/fulcrum.
    fs::create_dir(folder.path().join("zones")).expect("room for a folder");
    fs::write(folder.path().join("nets.txt"), "192.0.2.0/24 eu\n").expect("room for a file");
    let zone = "@ 300 SOA ns1 hostmaster 1 1h 10m 14d 60\n@ 300 NS ns1\nns1 300 A 192.0.2.53\n";
    fs::write(folder.path().join("zones/example.com.zone"), zone).expect("room for a file");
    let mut seen = 0;
    for (name, text) in pages() {
        for example in blocks(&text, "yaml").into_iter().flat_map(completed) {
            let file = folder.path().join("example.yaml");
            let example = example.replace("/etc/fulcrum/", &format!("{}/", folder.path().display()));
            fs::write(&file, &example).expect("room for a file");
            let output = check(&file);
            assert_eq!(output.code, Some(0), "{name}:\n{example}\n{}", output.stderr);
            seen += 1;
        }
    }
    assert!(seen > 15, "the examples are found: {seen}");
}

#[test]
fn every_shipped_configuration_passes() {
    let mut seen = 0;
    for folder in ["config", "benches/peers"] {
        for entry in fs::read_dir(top().join(folder)).expect("the folder can be read") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "yaml") && is_self_contained(&path) {
                let output = check(&path);
                assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 2, "config/ has at least the demo's and the example");
}

/// Templates of the benchmark have places that it fills.
fn is_self_contained(path: &Path) -> bool {
    let text = fs::read_to_string(path).expect("a file can be read");
    !text.contains("@DIR@")
}

#[test]
fn the_schema_is_the_one_that_is_shipped() {
    let output = fulcrum(["schema"]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let shipped = fs::read_to_string(top().join("config/fulcrum.schema.json")).expect("the schema is there");
    assert!(output.stdout == shipped, "`fulcrum schema > config/fulcrum.schema.json` brings it up to date");
    let schema: Value = serde_json::from_str(&shipped).expect("JSON");
    for section in ["listeners", "routes", "services", "admin", "log", "metrics", "shutdown", "defaults"] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
}

#[test]
fn the_mistake_of_the_readme_is_shown_as_printed() {
    let (_, readme) = pages().into_iter().find(|(name, _)| name == "README.md").expect("there is a README");
    let good = blocks(&readme, "yaml")[0];
    let folder = tempfile::tempdir().expect("room for a directory");
    fs::write(folder.path().join("shop.yaml"), good.replacen("endpoints", "enpoints", 1) + "\n")
        .expect("room for a file");
    let output = Command::new(env!("CARGO_BIN_EXE_fulcrum"))
        .args(["check", "shop.yaml"])
        .current_dir(folder.path())
        .output()
        .expect("the binary is built");
    let printed = String::from_utf8_lossy(&output.stderr);
    let shown = blocks(&readme, "text")
        .into_iter()
        .find_map(|block| block.strip_prefix("$ fulcrum check shop.yaml\n"))
        .expect("the README shows a mistake");
    assert_eq!(printed.trim_end(), shown);
    assert_eq!(output.status.code(), Some(64));
}

/// The command lines of `fulcrum` in a page: in blocks of text and in code spans.
fn commands(text: &str) -> Vec<String> {
    let lines = blocks(text, "text").into_iter().flat_map(str::lines);
    let spans = text
        .lines()
        .filter(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let start = |line: &str| {
        let line = line.trim_start_matches("$ ").trim_start_matches("target/release/");
        let line = line.strip_prefix("FULCRUM_LOG=debug ").unwrap_or(line);
        line.strip_prefix("fulcrum ").map(str::to_owned)
    };
    lines.chain(spans).filter_map(start).collect()
}

#[test]
fn commands_and_options_of_the_pages_exist() {
    let mut seen = 0;
    for (name, text) in pages() {
        for command in commands(&text) {
            let words = command.split([' ', '[', ']', '|', '\\', '=']).filter(|word| !word.is_empty());
            // A second one may be the name of a service; then this is asked of the first.
            let is_name = |word: &&str| {
                word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
                    && !word.starts_with('-')
            };
            let names: Vec<&str> = words.clone().take(2).take_while(is_name).collect();
            let help = fulcrum(names.into_iter().chain(["--help"]));
            assert_eq!(help.code, Some(0), "{name}: fulcrum {command}");
            for option in words.filter(|word| word.starts_with('-')) {
                let is_known = help.stdout.split([' ', ',', '\n']).any(|word| word == option);
                assert!(is_known, "{name}: fulcrum {command}: no {option} in\n{}", help.stdout);
            }
            seen += 1;
        }
    }
    assert!(seen > 15, "the commands are found: {seen}");
}

/// Runs a line as a reader's shell would; its output.
#[track_caller]
fn shell(line: &str) -> String {
    let output =
        Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().expect("a shell is there");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{line}\n{text}");
    text
}

/// The page as it is written, but for the ports and the path, which a test must not share with others: port 0 stands
/// where a port stood, and what the kernel chose takes its place for the rest of the page.
#[test]
fn getting_started_works_as_written() {
    let page = fs::read_to_string(top().join("docs/getting-started.md")).expect("a page can be read");
    let folder = tempfile::tempdir().expect("room for a directory");
    let config = folder.path().join("shop.yaml");
    let socket = folder.path().join("admin.sock").display().to_string();
    let mut yaml =
        blocks(&page, "yaml")[0].replace(":8080", "127.0.0.1:0").replace("/tmp/shop-admin.sock", &socket);
    let mut web = String::new();
    let mut running = Vec::new();
    let mut shown = String::new();
    let lines =
        blocks(&page, "text").into_iter().flat_map(str::lines).filter(|line| !line.starts_with("make"));
    for line in lines.filter(|line| *line != "cargo build --release") {
        let line = line
            .replace("target/release/fulcrum", env!("CARGO_BIN_EXE_fulcrum"))
            .replace("shop.yaml", &config.display().to_string())
            .replace("/tmp/shop-admin.sock", &socket)
            .replace("127.0.0.1:8080", &web);
        let Some(command) = line.strip_suffix(" &") else {
            shown += &shell(&line);
            continue;
        };
        let port = ["127.0.0.1:9001", "127.0.0.1:9002"].into_iter().find(|port| command.contains(port));
        let command = port.map_or(command.to_owned(), |port| command.replace(port, "127.0.0.1:0"));
        let mut words = command.split_whitespace();
        let mut process = Command::new(words.next().expect("a program"));
        process.args(words);
        let child = Child::spawn(process, folder.path().join(format!("stderr-{}", running.len())));
        let ready: Value = serde_json::from_str(&child.line()).expect("JSON");
        running.push(child);
        match port {
            Some(port) => yaml = yaml.replace(port, ready["address"].as_str().expect("an address")),
            None => ready["listeners"]["web"][0].as_str().expect("an address").clone_into(&mut web),
        }
        fs::write(&config, &yaml).expect("room for a file");
    }
    assert_eq!(running.len(), 3, "two backends and the daemon");
    for part in ["good: 1 listener, 1 route, 1 service, 2 endpoints", "x-backend: ", "/hello", "generation 1"]
    {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
}

#[test]
fn the_curl_lines_of_operations_work() {
    let page = fs::read_to_string(top().join("docs/operations.md")).expect("a page can be read");
    let upstream = Upstream::named("app");
    let daemon =
        Setup::new(&upstream).top("admin: { socket: \"@DIR@/admin.sock\", bind: \"127.0.0.1:0\" }").start();
    let socket = daemon.directory().join("admin.sock").display().to_string();
    let tcp = daemon.ready["admin"][1].as_str().expect("an address").to_owned();
    let lines: Vec<&str> = blocks(&page, "text")
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| line.starts_with("curl "))
        .collect();
    assert_eq!(lines.len(), 3);
    let texts: Vec<String> = lines
        .iter()
        .map(|line| {
            let line = line.replace("/run/fulcrum/admin.sock", &socket).replace("127.0.0.1:9901", &tcp);
            let line = line
                .replace("shop/endpoints/10.0.0.3:8080", &format!("app/endpoints/{}", upstream.address()));
            eventually("curl answers", || Some(shell(&line.replace("curl ", "curl -sf "))))
        })
        .collect();
    assert!(texts[0].contains("\"state\":\"ready\""), "{}", texts[0]);
    assert!(texts[1].contains("fulcrum_http_connections_total"), "{}", texts[1]);
    assert!(texts[2].contains("\"weight\":5"), "{}", texts[2]);
}

#[test]
fn links_lead_somewhere() {
    for (name, text) in pages() {
        let page = top().join(&name);
        let folder = page.parent().expect("a page is in a folder");
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.clone() } else { folder.join(file) };
            assert!(path.exists(), "{name}: {target}");
            if !anchor.is_empty() {
                let there = fs::read_to_string(&path).expect("a page can be read");
                let headings = there.lines().filter(|line| line.starts_with('#')).map(slug);
                assert!(headings.into_iter().any(|heading| heading == anchor), "{name}: {target}");
            }
        }
    }
}

/// The anchor that readers of Markdown make of a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}
