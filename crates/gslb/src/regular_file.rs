//! Files of data, read whole: zones, networks, databases.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// A regular file up to a length, in bytes; of `/dev/null`, nothing.
///
/// # Errors
/// It cannot be read, or is something else: a pipe would never end, and to open it waits for somebody who writes. What is
/// opened is what is looked at: it may be another thing than at any look before.
pub(crate) fn read(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    let is_empty_device = metadata.file_type().is_char_device() && file.read(&mut [0])? == 0;
    if !metadata.is_file() && !is_empty_device {
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
        assert_eq!(read(Path::new("/dev/null"), 9).expect("nothing is there"), b"");
        for other in [&*pipe, directory.path(), Path::new("/dev/zero")] {
            assert!(read(other, 9).is_err(), "{}", other.display());
        }
    }
}
