//! Files, folders and includes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fulcrum_config::{Code, Loaded, Report, load};
use tempfile::TempDir;

use crate::env;

const MAIN: &str = "\
version: 1
include: conf.d/*.yaml
listeners: { web: { bind: \":8080\" } }
";

/// A folder with files.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Folder(TempDir::new().expect("a temporary folder"));
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    fn load(&self) -> Result<Loaded, Report> {
        load(&self.path("main.yaml"), &env)
    }

    /// `CODE FILE:LINE:COLUMN MESSAGE` and notes, the folder cut off.
    fn errors(&self) -> Vec<String> {
        let report = self.load().expect_err("errors are expected");
        let prefix = format!("{}/", self.0.path().display());
        let lines = report.diagnostics().iter().flat_map(|found| {
            let place = found.line.map(|line| format!(":{line}:{}", found.column.unwrap_or_default()));
            let head =
                format!("{} {}{} {}", found.code, found.file, place.unwrap_or_default(), found.message);
            std::iter::once(head)
                .chain(found.notes.iter().map(|note| format!("  = {note}")))
                .collect::<Vec<_>>()
        });
        lines.map(|line| line.replace(&prefix, "")).collect()
    }
}

fn code_of(path: &Path) -> (Code, String) {
    let report = load(path, &env).expect_err("it cannot be loaded");
    assert_eq!(report.errors(), 1, "{report}");
    (report.diagnostics()[0].code, report.diagnostics()[0].message.clone())
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = Folder::new(&[("empty.yaml", ""), ("blank.yaml", "\n# nothing\n")]);
    folder.write("latin1.yaml", b"version: 1\n# caf\xe9\n");
    folder.write("binary.yaml", b"version: 1\n\0\n");
    let check = |name: &str, code: Code, part: &str| {
        let (found, message) = code_of(&folder.path(name));
        assert_eq!(found, code, "{name}: {message}");
        assert!(message.contains(part), "{message}");
    };
    check("missing.yaml", Code::Unreadable, "it does not exist");
    check(".", Code::Unreadable, "it is a directory");
    check("empty.yaml", Code::Empty, "no configuration");
    check("blank.yaml", Code::Empty, "no configuration");
    check("latin1.yaml", Code::NotUtf8, "byte 16 in line 2");
    check("binary.yaml", Code::Syntax, "not valid YAML");
    check("main.yaml/below", Code::Unreadable, "cannot read");
}

#[test]
fn a_file_larger_than_the_limit_is_not_read() {
    let folder = Folder::new(&[]);
    fs::File::create(folder.path("large.yaml"))
        .and_then(|file| file.set_len(1 << 40))
        .expect("a sparse file");
    let (code, message) = code_of(&folder.path("large.yaml"));
    assert_eq!((code, message.ends_with("it is larger than 16 MiB")), (Code::Unreadable, true), "{message}");
}

#[test]
fn a_byte_order_mark_and_foreign_line_ends_are_read() {
    let text = "\u{feff}version: 1\r\nlisteners: { web: { bnd: x, bind: \":80\" } }\r\n";
    let folder = Folder::new(&[("main.yaml", text)]);
    assert_eq!(folder.errors()[0], "E103 main.yaml:2:21 unknown field `bnd`, did you mean `bind`?");
}

#[test]
fn includes_are_put_together_in_order() {
    let folder = Folder::new(&[
        ("main.yaml", MAIN),
        (
            "conf.d/b.yaml",
            "routes: [{ host: b.example, to: b }]\nservices: { b: { endpoints: [10.0.0.2:80] } }\n",
        ),
        ("conf.d/a.yaml", "version: 1\nroutes: [{ host: a.example, to: b }]\nlog: { level: warn }\n"),
        ("conf.d/.hidden.yaml", "nonsense: 1\n"),
        ("conf.d/notes.txt", "nonsense: 1\n"),
    ]);
    let loaded = folder.load().expect("good files");
    let names: Vec<_> = loaded.config.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["a.example/", "b.example/"]);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn a_folder_or_several_names_can_be_included() {
    let route = |host: &str| format!("routes: [{{ host: {host}, respond: {{ status: 204 }} }}]\n");
    let folder = Folder::new(&[
        (
            "main.yaml",
            "version: 1\ninclude: [conf.d, one.yaml, \"conf.d/?.yaml\"]\nlisteners: { web: { bind: \":80\" } }\n",
        ),
        ("conf.d/a.yaml", &route("a")),
        ("conf.d/b.yaml", &route("b")),
        ("one.yaml", &route("one")),
    ]);
    let loaded = folder.load().expect("good files");
    let names: Vec<_> = loaded.config.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["a/", "b/", "one/"], "a file that fits twice is read once");
}

#[test]
fn the_main_file_may_fit_its_own_pattern() {
    let folder = Folder::new(&[
        ("main.yaml", "version: 1\ninclude: \"*.yaml\"\nlisteners: { web: { bind: \":80\" } }\n"),
        ("a.yaml", "routes: [{ respond: { status: 204 } }]\n"),
    ]);
    assert_eq!(folder.load().expect("good files").config.routes.len(), 1);
}

#[test]
fn errors_name_the_right_file() {
    let folder = Folder::new(&[
        ("main.yaml", &MAIN.replace("bind", "bnid")),
        ("conf.d/a.yaml", "routes: [{ host: a.example, to: wbe }]\n"),
        ("conf.d/b.yaml", "services:\n  web: { endpoints: [nowhere] }\n"),
    ]);
    assert_eq!(
        folder.errors(),
        [
            "E101 main.yaml:3:19 the key `bind` is missing",
            "E103 main.yaml:3:21 unknown field `bnid`, did you mean `bind`?",
            "  = allowed here: bind, http, limits, protocol, redirect, timeouts, to",
            "E201 conf.d/a.yaml:1:33 route #1 sends to service `wbe`, which does not exist",
            "  = services: web (did you mean `web`?)",
            "E109 conf.d/b.yaml:2:22 `nowhere` has no port",
            "  = did you mean `nowhere:80`?",
            "  = addresses look like `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080` or `unix:/run/app.sock`",
        ]
    );
}

#[test]
fn a_name_in_two_files_is_an_error_at_both_places() {
    let folder = Folder::new(&[
        ("main.yaml", &format!("{MAIN}log: {{ level: info }}\n")),
        ("conf.d/a.yaml", "services: { web: { endpoints: [10.0.0.1:80] } }\nroutes: [{ to: web }]\n"),
        ("conf.d/b.yaml", "services: { web: { endpoints: [10.0.0.2:80] } }\nlog: { level: warn }\n"),
        ("conf.d/c.yaml", "listeners: { web: { bind: \":81\" } }\nroutes: [{ to: web }]\n"),
    ]);
    assert_eq!(
        folder.errors(),
        [
            "E202 conf.d/b.yaml:1:13 the service `web` is given in two files",
            "  = first in conf.d/a.yaml:1:13",
            "E202 conf.d/b.yaml:2:1 `log` is given in two files",
            "  = first in main.yaml:4:1",
            "E202 conf.d/c.yaml:1:14 the listener `web` is given in two files",
            "  = first in main.yaml:3:14",
            "E204 conf.d/c.yaml:2:10 another route has every host",
            "  = the other one: conf.d/a.yaml:2:10",
        ]
    );
}

#[test]
fn includes_that_cannot_be_followed_are_errors() {
    let check = |include: &str, expected: &[&str]| {
        let main = format!("version: 1\ninclude: {include}\nlisteners: {{ web: {{ bind: \":80\" }} }}\n");
        let folder = Folder::new(&[
            ("main.yaml", &main),
            ("nested.yaml", "include: other.yaml\n"),
            ("bad.yaml", "a: [\n"),
        ]);
        fs::create_dir(folder.path("folder")).expect("a folder");
        assert_eq!(folder.errors(), expected, "{include}");
    };
    check("missing.yaml", &["E009 main.yaml:2:10 cannot include `missing.yaml`: it does not exist"]);
    check("none/*.yaml", &["E009 main.yaml:2:10 cannot list `none`: it does not exist"]);
    check(
        "\"*/a.yaml\"",
        &[
            "E009 main.yaml:2:10 `*/a.yaml` has a wildcard in the name of a folder; only file names may have one",
        ],
    );
    check("main.yaml", &["E009 main.yaml:2:10 `main.yaml` is included already"]);
    check(
        "nested.yaml",
        &["E009 nested.yaml:1:1 an included file cannot include others", "  = name them in the main file"],
    );
    check(
        "[bad.yaml, missing.yaml]",
        &[
            "E009 main.yaml:2:21 cannot include `missing.yaml`: it does not exist",
            "E004 bad.yaml:1:4 not valid YAML: unclosed bracket '['",
        ],
    );
}

