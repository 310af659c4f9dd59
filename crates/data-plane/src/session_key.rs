//! The key of sticky cookies where none is configured: made once, kept in the state directory, so that pins survive the
//! process.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fulcrum_config::Secret;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source} (`state_dir` names the folder; `sticky.cookie.keys` needs none)", path.display())]
pub(crate) struct SessionKeyFileError {
    path: PathBuf,
    source: io::Error,
}

/// The key in this state directory, made if there is none.
pub(crate) fn of(state_dir: &Path) -> Result<Secret, SessionKeyFileError> {
    let path = state_dir.join(FILE);
    read_or_make(state_dir, &path).map_err(|source| SessionKeyFileError { path, source })
}

fn read_or_make(folder: &Path, path: &Path) -> io::Result<Secret> {
    match fs::read(path) {
        Ok(key) if key.len() >= LENGTH => return Ok(Secret::new(key)),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "shorter than 32 bytes")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    fs::create_dir_all(folder)?;
    let mut key = [0; LENGTH];
    fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    // Whole or not at all, and never over one that another daemon has just made.
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(Secret::new(key)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read(path).map(Secret::new),
        Err(error) => Err(error),
    }
}

const FILE: &str = "sticky.key";
const LENGTH: usize = 32;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_for_us_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let first = of(&state).expect("a new key");
        assert_eq!(first.expose().len(), LENGTH);
        assert_eq!(of(&state).expect("the same key"), first);
        let mode = fs::metadata(state.join(FILE)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&state).expect("a folder").count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_that_is_no_key_is_told_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "short").expect("a file");
        let told = of(folder.path()).expect_err("too short").to_string();
        assert!(told.contains("sticky.key") && told.contains("32 bytes"), "{told}");
        assert_eq!(fs::read(folder.path().join(FILE)).expect("a file"), b"short");
    }
}
