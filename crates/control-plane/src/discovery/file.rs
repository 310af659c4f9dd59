//! Files with lists of endpoints: read when they may have changed, and now and then.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::Shared;
use super::list::{self, Author, MAX_BYTES};
use super::progress::Told;
use super::trouble::Trouble;
use crate::file_watch::{Watch, next_look};

/// Follows files until nobody says any more which. One task for all: the system gives few watches that tell of changes.
pub(super) async fn follow(shared: Arc<Shared>, mut paths: watch::Receiver<BTreeSet<PathBuf>>) {
    let touched = Arc::new(Notify::new());
    let mut watching = Watching::Idle(Watch::new(Arc::clone(&touched)));
    let mut reads = Reads { running: HashMap::new(), read, patience: PATIENCE };
    loop {
        // Either way all are read: a look that does not come to its end has perhaps been told of a change.
        tokio::select! {
            changed = paths.changed() => if changed.is_err() { return },
            _ = next_look(&touched) => {}
        }
        let followed = paths.borrow_and_update().clone();
        // Before they are read: what changes meanwhile is noticed. Links may lead elsewhere now, too.
        watching = watching.follow(followed.clone(), &touched).await;
        reads.running.retain(|path, read| followed.contains(path) || !read.is_finished());
        for path in &followed {
            reads.look(&shared, path).await;
        }
    }
}

/// What tells of changes. To set it up, folders are looked at: that may hang like every read.
enum Watching {
    Idle(Watch),
    Busy(JoinHandle<Watch>),
}

impl Watching {
    async fn follow(self, paths: BTreeSet<PathBuf>, touched: &Arc<Notify>) -> Watching {
        let mut watch = match self {
            Watching::Busy(busy) if !busy.is_finished() => return Watching::Busy(busy),
            Watching::Busy(done) => done.await.unwrap_or_else(|_| Watch::new(Arc::clone(touched))),
            Watching::Idle(watch) => watch,
        };
        let mut busy = spawn_blocking(move || {
            watch.follow(&paths);
            watch
        });
        match timeout(PATIENCE, &mut busy).await {
            Ok(Ok(watch)) => Watching::Idle(watch),
            Ok(Err(_)) => Watching::Idle(Watch::new(Arc::clone(touched))),
            // Meanwhile files are read now and then.
            Err(_) => Watching::Busy(busy),
        }
    }
}

/// The reads that are under way: at most one of each file, so that a file system that hangs does not gather threads.
struct Reads {
    running: HashMap<PathBuf, JoinHandle<()>>,
    read: fn(&Path) -> Result<Told, Trouble>,
    patience: Duration,
}

impl Reads {
    /// Reads a file, unless that hangs. What comes late is heard when it comes.
    async fn look(&mut self, shared: &Arc<Shared>, path: &Path) {
        if self.running.get(path).is_some_and(|read| !read.is_finished()) {
            return;
        }
        let (shared_with_read, file, read) = (Arc::clone(shared), path.to_owned(), self.read);
        let mut running = tokio::spawn(async move {
            let file_to_read = file.clone();
            // A panic is told like everything else that goes wrong.
            let heard = spawn_blocking(move || read(&file_to_read)).await;
            let heard = heard.unwrap_or(Err(Trouble::Unreadable(io::ErrorKind::Other)));
            shared_with_read.heard_of_file(&file, heard);
        });
        if timeout(self.patience, &mut running).await.is_err() {
            shared.heard_of_file(path, Err(Trouble::Timeout));
            self.running.insert(path.to_owned(), running);
        }
    }
}

/// So long the other files wait for one.
const PATIENCE: Duration = Duration::from_secs(5);

fn read(path: &Path) -> Result<Told, Trouble> {
    let text = text(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::Missing,
        io::ErrorKind::FileTooLarge => Trouble::TooLarge,
        kind => Trouble::Unreadable(kind),
    })?;
    Ok(Told { list: list::parse(&text, Author::Machine)?.into(), missing: None })
}

