//! Programs of others: where they are, and what they say of themselves.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program in `PATH`, or where Debian puts daemons.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The version that a program tells with this flag: the first word of digits and dots.
pub(crate) fn version(binary: &Path, flag: &str) -> io::Result<String> {
    let text = said_by(binary, flag)?;
    let version = text
        .split(|character: char| !(character.is_ascii_digit() || character == '.'))
        .find(|word| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit()));
    Ok(version.unwrap_or("?").trim_end_matches('.').to_owned())
}

/// What a program prints with this flag.
pub(crate) fn said_by(binary: &Path, flag: &str) -> io::Result<String> {
    let output = Command::new(binary)
        .arg(flag)
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", binary.display())))?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