#[test]
fn a_pattern_without_a_match_is_no_error() {
    let folder = Folder::new(&[("main.yaml", MAIN)]);
    fs::create_dir(folder.path("conf.d")).expect("a folder");
    assert!(folder.load().is_ok());
}

#[test]
fn tokens_are_read_beside_the_file_that_names_them() {
    let main = "version: 1\nlisteners: { web: { bind: \":80\" } }\nadmin: { token: \"file:secret/token\" }\n";
    let check = |content: &[u8], expected: Result<&[u8], &str>| {
        let folder = Folder::new(&[("main.yaml", main)]);
        folder.write("secret/token", content);
        match (folder.load(), expected) {
            (Ok(loaded), Ok(token)) => {
                assert_eq!(loaded.config.admin.token.expect("a token").expose(), token);
            }
            (Err(report), Err(part)) => assert!(report.to_text().contains(part), "{report}"),
            (Ok(_), Err(part)) => panic!("expected an error about {part}"),
            (Err(report), Ok(_)) => panic!("{report}"),
        }
    };
    check(b"s3cret\n", Ok(b"s3cret"));
    check(b"s3cret\r\n", Ok(b"s3cret"));
    check(b"s3cret", Ok(b"s3cret"));
    check(b"", Err("the token is empty"));
    check(b"\n", Err("the token is empty"));
    check(b"a\nb\n", Err("more than printable ASCII"));
    check(b"\xff", Err("more than printable ASCII"));
    check(&[b'a'; 5000], Err("at most 4 KiB"));
}