fn text(path: &Path) -> io::Result<Vec<u8>> {
    // Whoever opens a pipe waits for somebody to write, for ever perhaps: what is there now may be another thing than at
    // any look before.
    let without_waiting = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let file = File::options().read(true).custom_flags(without_waiting).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut text)?;
    if text.len() > MAX_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn files_are_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list.json");
        let check = |path: &Path, expected: Result<usize, &str>| {
            let found = read(path);
            let found = found.as_ref().map(|told| told.list.len()).map_err(Trouble::as_str);
            assert_eq!(found, expected);
        };
        check(&path, Err("missing"));
        check(folder.path(), Err("unreadable"));
        let write = |text: &str| fs::write(&path, text).expect("it can be written");
        write("[\"10.0.0.1:80\"]\n");
        check(&path, Ok(1));
        write("");
        check(&path, Err("malformed"));
        write(&format!("[]{}", " ".repeat(MAX_BYTES - 2)));
        check(&path, Ok(0));
        write(&format!("[]{}", " ".repeat(MAX_BYTES - 1)));
        check(&path, Err("too_large"));
    }

    /// A file is swapped for a pipe and back all the time: a look at it and the opening see two things.
    #[test]
    fn a_file_that_becomes_a_pipe_stops_no_read() {
        use std::sync::mpsc::{TryRecvError, channel};

        use rustix::fs::{CWD, Mode, RenameFlags, mkfifoat, renameat_with};

        let folder = tempfile::tempdir().expect("a folder");
        let [path, pipe] = ["list.json", "pipe"].map(|name| folder.path().join(name));
        fs::write(&path, "[]").expect("it can be written");
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
        let (done, ended) = channel();
        let read_path = path.clone();
        let reader = std::thread::spawn(move || {
            let (mut files, mut pipes) = (0, 0);
            while files < 200 || pipes < 200 {
                match text(&read_path) {
                    Ok(text) => {
                        assert_eq!(text, b"[]");
                        files += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                        pipes += 1;
                    }
                }
            }
            done.send(()).expect("somebody waits");
        });
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while ended.try_recv() == Err(TryRecvError::Empty) {
            assert!(std::time::Instant::now() < until, "a read waits for a writer");
            renameat_with(CWD, &path, CWD, &pipe, RenameFlags::EXCHANGE).expect("both are there");
        }
        reader.join().expect("it has ended well");
    }

    #[tokio::test]
    async fn one_file_that_hangs_does_not_stop_the_others() {
        static IS_HELD: AtomicBool = AtomicBool::new(true);
        fn slow(path: &Path) -> Result<Told, Trouble> {
            match path.file_name().and_then(|name| name.to_str()) {
                Some("hangs") => {
                    while IS_HELD.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                // Without the hook: to print where it was takes longer than the patience of this test.
                Some("panics") => std::panic::resume_unwind(Box::new("as if by a defect")),
                _ => {}
            }
            Err(Trouble::Missing)
        }
        let shared = Arc::new(Shared::new(|_, _| {}));
        let paths = ["/hangs", "/panics", "/other"].map(PathBuf::from);
        shared.follow(&paths.iter().cloned().map(fulcrum_model::Source::File).collect());
        let troubles = || {
            let status = shared.known().status(Duration::ZERO);
            status.iter().map(|one| one.last_trouble.as_ref().map(Trouble::as_str)).collect::<Vec<_>>()
        };
        let mut reads = Reads { running: HashMap::new(), read: slow, patience: Duration::from_millis(200) };
        // The second time nobody waits for it: there is one thread that hangs.
        for _ in 0..2 {
            for path in &paths {
                reads.look(&shared, path).await;
            }
            // Sorted by their paths.
            assert_eq!(troubles(), [Some("timeout"), Some("missing"), Some("unreadable")]);
        }
        IS_HELD.store(false, Ordering::Relaxed);
        reads.running.remove(&paths[0]).expect("it hangs").await.expect("it ends");
        assert_eq!(troubles()[0], Some("missing"));
    }
}
