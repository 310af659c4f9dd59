//! Notices at once when a file may have changed, however that is done: written, replaced by another, or reached by a
//! symbolic link that leads elsewhere now (as Kubernetes does with all files of a ConfigMap).
//!
//! Folders are watched, not files: a watch on a file stays with what was renamed away.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Follows a set of files and folders.
pub struct Watch {
    touched: Arc<Notify>,
    followed: Followed,
    /// Nothing where the system gives none: then looking now and then is all there is.
    watcher: Option<RecommendedWatcher>,
}

/// What is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Followed {
    /// Entries of folders whose change matters, and folders in which everything does.
    entries: BTreeSet<PathBuf>,
    /// With device and inode: a folder that was replaced needs another watch.
    folders: BTreeSet<(PathBuf, u64, u64)>,
}

impl Watch {
    /// Follows nothing yet.
    pub fn new(touched: Arc<Notify>) -> Self {
        Watch { touched, followed: Followed::default(), watcher: None }
    }

    /// Follows these files and folders instead of those before.
    pub fn follow(&mut self, paths: &BTreeSet<PathBuf>) {
        let followed = Followed::find(paths);
        if followed == self.followed {
            return;
        }
        self.followed = followed;
        self.watcher = self.begin().unwrap_or_else(|error| {
            tracing::warn!("changes of files are noticed after up to {LOOK_EVERY:?} only: {error}");
            None
        });
    }

    fn begin(&self) -> notify::Result<Option<RecommendedWatcher>> {
        let (touched, entries) = (Arc::clone(&self.touched), self.followed.entries.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| matters(&event, &entries)) {
                touched.notify_one();
            }
        })?;
        for (folder, _, _) in &self.followed.folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Some(watcher))
    }
}

impl Followed {
    fn find(paths: &BTreeSet<PathBuf>) -> Self {
        let mut followed = Followed::default();
        for path in paths {
            let trail = trail(path);
            let itself = path.is_dir().then(|| path.clone());
            for folder in trail.iter().filter_map(|entry| entry.parent()).chain(itself.as_deref()) {
                // A folder that is missing appears in its parent at the earliest with the next look.
                if let Ok(found) = fs::metadata(folder) {
                    followed.folders.insert((folder.to_owned(), found.dev(), found.ino()));
                }
            }
            followed.entries.extend(trail);
            followed.entries.extend(itself);
        }
        followed
    }
}

/// Whether an event can mean that something is to be read anew. Our own reading is none.
fn matters(event: &Event, entries: &BTreeSet<PathBuf>) -> bool {
    let is_change = match event.kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let concerns = |path: &PathBuf| {
        entries.contains(path) || path.parent().is_some_and(|folder| entries.contains(folder))
    };
    // Events were lost: anything may have happened.
    event.need_rescan() || (is_change && event.paths.iter().any(concerns))
}

/// The directory entries whose replacement makes a path lead to another file: the file itself, and every symbolic link
/// on the way to it.
fn trail(path: &Path) -> BTreeSet<PathBuf> {
    let mut trail = BTreeSet::new();
    let Ok(mut path) = std::path::absolute(path) else { return trail };
    for _ in 0..MOST_LINKS {
        let Some((link, beyond)) = first_link(&path) else { break };
        trail.insert(link);
        path = beyond;
    }
    trail.insert(path);
    trail
}

/// The first symbolic link of a path, and the path with that link followed.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut link = PathBuf::new();
    let mut rest = path.components();
    while let Some(part) = rest.next() {
        link.push(part);
        if let (Component::Normal(_), Ok(target)) = (part, fs::read_link(&link)) {
            let beyond = link.parent().unwrap_or(Path::new("/")).join(target);
            let beyond =
                if rest.as_path().as_os_str().is_empty() { beyond } else { beyond.join(rest.as_path()) };
            return Some((link, beyond));
        }
    }
    None
}

