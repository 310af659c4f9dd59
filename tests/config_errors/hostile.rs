//! Files that are no configuration at all: refused in bounded time and memory.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{File, findings, refused};

/// Runs with a limit on the address space; panics where it needs more than `mebibytes` or than a few seconds.
#[track_caller]
fn refused_within(path: &Path, mebibytes: u32) -> String {
    let mut text = String::new();
    for command in ["check", "run"] {
        let start = Instant::now();
        let script = format!("ulimit -v {} && exec \"$0\" \"$@\"", mebibytes * 1024);
        let file = if command == "run" { "--config" } else { "-c" };
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_fulcrum"), command, file].map(OsStr::new))
            .arg(path)
            .stdin(Stdio::null())
            .output()
            .expect("a shell is there");
        text = String::from_utf8_lossy(&output.stderr).into_owned();
        let shown: String = text.chars().take(2000).collect();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{command}: {shown}");
        assert!(!text.contains("panicked"), "{command}: {shown}");
        // The output stays readable, whatever the input is.
        assert!(text.len() < 4 << 20, "{} bytes of errors", text.len());
        assert!(start.elapsed() < Duration::from_secs(8), "{command} took {:?}", start.elapsed());
    }
    text
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let file = File::new("version: 1\n");
    let directory = file.directory.path();
    fs::create_dir(directory.join("folder.yaml")).expect("room for a folder");
    for (path, reason) in [
        (directory.join("missing.yaml"), "it does not exist"),
        (directory.join("folder.yaml"), "directory"),
        (file.path.join("below/a/file.yaml"), "Not a directory"),
        (directory.join("x".repeat(300)), "too long"),
    ] {
        let text = refused(&path);
        assert!(text.contains("error[E001]") && text.contains(&path.display().to_string()), "{text}");
        assert!(text.to_lowercase().contains(&reason.to_lowercase()), "no {reason:?} in\n{text}");
        assert_eq!(findings(&path), [("E001".to_owned(), None, None)]);
    }
}

#[test]
fn a_file_without_permission_is_told() {
    let file = File::new("version: 1\n");
    fs::set_permissions(&file.path, fs::Permissions::from_mode(0o000)).expect("our own file");
    if fs::read(&file.path).is_ok() {
        // The superuser reads everything; the rest of the errors of reading is tested above.
        return;
    }
    let text = refused(&file.path);
    assert!(text.contains("error[E001]") && text.to_lowercase().contains("permission denied"), "{text}");
}

#[test]
fn files_without_content_are_told() {
    for content in ["", "\n\n", "# a comment\n", "---\n", "---\n...\n", "null\n", "~"] {
        let file = File::new(content);
        let found = findings(&file.path);
        assert_eq!(found.len(), 1, "{content:?}: {found:?}");
        assert_eq!(found[0].0, "E003", "{content:?}");
        refused(&file.path);
    }
}

#[test]
fn things_that_are_no_configuration_are_told() {
    for (content, code) in [
        (&b"just text\n"[..], "E102"),
        (b"[1, 2, 3]\n", "E102"),
        (b"version: 1\n---\nversion: 1\n", "E005"),
        (b"version: !tag 1\n", "E005"),
        (b"\xff\xfe\x00v\x00e", "E002"),
        (b"version: \xc3\x28\n", "E002"),
        (b"\0\0\0\0", "E004"),
        (b"a: b: c: d\n", "E004"),
        (b"version: *nowhere\n", "E004"),
        (b"{{{{", "E004"),
    ] {
        let file = File::new(content);
        let found = findings(&file.path);
        let shown = String::from_utf8_lossy(content);
        assert!(found.iter().any(|(other, ..)| other == code), "{shown:?}: {found:?}, not {code}");
        refused(&file.path);
    }
}

/// Every level repeats the one before ten times: a hundred million values in a few lines.
#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = "version: 1\nl0: &l0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*l{}", level - 1); 10].join(", ");
        text += &format!("l{level}: &l{level} [{aliases}]\n");
    }
    let file = File::new(text);
    let text = refused_within(&file.path, 512);
    assert!(text.contains("error[E007]"), "{text}");
}

#[test]
fn five_megabytes_of_aliases_are_refused() {
    let mut text = "version: 1\nservices:\n  a: &a { endpoints: [10.0.0.1:80] }\nx: [".to_owned();
    while text.len() < 5 << 20 {
        text += "*a,";
    }
    let file = File::new(text + "]\n");
    let text = refused_within(&file.path, 2048);
    assert!(text.contains("error[E007]"), "{}", text.chars().take(2000).collect::<String>());
}

#[test]
fn five_megabytes_of_merges_and_anchors_are_refused() {
    let mut text = "version: 1\nbase: &a0 { k0: v }\n".to_owned();
    let mut level = 0;
    while text.len() < 5 << 20 {
        level += 1;
        text += &format!("b{level}: &a{level} {{ <<: *a{}, k{level}: v }}\n", level - 1);
    }
    let file = File::new(text);
    refused_within(&file.path, 2048);
}

#[test]
fn deep_nesting_and_huge_files_are_refused() {
    let nested = "version: 1\nroutes: ".to_owned() + &"[".repeat(100_000) + &"]".repeat(100_000) + "\n";
    let text = refused_within(&File::new(nested).path, 512);
    assert!(text.contains("error[E007]") || text.contains("error[E004]"), "{text}");
    let blocks: String = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused_within(&File::new(blocks).path, 512);
    let huge = File::new("version: 1\n");
    let length = fs::OpenOptions::new().write(true).open(&huge.path).expect("our own file");
    // A sparse gigabyte: it must not be read to be refused.
    length.set_len(1 << 30).expect("room for a hole");
    let text = refused_within(&huge.path, 512);
    assert!(text.contains("error[E001]"), "{text}");
}

#[test]
fn many_mistakes_are_counted_and_not_all_printed() {
    let mut text = "version: 1\nlisteners: { web: { bind: \":80\" } }\nroutes:\n".to_owned();
    for number in 0..20_000 {
        text += &format!("  - {{ path: /{number}, to: missing-{number} }}\n");
    }
    let text = refused_within(&File::new(text).path, 1024);
    assert!(text.ends_with("20000 errors\n"), "{}", &text[text.len().saturating_sub(200)..]);
}

#[test]
fn a_device_that_never_ends_is_refused() {
    let text = refused_within(Path::new("/dev/zero"), 512);
    assert!(text.contains("/dev/zero"), "{text}");
}
