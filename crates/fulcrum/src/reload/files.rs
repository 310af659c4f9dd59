//! The files that a configuration is made of, and whether they still hold what was read.
//!
//! Content decides, not time stamps: a file that was touched or replaced by the same is no new configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fulcrum_config::gslb::Gslb;
use fulcrum_config::{Loaded, Report, regular_file};
use fulcrum_control_plane::file_watch::Watch;
use tokio::sync::Notify;

/// The main file and everything it led to when it was last read.
#[derive(Debug)]
pub(crate) struct Files {
    main: PathBuf,
    /// Files and folders as they were just before they were read last.
    prints: BTreeMap<PathBuf, Print>,
    /// Files of data that the configuration names, as they were just before they were read last.
    data: BTreeMap<PathBuf, Option<Stamp>>,
    /// Those of them that are read anew by themselves when they change.
    databases: BTreeSet<PathBuf>,
    /// Those that have changed since this was asked last.
    changed_data: BTreeSet<PathBuf>,
    watch: Watch,
}

/// What tells versions of a file of data apart: they may be too large to be read just for that.
type Stamp = (u64, u64, u64, i64, i64);

/// What identifies the content of a file, or the names in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print(u64);

impl Files {
    /// Begins with the main file alone. `touched` is told when a file may have changed, from the first
    /// [`load`](Files::load) on.
    pub(crate) fn new(main: PathBuf, touched: Arc<Notify>) -> Self {
        Files {
            main,
            prints: BTreeMap::new(),
            data: BTreeMap::new(),
            databases: BTreeSet::new(),
            changed_data: BTreeSet::new(),
            watch: Watch::new(touched),
        }
    }

    /// The main file.
    pub(crate) fn main(&self) -> &Path {
        &self.main
    }

    /// Reads them all. Changes from here on are noticed, also in a configuration that is wrong.
    pub(crate) fn load(&mut self) -> Result<Loaded, Report> {
        let loaded = self.load_configuration();
        if let Ok(loaded) = &loaded {
            self.note_data(loaded.config.gslb.as_ref());
        }
        loaded
    }

    /// Before the data is read: what changes meanwhile is noticed.
    fn note_data(&mut self, gslb: Option<&Gslb>) {
        let before = std::mem::take(&mut self.data);
        self.data = gslb.into_iter().flat_map(Gslb::files).map(|path| (path.clone(), stamp(path))).collect();
        self.databases = gslb.into_iter().flat_map(Gslb::databases).cloned().collect();
        let is_other =
            |(path, now): &(&PathBuf, &Option<Stamp>)| before.get(*path).is_some_and(|was| was != *now);
        self.changed_data.extend(self.data.iter().filter(is_other).map(|(path, _)| path.clone()));
        self.watch.follow(&self.watched());
    }

    /// The files of data that have changed since this was asked last.
    pub(crate) fn take_changed_data(&mut self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.changed_data)
    }

    fn watched(&self) -> BTreeSet<PathBuf> {
        self.prints.keys().chain(&self.databases).cloned().collect()
    }

    fn load_configuration(&mut self) -> Result<Loaded, Report> {
        let mut wanted = BTreeSet::from([self.main.clone()]);
        wanted.extend(self.prints.keys().cloned());
        for _ in 1..MOST_ROUNDS {
            let loaded = self.load_watching(&wanted);
            let led_to = self.led_to(&loaded);
            if led_to.is_subset(&wanted) {
                self.prints.retain(|path, _| led_to.contains(path));
                return loaded;
            }
            // Some of what was read may have changed before anyone watched it: once more.
            wanted.extend(led_to);
        }
        self.load_watching(&wanted)
    }

    fn load_watching(&mut self, paths: &BTreeSet<PathBuf>) -> Result<Loaded, Report> {
        self.watch.follow(paths);
        self.prints = paths.iter().map(|path| (path.clone(), Print::of(path))).collect();
        fulcrum_config::load(&self.main, &|name| std::env::var(name).ok())
    }

    /// What a load has read. One that failed does not know all of it: then what was known before stays.
    fn led_to(&self, loaded: &Result<Loaded, Report>) -> BTreeSet<PathBuf> {
        let mut paths = BTreeSet::from([self.main.clone()]);
        match loaded {
            Ok(loaded) => paths.extend(loaded.files.iter().cloned()),
            Err(report) => {
                paths.extend(self.prints.keys().cloned());
                paths.extend(report.diagnostics().iter().map(|mistake| PathBuf::from(&mistake.file)));
            }
        }
        paths
    }

    /// Whether anything holds something else than when it was read last. Looks at every byte of every file of the
    /// configuration, and of databases at what identifies them. Zones and networks wait to be told: of a text that is being
    /// written a part may look whole, of a database it does not.
    pub(crate) fn have_changed(&mut self) -> bool {
        // Folders may have been replaced; what happens in the new ones has to be noticed too.
        self.watch.follow(&self.watched());
        let is_other = |path: &PathBuf| self.data.get(path).is_some_and(|was| stamp(path) != *was);
        self.prints.iter().any(|(path, print)| Print::of(path) != *print)
            || self.databases.iter().any(is_other)
    }
}

