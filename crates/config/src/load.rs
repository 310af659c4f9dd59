//! The pipeline: files, trees, raw structs, one validated configuration.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::Config;
use crate::code::Code;
use crate::compose::{Environment, compose};
use crate::decode::Decode;
use crate::file::{self, FileError};
use crate::node::Node;
use crate::raw::RawConfig;
use crate::report::{Problems, Report};
use crate::secret;
use crate::source::{Place, Sources};
use crate::validate::{Context, validate};

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What was configured.
    pub config: Config,
    /// What is hardly as meant.
    pub warnings: Report,
    /// What it was made of, each once: every file that was read, secrets among them, and every folder that was looked
    /// through. The result can be another one only after one of these has changed.
    pub files: Vec<PathBuf>,
}

/// Reads a file and those it includes. Variables are taken from `env`.
///
/// # Errors
/// Every error of every file, and the warnings besides.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    let mut loading = Loading::new(env);
    match file::read(path) {
        Ok(text) => loading.main(path.display().to_string(), text),
        Err(error) => loading.unreadable(path, error),
    }
    loading.finish()
}

/// Loads a text as if it were the content of a file of this name; includes and secrets are looked up beside it.
///
/// # Errors
/// As [`load`].
pub fn load_text(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    let mut loading = Loading::new(env);
    loading.main(name.to_owned(), file::without_mark(text.to_owned()));
    loading.finish()
}

struct Loading<'a> {
    env: Environment<'a>,
    sources: Sources,
    problems: Problems,
    raw: Vec<RawConfig>,
    /// Files that were read and folders that were looked through.
    files: Vec<PathBuf>,
    /// Every file could be read and is YAML.
    complete: bool,
    bytes: usize,
}

impl<'a> Loading<'a> {
    fn new(env: Environment<'a>) -> Self {
        Loading {
            env,
            sources: Sources::default(),
            problems: Problems::default(),
            raw: Vec::new(),
            files: Vec::new(),
            complete: true,
            bytes: 0,
        }
    }

    fn unreadable(&mut self, path: &Path, error: FileError) {
        let file = self.sources.add(path.display().to_string(), String::new());
        self.problems.add(error.code, Place::whole(file), error.message);
        self.complete = false;
    }

    fn main(&mut self, name: String, text: String) {
        self.files.push(PathBuf::from(&name));
        let Some(node) = self.tree(name.clone(), text) else { return };
        self.raw(&node);
        let unversioned = self.raw.first().filter(|file| file.given.place("version").is_none());
        if let Some(raw) = unversioned {
            self.problems
                .add(Code::Missing, raw.given.whole(), "the key `version` is missing")
                .note("this release reads `version: 1`");
        }
        let includes = self.raw.first().and_then(|file| file.include.clone());
        let main = PathBuf::from(name);
        let mut seen = HashSet::from([identity(&main)]);
        for include in includes.into_iter().flat_map(|includes| includes.0) {
            self.include(&main, &include.value, include.place, &mut seen);
        }
    }

    fn include(&mut self, main: &Path, include: &str, place: Place, seen: &mut HashSet<PathBuf>) {
        let folder = main.parent().unwrap_or(Path::new(""));
        let found = match file::included(folder, include) {
            Ok(found) => found,
            Err(error) => {
                self.problems.add(error.code, place, error.message);
                self.complete = false;
                return;
            }
        };
        let is_pattern = found.folder.is_some();
        self.files.extend(found.folder);
        for path in found.files {
            if !seen.insert(identity(&path)) {
                // A pattern may well fit the main file or one that was included by name.
                if !is_pattern {
                    self.problems.add(Code::Include, place, format!("`{include}` is included already"));
                }
                continue;
            }
            if seen.len() > MOST_FILES {
                self.problems.add(Code::Include, place, format!("more than {MOST_FILES} files"));
                return;
            }
            self.included_file(&path, place);
        }
    }

    fn included_file(&mut self, path: &Path, place: Place) {
        let text = match file::read(path) {
            Ok(text) => text,
            Err(error) => {
                self.problems.add(error.code, place, error.message);
                self.complete = false;
                return;
            }
        };
        self.files.push(path.to_owned());
        let Some(node) = self.tree(path.display().to_string(), text) else { return };
        if let Some(entry) = node.entry("include") {
            self.problems
                .add(Code::Include, entry.key_place, "an included file cannot include others")
                .note("name them in the main file");
        }
        self.raw(&node);
    }

    fn tree(&mut self, name: String, text: String) -> Option<Rc<Node>> {
        self.bytes += text.len();
        let too_large = self.bytes > MOST_BYTES;
        let file = self.sources.add(name, if too_large { String::new() } else { text });
        let node = if too_large {
            self.problems.add(
                Code::Unreadable,
                Place::whole(file),
                "all files together are larger than 64 MiB",
            );
            None
        } else {
            compose(&self.sources, file, self.env, &mut self.problems)
        };
        self.complete &= node.is_some();
        node
    }

    fn raw(&mut self, node: &Node) {
        for secret in secret::of(node) {
            self.sources.hide(secret.place);
        }
        match RawConfig::decode(node, &mut self.problems) {
            Some(raw) => self.raw.push(raw),
            None => self.complete = false,
        }
    }

    fn finish(mut self) -> Result<Loaded, Report> {
        let mut context = Context {
            sources: &self.sources,
            problems: &mut self.problems,
            complete: self.complete,
            files: self.files,
        };
        let config = validate(self.raw, &mut context);
        let mut files = context.files;
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(file.clone()));
        let warnings = self.problems.into_report(&self.sources);
        match config {
            Some(config) => Ok(Loaded { config, warnings, files }),
            None => Err(warnings),
        }
    }
}

/// The same for all paths to one file.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Files of one configuration.
const MOST_FILES: usize = 10_000;

/// Bytes of all files.
const MOST_BYTES: usize = 64 << 20;