/// Waits until files may have changed and whoever changes them seems to be done, or until it is time to look anyway:
/// network file systems and replaced folders tell nothing.
pub async fn next_look(touched: &Notify) -> Look {
    tokio::select! {
        () = touched.notified() => {}
        () = tokio::time::sleep(LOOK_EVERY) => return Look::Routine,
    }
    let first = Instant::now();
    let mut last = first;
    while last < first + MOST_PATIENCE
        && tokio::time::timeout_at(settled(first, last), touched.notified()).await.is_ok()
    {
        last = Instant::now();
    }
    Look::Touched
}

/// When to look, after a first and a last sign of change: an early look reads half of what is being written.
fn settled(first: Instant, last: Instant) -> Instant {
    (last + QUIET).min(first + MOST_PATIENCE)
}

/// Why to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A file was written or replaced.
    Touched,
    /// It has been a while.
    Routine,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("followed", &self.followed).finish_non_exhaustive()
    }
}

/// Nothing has happened for so long: whoever writes has finished.
const QUIET: Duration = Duration::from_millis(200);

/// Somebody who writes all the time does not keep a configuration from being read.
const MOST_PATIENCE: Duration = Duration::from_secs(1);

/// How late a change is found that nobody told of.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use notify::event::{CreateKind, ModifyKind};

    use super::*;

    #[test]
    fn a_trail_has_every_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        let at = |path: &str| root.join(path);
        fs::create_dir(at("..2026_01")).expect("made");
        fs::write(at("..2026_01/fulcrum.yaml"), "").expect("written");
        symlink("..2026_01", at("..data")).expect("linked");
        symlink("..data/fulcrum.yaml", at("fulcrum.yaml")).expect("linked");
        symlink(at("fulcrum.yaml"), at("absolute")).expect("linked");
        symlink("loop", at("loop")).expect("linked");
        let check = |path: &str, expected: &[&str]| {
            let expected: BTreeSet<PathBuf> = expected.iter().map(|path| at(path)).collect();
            assert_eq!(trail(&at(path)), expected, "{path}");
        };
        check("..2026_01/fulcrum.yaml", &["..2026_01/fulcrum.yaml"]);
        check("fulcrum.yaml", &["fulcrum.yaml", "..data", "..2026_01/fulcrum.yaml"]);
        check("absolute", &["absolute", "fulcrum.yaml", "..data", "..2026_01/fulcrum.yaml"]);
        check("missing/fulcrum.yaml", &["missing/fulcrum.yaml"]);
        check("loop", &["loop"]);
    }

    #[test]
    fn only_changes_of_what_is_followed_matter() {
        let entries = BTreeSet::from([PathBuf::from("/etc/a.yaml"), PathBuf::from("/etc/conf.d")]);
        let check = |kind: EventKind, path: &str, expected: bool| {
            assert_eq!(
                matters(&Event::new(kind).add_path(path.into()), &entries),
                expected,
                "{kind:?} {path}"
            );
        };
        check(EventKind::Modify(ModifyKind::Any), "/etc/a.yaml", true);
        check(EventKind::Create(CreateKind::File), "/etc/conf.d/new.yaml", true);
        check(EventKind::Create(CreateKind::File), "/etc/conf.d", true);
        check(EventKind::Create(CreateKind::File), "/etc/other.yaml", false);
        check(EventKind::Modify(ModifyKind::Any), "/etc", false);
        check(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/etc/a.yaml", false);
        check(EventKind::Access(AccessKind::Close(AccessMode::Read)), "/etc/a.yaml", false);
        check(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/etc/a.yaml", true);
        let lost = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(matters(&lost, &entries));
    }

    #[test]
    fn patience_has_an_end() {
        let first = Instant::now();
        let check = |last: u64, expected: u64| {
            let last = first + Duration::from_millis(last);
            assert_eq!(settled(first, last), first + Duration::from_millis(expected), "{last:?}");
        };
        check(0, 200);
        check(150, 350);
        check(790, 990);
        check(900, 1000);
    }
}