impl Print {
    fn of(path: &Path) -> Self {
        let mut hasher = DefaultHasher::new();
        match names(path) {
            Some(names) => names.hash(&mut hasher),
            None => {
                let read = regular_file::read(path, LARGEST);
                read.map_err(|error| error.kind()).hash(&mut hasher)
            }
        }
        Print(hasher.finish())
    }
}

/// `None` while it is not there.
fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

/// The names in a folder, in order, if it is one. Hidden ones are those of editors and of no configuration.
fn names(path: &Path) -> Option<Vec<std::ffi::OsString>> {
    let entries = fs::read_dir(path).ok()?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let mut names: Vec<_> = names.filter(|name| !name.as_encoded_bytes().starts_with(b".")).collect();
    names.sort();
    Some(names)
}

/// Reads until nothing new turns up: the main file, what it includes, and once more for an include that has changed
/// meanwhile. More means that somebody writes all the time, who will be noticed.
const MOST_ROUNDS: usize = 4;

/// More than any file of a configuration may have, in bytes.
const LARGEST: u64 = (16 << 20) + 1;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "{ version: 1, listeners: { web: { bind: \":80\", redirect: https } } }";

    #[test]
    fn content_decides() {
        let folder = tempfile::tempdir().expect("a folder");
        let main = folder.path().join("fulcrum.yaml");
        fs::write(&main, GOOD).expect("written");
        let mut files = Files::new(main.clone(), Arc::default());
        files.load().expect("it is good");
        assert!(!files.have_changed());
        fs::write(&main, GOOD).expect("written");
        assert!(!files.have_changed(), "the same again");
        fs::write(&main, "nonsense").expect("written");
        assert!(files.have_changed());
        files.load().expect_err("it is bad");
        assert!(!files.have_changed(), "what is bad is told once");
        fs::remove_file(&main).expect("removed");
        assert!(files.have_changed());
        files.load().expect_err("it is missing");
        assert!(!files.have_changed());
        fs::write(&main, GOOD).expect("written");
        assert!(files.have_changed());
    }

    #[test]
    fn a_file_that_was_wrong_is_looked_at_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (main, part) = (folder.path().join("fulcrum.yaml"), folder.path().join("part.yaml"));
        fs::write(&main, "{ version: 1, include: part.yaml }").expect("written");
        fs::write(&part, "{ listeners: { web: { bind: nowhere } } }").expect("written");
        let mut files = Files::new(main, Arc::default());
        files.load().expect_err("it is bad");
        assert!(!files.have_changed());
        fs::write(&part, "{ listeners: { web: { bind: \":80\", redirect: https } } }").expect("written");
        assert!(files.have_changed());
        files.load().expect("it is good");
    }

    #[test]
    fn what_is_included_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        fs::create_dir(at("conf.d")).expect("made");
        fs::write(
            at("fulcrum.yaml"),
            "{ version: 1, include: conf.d/*.yaml, admin: { token: \"file:token\" } }",
        )
        .expect("written");
        let token = "a-token-that-is-long-enough-for-everybody";
        fs::write(at("token"), token).expect("written");
        fs::write(at("conf.d/a.yaml"), "{ listeners: { web: { bind: \":80\", redirect: https } } }")
            .expect("written");
        let mut files = Files::new(at("fulcrum.yaml"), Arc::default());
        let mut check = |path: &str, text: &str| {
            files.load().expect("it is good");
            assert!(!files.have_changed(), "before {path}");
            fs::write(at(path), text).expect("written");
            assert!(files.have_changed(), "after {path}");
        };
        check("conf.d/a.yaml", "{ listeners: { web: { bind: \":81\", redirect: https } } }");
        check("conf.d/b.yaml", "{ listeners: { more: { bind: \":82\", redirect: https } } }");
        check("conf.d/b.yaml", "{ listeners: { more: { bind: \":83\", redirect: https } } }");
        check("token", &token.to_uppercase());
    }

    #[test]
    fn a_folder_is_its_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = Print::of(folder.path());
        fs::write(folder.path().join(".a.yaml.swp"), "").expect("written");
        assert_eq!(Print::of(folder.path()), before);
        fs::write(folder.path().join("a.yaml"), "").expect("written");
        assert_ne!(Print::of(folder.path()), before);
    }
}
