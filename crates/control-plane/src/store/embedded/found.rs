//! A file made from what another one held.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::Builder;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{DEPARTED, FORMAT, INSTANCES, META, OpenError, StoreError, write_key};
use crate::state::Key;
use crate::store::{Image, StoreEpoch, record};

/// Why a file was not made. There is none, or the one that was there.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// There is one.
    #[error("{}: the file is there already, and is left as it is", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("{}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What was tried.
        source: StoreError,
    },
}

/// Makes a file that holds this: all of it on disk under its name, or nothing.
///
/// # Errors
/// There is a file of this name, or it cannot be written.
pub fn found(path: &Path, image: &Image) -> Result<(), FoundError> {
    let failed = |source| FoundError::Io { path: path.to_owned(), source };
    let exists = || FoundError::Exists(path.to_owned());
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let (draft, file) = Draft::beside(path).map_err(failed)?;
    write(file, image).map_err(|source| FoundError::Store { path: path.to_owned(), source })?;
    // A link does not replace what has come in between; not every file system has links.
    let placed = fs::hard_link(&draft.0, path).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Err(error),
        _ => rename(&draft.0, path),
    });
    placed.map_err(
        |error| if error.kind() == io::ErrorKind::AlreadyExists { exists() } else { failed(error) },
    )?;
    drop(draft);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Gives a file another name, unless that is taken. Where a file system cannot tell, nothing is done.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// Makes a file for a history that begins: under its name it is never anything but whole.
pub(super) fn begin(path: &Path, seed: u64) -> Result<(), OpenError> {
    let path = || path.to_owned();
    match found(&path(), &Image::empty(StoreEpoch(seed))) {
        // Another daemon was quicker: the lock tells who goes on.
        Ok(()) | Err(FoundError::Exists(_)) => Ok(()),
        Err(FoundError::Io { source, .. }) => Err(OpenError::Io { path: path(), source }),
        Err(FoundError::Store { source, .. }) => {
            Err(OpenError::Io { path: path(), source: io::Error::other(source) })
        }
    }
}

/// A file that is gone when it is dropped, under this name.
struct Draft(PathBuf);

impl Draft {
    fn beside(path: &Path) -> io::Result<(Self, File)> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        // Of a process with our number, which is no more.
        let _ = fs::remove_file(&name);
        let file = File::options().read(true).write(true).create_new(true).open(&name)?;
        Ok((Draft(name.into()), file))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_file(&self.0);
    }
}

fn write(file: File, image: &Image) -> Result<(), StoreError> {
    let database = Builder::new().create_file(file)?;
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert("format", FORMAT)?;
        meta.insert("epoch", image.epoch.0)?;
        meta.insert("reserved", image.sequence.0)?;
        let mut instances = transaction.open_table(INSTANCES)?;
        for instance in &image.instances {
            let key = write_key(&instance.key);
            instances.insert(key.as_str(), record::write_instance(instance).as_slice())?;
        }
        let mut departed = transaction.open_table(DEPARTED)?;
        for (service, departure) in &image.departed {
            let key = write_key(&Key { service: service.clone(), id: departure.id.clone() });
            departed.insert(key.as_str(), record::write_departure(departure).as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renaming_replaces_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let [draft, path] = ["draft", "path"].map(|name| folder.path().join(name));
        fs::write(&draft, "ours").expect("a file");
        fs::write(&path, "theirs").expect("a file");
        let refused = rename(&draft, &path).expect_err("it is taken");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("the file"), b"theirs");
        fs::remove_file(&path).expect("it was there");
        rename(&draft, &path).expect("it is free");
        assert_eq!(fs::read(&path).expect("the file"), b"ours");
        assert!(!draft.exists());
    }
}
