//! The file of what is held of regions: it outlasts restarts, crashes and power failures.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fulcrum_gslb::responder::Responder;
use fulcrum_gslb::verdict::Memory;
use rustix::fs::OFlags;
use tokio::task::{JoinHandle, spawn_blocking};

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

/// Keeps what is held of regions while nobody waits: a disk that stands still must not keep regions from being looked at.
#[derive(Debug)]
pub(super) struct Keeper {
    file: MemoryFile,
    running: Option<JoinHandle<()>>,
    /// How many looks have found it running.
    looks: u32,
}

/// What a look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    Ended,
    /// The same, and it was told that it does not end.
    EndedLate,
    Still,
    /// From this look on it takes long.
    Long,
}

impl Keeper {
    pub(super) fn new(file: MemoryFile) -> Self {
        Keeper { file, running: None, looks: 0 }
    }

    /// To be called with every look: whether what is held now can be kept. Tells once of a disk that stands still.
    pub(super) fn is_free(&mut self) -> bool {
        let found = self.look();
        let file = self.file.0.path.display();
        match found {
            Keeping::Long => {
                tracing::warn!(%file, "what is held of regions is being kept for half a minute: is the disk well?");
            }
            Keeping::EndedLate => tracing::warn!(%file, "what is held of regions can be kept again"),
            Keeping::Ended => {}
            Keeping::Still => return false,
        }
        self.running.is_none()
    }

    fn look(&mut self) -> Keeping {
        let looks = self.looks;
        if self.running.as_ref().is_none_or(JoinHandle::is_finished) {
            (self.running, self.looks) = (None, 0);
            return if looks < LATE { Keeping::Ended } else { Keeping::EndedLate };
        }
        self.looks = looks.saturating_add(1);
        if self.looks == LATE { Keeping::Long } else { Keeping::Still }
    }

    /// Begins to keep what is held of regions now.
    pub(super) fn keep(&mut self, responder: &Arc<Responder>) {
        let (file, responder) = (self.file.clone(), Arc::clone(responder));
        self.begin(move || file.keep(&responder));
    }

    fn begin(&mut self, keep: impl FnOnce() + Send + 'static) {
        self.running = Some(spawn_blocking(keep));
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
    // Whatever lies there is of somebody who did not end, or none of ours: a link would be followed, and a pipe would wait
    // for somebody who reads.
    fs::remove_file(&draft).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let mut file = File::create_new(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

/// So many looks are long for some KiB.
const LATE: u32 = 30;
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

    /// It would wait for somebody who reads, or write over what is none of its own.
    #[test]
    fn what_lies_where_the_draft_is_written_is_not_written_to() {
        let directory = tempfile::tempdir().expect("room for a directory");
        let file = MemoryFile::within(directory.path());
        let draft = directory.path().join("gslb-verdicts.new");
        let other = directory.path().join("other");
        fs::write(&other, "of somebody else").expect("room for a file");
        let pipe = || assert!(Command::new("mkfifo").arg(&draft).status().expect("coreutils").success());
        let link = || std::os::unix::fs::symlink(&other, &draft).expect("room for a link");
        let torn = || fs::write(&draft, "{").expect("room for a file");
        for (saved, lay) in [&pipe as &dyn Fn(), &link, &torn].into_iter().enumerate() {
            lay();
            file.keep_what(|| Some(memory(saved as u64)));
            assert_eq!(file.recall(), Some(memory(saved as u64)));
            assert!(fs::symlink_metadata(&draft).is_err());
        }
        assert_eq!(fs::read_to_string(&other).expect("it is there"), "of somebody else");
        // What cannot be removed is told, and what was kept stays.
        fs::create_dir(&draft).expect("room for a directory");
        file.keep_what(|| Some(memory(9)));
        assert_eq!(file.recall(), Some(memory(2)));
    }

    #[tokio::test]
    async fn a_disk_that_stands_still_is_told_once() {
        let directory = tempfile::tempdir().expect("room for a directory");
        let mut keeper = Keeper::new(MemoryFile::within(directory.path()));
        assert!(keeper.is_free());
        for (looks, expected) in [(LATE - 1, Keeping::Ended), (LATE + 100, Keeping::EndedLate)] {
            let (release, wait) = std::sync::mpsc::channel::<()>();
            keeper.begin(move || wait.recv().expect("it is told"));
            let told = (0..looks).filter(|_| keeper.look() == Keeping::Long).count();
            assert_eq!(told, usize::from(expected == Keeping::EndedLate));
            release.send(()).expect("it waits");
            keeper.running.as_mut().expect("it keeps").await.expect("no panic");
            assert_eq!((keeper.look(), keeper.look()), (expected, Keeping::Ended));
        }
        let (release, wait) = std::sync::mpsc::channel::<()>();
        keeper.begin(move || wait.recv().expect("it is told"));
        assert!(!keeper.is_free());
        release.send(()).expect("it waits");
        keeper.running.as_mut().expect("it keeps").await.expect("no panic");
        assert!(keeper.is_free());
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
