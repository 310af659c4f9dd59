//! The file of what is held of regions: it outlasts restarts, crashes and power failures.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fulcrum_gslb::responder::Responder;
use fulcrum_gslb::verdict::Memory;
use rustix::fs::OFlags;

/// Where it is kept.
#[derive(Clone, Debug)]
pub(super) struct MemoryFile(Arc<Place>);

#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// One writes at a time: all of them write the same draft.
    writing: Mutex<()>,
}

impl MemoryFile {
    pub(super) fn within(state_dir: &Path) -> Self {
        let path = state_dir.join("gslb-verdicts.json");
        MemoryFile(Arc::new(Place { path, writing: Mutex::default() }))
    }

    /// What was held of regions before; nothing when that cannot be read, which is said.
    pub(super) fn recall(&self) -> Option<Memory> {
        let wrong = |error: &dyn std::fmt::Display, what: &str| {
            let file = self.0.path.display();
            tracing::warn!(%error, %file, "{what}: everything counts as up until it is seen otherwise");
        };
        match read(&self.0.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .inspect_err(|error| wrong(error, "what was held of regions is not whole"))
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                wrong(&error, "what was held of regions cannot be read");
                None
            }
        }
    }

    /// Keeps what is held of regions now. It waits for the disk: not for threads that anything else waits for.
    pub(super) fn keep(&self, responder: &Responder) {
        self.keep_what(|| responder.memory());
    }

    /// Asks only when it is its turn: whoever writes last has the newest.
    fn keep_what(&self, memory: impl FnOnce() -> Option<Memory>) {
        // Nothing but turns are taken: a panic leaves nothing half done that the next one does not begin anew.
        let _turn = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(memory) = memory() else { return };
        let text = serde_json::to_vec(&memory).map_err(io::Error::from);
        if let Err(error) = text.and_then(|text| replace(&self.0.path, &text)) {
            tracing::warn!(%error, file = %self.0.path.display(), "what is held of regions cannot be kept");
        }
    }
}

/// A regular file, up to a length that it cannot have.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for somebody who writes.
    let nonblock = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Under its name there is the old text or the new one, whole, whenever the power fails: the text is on disk before it
/// has the name, and the name before this ends.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

/// In bytes: 64 regions with the longest names and reasons need less.
const LONGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn memory(saved: u64) -> Memory {
        let text = format!(r#"{{"saved":{saved},"regions":{{}},"last_good":[],"brake":[0,0]}}"#);
        serde_json::from_str(&text).expect("what is written")
    }

    #[test]
    fn what_is_kept_is_recalled_and_what_is_not_whole_is_not() {
        let directory = tempfile::tempdir().expect("room for a directory");
        let state = directory.path().join("not/there/yet");
        let file = MemoryFile::within(&state);
        assert_eq!(file.recall(), None);
        for saved in [1, 2] {
            file.keep_what(|| Some(memory(saved)));
            assert_eq!(file.recall(), Some(memory(saved)));
        }
        file.keep_what(|| None);
        assert_eq!(file.recall(), Some(memory(2)));
        let left: Vec<_> =
            fs::read_dir(&state).expect("it is there").map(|entry| entry.expect("one").path()).collect();
        assert_eq!(left, std::slice::from_ref(&file.0.path));
        let whole = fs::read(&file.0.path).expect("it is there");
        for torn in
            [&[][..], &whole[..whole.len() / 2], b"\0\0\0\0", b"[]", b"{}", br#"{"saved":"yesterday"}"#]
        {
            fs::write(&file.0.path, torn).expect("room for a file");
            assert_eq!(file.recall(), None, "{}", String::from_utf8_lossy(torn));
        }
        // It is put right by the next one.
        file.keep_what(|| Some(memory(3)));
        assert_eq!(file.recall(), Some(memory(3)));
    }

    #[test]
    fn what_never_ends_is_not_read() {
        let directory = tempfile::tempdir().expect("room for a directory");
        let file = MemoryFile::within(directory.path());
        assert!(Command::new("mkfifo").arg(&file.0.path).status().expect("coreutils").success());
        assert_eq!(file.recall(), None);
        fs::remove_file(&file.0.path).expect("it is there");
        fs::create_dir(&file.0.path).expect("room for a directory");
        assert_eq!(file.recall(), None);
    }

    /// A look and an order keep at the same time: neither finds the other's draft gone or half written.
    #[test]
    fn those_who_keep_take_turns() {
        let directory = tempfile::tempdir().expect("room for a directory");
        let file = MemoryFile::within(directory.path());
        let count = Mutex::new(0);
        let next = || {
            let mut count = count.lock().expect("nobody panics");
            *count += 1;
            Some(memory(*count))
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| file.keep_what(next)));
            }
        });
        assert_eq!(file.recall(), Some(memory(100)));
    }
}
