//! Files of data, read whole: zones, networks, databases.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A regular file up to a length, in bytes.
///
/// # Errors
/// It cannot be read, or is something else: a pipe would never end, and to open it waits for somebody who writes. What is
/// opened is what is looked at: it may be another thing than at any look before.
pub(crate) fn read(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(length) as usize);
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn reads_files_and_waits_for_nothing_else() {
        let directory = tempfile::tempdir().expect("room for a directory");
        let (file, pipe) = (directory.path().join("file"), directory.path().join("pipe"));
        std::fs::write(&file, "abc").expect("room for a file");
        assert_eq!(read(&file, 2).expect("it is one"), b"ab");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("coreutils").success());
        for other in [&*pipe, directory.path()] {
            assert!(read(other, 9).is_err(), "{}", other.display());
        }
    }
}
