//! Files that are read whole, and never waited for.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// The content of a regular file, up to so many bytes; of `/dev/null`, nothing. What is below `/dev` and `/proc` is read as it is:
/// `/dev/stdin` and what a shell puts there for `<(…)` are pipes that somebody has on purpose.
///
/// # Errors
/// It cannot be read, or is something else: to open a pipe waits for somebody who writes. What is opened is what is looked
/// at: it may be another thing than at any look before.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = if ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder)) {
        File::open(path)?
    } else {
        open(path)?
    };
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open(path: &Path) -> io::Result<File> {
    let mut file = File::options().read(true).custom_flags(WITHOUT_WAITING).open(path)?;
    let found = file.metadata()?;
    // A link may lead to it.
    let is_empty_device = found.file_type().is_char_device() && file.read(&mut [0])? == 0;
    match (found.is_dir(), found.is_file() || is_empty_device) {
        (true, _) => Err(io::Error::other("it is a directory")),
        (false, false) => Err(io::Error::other("it is not a regular file")),
        (false, true) => Ok(file),
    }
}

/// `O_NONBLOCK | O_NOCTTY` of Linux on x86-64 and ARM. No crate that has them as names is reachable from here.
const WITHOUT_WAITING: i32 = 0o4000 | 0o400;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn reads_files_and_waits_for_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let [file, pipe, link, zero] = ["file", "pipe", "link", "zero"].map(|name| folder.path().join(name));
        std::fs::write(&file, "abc").expect("written");
        assert_eq!(read(&file, 2).expect("it is one"), b"ab");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("coreutils").success());
        std::os::unix::fs::symlink("/dev/null", &link).expect("made");
        std::os::unix::fs::symlink("/dev/zero", &zero).expect("made");
        for nothing in [&*link, Path::new("/dev/null")] {
            assert_eq!(read(nothing, 9).expect("nothing is there"), b"");
        }
        let check = |path: &Path, why: &str| {
            assert_eq!(read(path, 9).expect_err("it is none").to_string(), why);
        };
        check(&pipe, "it is not a regular file");
        check(&zero, "it is not a regular file");
        check(folder.path(), "it is a directory");
        assert_eq!(read(&folder.path().join("none"), 9).expect_err("none").kind(), io::ErrorKind::NotFound);
    }
}
