//! What stands in the sources, and what does not.

use std::fs;
use std::path::{Path, PathBuf};

use super::top;

/// Every file of the project that people write.
pub(super) fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![top()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be read") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let is_made = ["target", ".git", "corpus", "artifacts"].contains(&name.as_str());
            match path.is_dir() {
                true if !is_made => open.push(path),
                false if !is_made => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    assert!(found.len() > 100, "the sources are found");
    found
}

fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let rust = files().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, text)
    })
}

/// Whether a word stands in code, by itself.
fn has_word(code: &str, word: &str) -> bool {
    let is_letter = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_letter) && !code[at + word.len()..].starts_with(is_letter))
}

#[test]
fn nothing_is_unsafe_outside_of_syscalls() {
    for (path, text) in sources() {
        let is_allowed = path.file_name().is_some_and(|name| name == "syscalls.rs");
        assert!(is_allowed || !has_word(&code_of(&text), "unsafe"), "{}", path.display());
    }
}

#[test]
fn nothing_is_left_to_be_done() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    for (path, text) in sources() {
        for mark in marks {
            assert!(!has_word(&text, mark), "{}: {mark}", path.display());
        }
    }
}

#[test]
fn sources_say_what_they_are_for() {
    for (path, text) in sources() {
        let is_told = text.starts_with("//!") || text.starts_with("#!");
        assert!(is_told, "{} does not begin with what it is for", path.display());
    }
}

/// Crates that decide have no clock, no thread, no socket and no random numbers of their own.
#[test]
fn pure_crates_ask_nobody() {
    let pure =
        ["crates/model/src", "crates/config/src", "crates/balance/src"].map(|folder| top().join(folder));
    let acts =
        ["Instant", "SystemTime", "TcpListener", "TcpStream", "UdpSocket", "UnixStream", "UnixListener"];
    for (path, text) in sources().filter(|(path, _)| pure.iter().any(|folder| path.starts_with(folder))) {
        // Tests stand at the end, and may measure.
        let code = code_of(text.split("#[cfg(test)]").next().unwrap_or_default());
        for word in acts {
            assert!(!has_word(&code, word), "{}: {word}", path.display());
        }
        assert!(!code.contains("thread::spawn") && !code.contains("RandomState"), "{}", path.display());
    }
}

#[test]
fn no_machine_is_named() {
    // In pieces, or this file would be the first to be found.
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tmp/te", "am"),
        concat!("index.cra", "tes.io"),
        concat!("static.cra", "tes.io"),
        concat!("registry.np", "mjs"),
        concat!("py", "pi.org"),
        concat!("proxy.gol", "ang"),
        concat!("deb.deb", "ian.org"),
    ];
    for path in files() {
        // What is not text names no machine that anybody could read.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for place in places {
            let found = text.match_indices(place).find(|(at, _)| is_absolute(&text, *at, place));
            let line = found.map(|(at, _)| text[..at].lines().count().max(1));
            assert_eq!(line, None, "{} names {place}", path.display());
        }
    }
}

/// Whether a path begins here; within another one it is a part of a name.
fn is_absolute(text: &str, at: usize, place: &str) -> bool {
    let is_part = |before: char| before.is_alphanumeric() || "._-~".contains(before);
    !place.starts_with('/') || !text[..at].ends_with(is_part)
}

#[test]
fn files_end_with_a_line() {
    for path in files().iter().filter(|path| is_text(path)) {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.ends_with('\n') || text.is_empty(), "{}", path.display());
        assert!(!text.contains('\r'), "{} has carriage returns", path.display());
    }
}

fn is_text(path: &Path) -> bool {
    let known = ["rs", "md", "toml", "yaml", "json", "lua", "cfg", "conf"];
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| known.contains(&extension))
}

/// A source without its comments and without what stands between quotes.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| raw_string(rest, &code)).or_else(|| quoted(rest));
        if let Some(length) = skipped {
            code.push(' ');
            rest = &rest[length..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// The length of the comment that begins here; block comments nest.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    loop {
        let here = &rest[at..];
        let step = match here {
            _ if here.starts_with("/*") => {
                depth += 1;
                2
            }
            _ if here.starts_with("*/") => {
                depth -= 1;
                2
            }
            _ => here.chars().next().map_or(0, char::len_utf8),
        };
        at += step;
        if depth == 0 || step == 0 {
            return Some(at);
        }
    }
}

/// The length of `r"…"` or `r#"…"#`, with or without a `b` before (which is in the code already).
fn raw_string(rest: &str, before: &str) -> Option<usize> {
    let hashes = rest.strip_prefix('r')?;
    let is_name = before
        .trim_end_matches('b')
        .ends_with(|character: char| character.is_alphanumeric() || character == '_');
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    let inner = hashes[count..].strip_prefix('"').filter(|_| !is_name)?;
    let end = format!("\"{}", "#".repeat(count));
    let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(1 + count + 1 + length)
}

/// The length of a string or a character in quotes; a lifetime is neither.
fn quoted(rest: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|first| "\"'".contains(*first))?;
    let inner = &rest[1..];
    if quote == '\'' {
        let mut characters = inner.chars();
        let first = characters.next()?;
        if first != '\\' && characters.next() != Some('\'') {
            return None;
        }
    }
    let mut is_escaped = false;
    let end = inner.find(|character: char| {
        let is_end = character == quote && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        is_end
    });
    Some(1 + end.map_or(inner.len(), |at| at + 1))
}

#[test]
fn code_is_what_is_left_of_a_source() {
    fn check(source: &str, expected: bool) {
        assert_eq!(has_word(&code_of(source), "unsafe"), expected, "{source}");
    }
    check("unsafe { x() }", true);
    check("// unsafe", false);
    check("/* a /* unsafe */ unsafe */ fn f() {}", false);
    check("let x = \"unsafe \\\" unsafe\";", false);
    check("let x = \"\"; unsafe {}", true);
    check("let x = r#\"unsafe \" unsafe\"#;", false);
    check("let x = br\"unsafe\\\"; unsafe {}", true);
    check("let x = '\"'; unsafe {} // \"", true);
    check("let x = '\\''; unsafe {}", true);
    check("fn f<'a>(x: &'a str) { unsafe {} }", true);
    check("#![forbid(unsafe_code)]", false);
    check("for \"x\" in r { unsafe {} }", true);
}
