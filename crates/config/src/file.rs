//! Reading configuration files, and finding those that an `include` names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::code::Code;
use crate::regular_file;

/// Why a file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileError {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl FileError {
    fn unreadable(path: &Path, why: impl std::fmt::Display) -> Self {
        FileError { code: Code::Unreadable, message: format!("cannot read `{}`: {why}", path.display()) }
    }
}

/// The text of a file, without a byte order mark.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    let failed = |error: io::Error| FileError::unreadable(path, why(&error));
    let bytes = regular_file::read(path, LARGEST + 1).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(FileError::unreadable(path, "it is larger than 16 MiB"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(without_mark(text)),
        Err(error) => Err(FileError { code: Code::NotUtf8, message: not_utf8(path, &error) }),
    }
}

/// A text without the byte order mark that some editors write.
pub(crate) fn without_mark(text: String) -> String {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> String {
    let valid = error.utf8_error().valid_up_to();
    let line = error.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count() + 1;
    format!("`{}` is not UTF-8: byte {valid} in line {line}", path.display())
}

/// The cause without the number that the system gives it.
pub(crate) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// What an include names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Included {
    /// Sorted.
    pub(crate) files: Vec<PathBuf>,
    /// The folder that was looked through for them, unless one file was named.
    pub(crate) folder: Option<PathBuf>,
}

/// The files that an include names, as seen from the folder of the main file: a file, the `*.yaml` of a folder, or
/// those whose name fits a pattern with `*` and `?`.
pub(crate) fn included(folder: &Path, include: &str) -> Result<Included, FileError> {
    let refuse = |message: String| FileError { code: Code::Include, message };
    let path = folder.join(include);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new(""));
    if Path::new(include).parent().is_some_and(|parent| parent.to_string_lossy().contains(['*', '?'])) {
        return Err(refuse(format!(
            "`{include}` has a wildcard in the name of a folder; only file names may have one"
        )));
    }
    if name.contains(['*', '?']) {
        return list(parent, name);
    }
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => list(&path, "*.yaml"),
        Ok(_) => Ok(Included { files: vec![path], folder: None }),
        Err(error) => Err(refuse(format!("cannot include `{}`: {}", path.display(), why(&error)))),
    }
}

/// Files of a folder whose names fit a pattern. Hidden files fit only a pattern that begins with a dot.
fn list(folder: &Path, pattern: &str) -> Result<Included, FileError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let failed = |error: io::Error| FileError {
        code: Code::Include,
        message: format!("cannot list `{}`: {}", folder.display(), why(&error)),
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let hidden = name.starts_with('.') && !pattern.starts_with('.');
        if !hidden && fits(name.as_bytes(), pattern.as_bytes()) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(Included { files, folder: Some(folder.to_owned()) })
}

/// `*` stands for any bytes, `?` for one.
fn fits(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where the last `*` was, and how much of the name it has taken: enough to try again with one byte more.
    let mut retry = None;
    while at < name.len() {
        match pattern.get(from) {
            Some(b'*') => {
                retry = Some((from, at));
                from += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[at] => {
                at += 1;
                from += 1;
            }
            _ => match retry {
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    from = star + 1;
                    at = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[from..].iter().all(|&byte| byte == b'*')
}

/// Largest file in bytes: some 100,000 routes.
const LARGEST: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        fn check(name: &str, pattern: &str, expected: bool) {
            assert_eq!(fits(name.as_bytes(), pattern.as_bytes()), expected, "{name} {pattern}");
        }
        check("a.yaml", "*.yaml", true);
        check("a.yml", "*.yaml", false);
        check("a.yaml.bak", "*.yaml", false);
        check("shop-1.yaml", "shop-?.yaml", true);
        check("shop-10.yaml", "shop-?.yaml", false);
        check("aXbXc", "a*b*c", true);
        check("", "*", true);
        check("", "?", false);
        check("aaa", "*a", true);
        check("abab", "*ab", true);
    }
}