#[test]
fn what_a_configuration_was_made_of_is_listed() {
    let secret = "0123456789abcdef\n";
    let folder = Folder::new(&[
        (
            "main.yaml",
            "version: 1\ninclude: [one.yaml, conf.d, \"conf.d/?.yaml\"]\nlisteners: { web: { bind: \":80\" } }\n\
             admin: { token: \"file:secret/token\" }\nroutes: [{ to: a }]\n",
        ),
        ("one.yaml", "log: { level: warn }\n"),
        (
            "conf.d/a.yaml",
            "services: { a: { endpoints: [10.0.0.1:80], sticky: { cookie: { keys: [\"file:../secret/new\", \"file:../secret/token\"] } } } }\n",
        ),
        ("conf.d/notes.txt", "nonsense: 1\n"),
        ("secret/token", secret),
        ("secret/new", secret),
    ]);
    let loaded = folder.load().expect("good files");
    let files = [
        "main.yaml",
        "one.yaml",
        "conf.d",
        "conf.d/a.yaml",
        "conf.d/../secret/new",
        "conf.d/../secret/token",
        "secret/token",
    ];
    let mut expected: Vec<_> = files.iter().map(|name| folder.path(name)).collect();
    let mut found = loaded.files;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let sticky = loaded.config.services[0].sticky.as_ref().expect("it is sticky");
    assert!(sticky.keys.iter().all(|key| key.expose() == secret.trim_end().as_bytes()));
}

#[test]
fn megabytes_of_aliases_are_refused_at_once() {
    let mut bomb = String::from("version: 1\na: &a [x, x, x, x, x, x, x, x, x]\n");
    for letter in 'b'..='z' {
        let before = char::from(letter as u8 - 1);
        bomb += &format!("{letter}: &{letter} [{}]\n", vec![format!("*{before}"); 9].join(", "));
    }
    check_bomb("one that multiplies", &bomb);

    let mut wide = String::from("version: 1\na: &a x\nb:\n");
    while wide.len() < 5 << 20 {
        wide += "  - [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n";
    }
    check_bomb("one that is only long", &wide);

    let mut merges = String::from("version: 1\na: &a { x: 1, y: 2 }\nb:\n");
    while merges.len() < 5 << 20 {
        merges += "  - { <<: [*a, *a, *a, *a, *a, *a, *a, *a] }\n";
    }
    check_bomb("merge keys", &merges);

    check_bomb("values without aliases", &("version: 1\na: [".to_owned() + &"[],".repeat(5 << 19) + "]\n"));
}

fn check_bomb(name: &str, text: &str) {
    let folder = Folder::new(&[("main.yaml", text)]);
    let start = Instant::now();
    let (code, message) = code_of(&folder.path("main.yaml"));
    assert_eq!(code, Code::TooMuch, "{name}: {message}");
    assert!(start.elapsed() < Duration::from_secs(10), "{name} took {:?}", start.elapsed());
}

#[test]
fn a_pipe_is_not_waited_for() {
    let folder = Folder::new(&[]);
    let made = std::process::Command::new("mkfifo").arg(folder.path("pipe.yaml")).status();
    assert!(made.expect("coreutils").success());
    let (code, message) = code_of(&folder.path("pipe.yaml"));
    assert_eq!(code, Code::Unreadable);
    assert!(message.contains("it is not a regular file"), "{message}");
}
