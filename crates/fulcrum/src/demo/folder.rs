//! A private folder for the demo's files: configuration, admin socket, access log, process ids.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;

/// Removed with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct DemoFolder(PathBuf);

impl DemoFolder {
    /// Makes the folder and writes the configuration into it.
    pub(crate) fn create() -> io::Result<Self> {
        let path = new_folder(&std::env::temp_dir())?;
        let folder = DemoFolder(path);
        fs::write(folder.config(), CONFIG)?;
        fs::write(folder.nets(), NETS)?;
        // The folder of the configuration is watched: every record would be a change in it.
        fs::create_dir(folder.path().join("log"))?;
        Ok(folder)
    }

    /// The daemon's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("demo.yaml")
    }

    /// Whose networks are where.
    pub(crate) fn nets(&self) -> PathBuf {
        self.path().join("nets.txt")
    }

    /// The daemon's admin socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("admin.sock")
    }

    /// The daemon's access log.
    pub(crate) fn access_log(&self) -> PathBuf {
        self.path().join("log/access.log")
    }

    /// What the daemon keeps.
    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// The process id of a backend.
    pub(crate) fn pid_file(&self, backend: &str) -> PathBuf {
        self.path().join(format!("{backend}.pid"))
    }

    /// Where everything is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// A folder that was not there before, so that nobody can have prepared it for us. A demo that was killed may have left
/// one of our process id.
fn new_folder(parent: &Path) -> io::Result<PathBuf> {
    let mut attempt = 0;
    loop {
        let path = parent.join(format!("fulcrum-demo-{}-{attempt}", process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < MOST_ATTEMPTS => {
                attempt += 1
            }
            Err(error) => return Err(error),
        }
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Nobody leaves so many behind by accident.
const MOST_ATTEMPTS: u32 = 100;

/// The same file that users can read and check.
const CONFIG: &str = include_str!("../../../../config/demo.yaml");

/// Networks that are nobody's (RFC 5737), and two continents.
const NETS: &str = "198.51.100.0/24 europe\n203.0.113.0/24 america\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_do_not_meet() {
        let (one, other) = (DemoFolder::create().expect("a folder"), DemoFolder::create().expect("another"));
        assert_ne!(one.path(), other.path());
    }

    #[test]
    fn the_folder_goes_with_its_owner() {
        let folder = DemoFolder::create().expect("a folder");
        let path = folder.path().to_owned();
        assert_eq!(fs::read_to_string(folder.config()).expect("the configuration"), CONFIG);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_configuration_is_good_without_the_demo() {
        let folder = DemoFolder::create().expect("a folder");
        let loaded = fulcrum_config::load(&folder.config(), &|_| None);
        assert!(loaded.is_ok(), "{}", loaded.err().map(|report| report.to_text()).unwrap_or_default());
    }
}
