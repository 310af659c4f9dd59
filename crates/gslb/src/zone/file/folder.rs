//! The files of a zone: its own, and those that it includes. Only from below its folder, and not too many.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fulcrum_config::regular_file;

use super::texts::{Print, Step, Texts};

/// The folder of a zone file, and how much may still be read from it.
pub(super) struct Folder {
    /// Without symbolic links.
    root: PathBuf,
    bytes_left: u64,
    files_left: u32,
    /// The files that are being read, each included by the one before it.
    open: Vec<PathBuf>,
    /// What was read so far.
    steps: Vec<Step>,
}

/// A file that was read.
pub(super) struct Text {
    /// Its path, as people know it.
    pub(super) path: Arc<Path>,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
}

impl Folder {
    /// The zone file at a path, and the folder that it is in.
    pub(super) fn open(path: &Path) -> Result<(Self, Text), String> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let root = fs::canonicalize(parent.unwrap_or(Path::new("."))).map_err(|error| error.to_string())?;
        let mut folder = Folder {
            root,
            bytes_left: BYTES_MAX,
            files_left: FILES_MAX,
            open: Vec::new(),
            steps: Vec::new(),
        };
        let real = fs::canonicalize(path).map_err(|error| error.to_string())?;
        let text = folder.read(real, path)?;
        folder.steps.push(Step::Own(Print::of(&text.bytes)));
        Ok((folder, text))
    }

    /// Reads a file that the last one includes; `close` says that its end was reached.
    pub(super) fn include(&mut self, name: &str) -> Result<Text, String> {
        if self.open.len() > DEPTH_MAX {
            return Err(format!("included files include others at most {DEPTH_MAX} deep"));
        }
        let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(name).components().all(is_below) {
            return Err("the path has to be relative to the folder of the zone file, without `..`".to_owned());
        }
        let path = self.root.join(name);
        let real = fs::canonicalize(&path).map_err(|error| error.to_string())?;
        if !real.starts_with(&self.root) {
            return Err("it leads out of the folder of the zone file".to_owned());
        }
        if self.open.contains(&real) {
            return Err("it includes itself".to_owned());
        }
        let text = self.read(real, &path)?;
        self.steps.push(Step::Included(name.into(), Print::of(&text.bytes)));
        Ok(text)
    }

    /// What was read.
    pub(super) fn into_texts(self) -> Texts {
        Texts::of(self.steps)
    }

    pub(super) fn close(&mut self) {
        self.open.pop();
        self.steps.push(Step::End);
    }

    fn read(&mut self, real: PathBuf, path: &Path) -> Result<Text, String> {
        self.files_left =
            self.files_left.checked_sub(1).ok_or_else(|| format!("a zone has at most {FILES_MAX} files"))?;
        let bytes = regular_file::read(&real, self.bytes_left + 1).map_err(|error| error.to_string())?;
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| format!("the files of a zone have at most {} MiB", BYTES_MAX >> 20))?;
        self.open.push(real);
        Ok(Text { path: path.into(), bytes })
    }
}

/// A million records have room.
pub(super) const BYTES_MAX: u64 = 64 << 20;
/// A file that is included twice counts twice: every file may include others.
pub(super) const FILES_MAX: u32 = 1000;
pub(super) const DEPTH_MAX: usize = 8;
