//! Files with lists of endpoints: read when they may have changed, and now and then.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::Shared;
use super::list::{self, Author, MAX_BYTES};
use super::progress::Told;
use super::trouble::Trouble;
use crate::file_watch::{Watch, next_look};

/// Follows files until nobody says any more which. One task for all: the system gives few watches that tell of changes.
pub(super) async fn follow(shared: Arc<Shared>, mut paths: watch::Receiver<BTreeSet<PathBuf>>) {
    let touched = Arc::new(Notify::new());
    let mut watch = Watch::new(Arc::clone(&touched));
    loop {
        // Either way all are read: a look that does not come to its end has perhaps been told of a change.
        tokio::select! {
            changed = paths.changed() => if changed.is_err() { return },
            _ = next_look(&touched) => {}
        }
        let followed = paths.borrow_and_update().clone();
        // Before they are read: what changes meanwhile is noticed. Links may lead elsewhere now, too.
        watch.follow(&followed);
        for path in &followed {
            look(&shared, path).await;
        }
    }
}

async fn look(shared: &Shared, path: &Path) {
    let file = path.to_owned();
    // The only thread that does this: a file system that hangs does not gather more of them.
    if let Ok(heard) = tokio::task::spawn_blocking(move || read(&file)).await {
        shared.heard_of_file(path, heard);
    }
}

fn read(path: &Path) -> Result<Told, Trouble> {
    let text = text(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::Missing,
        io::ErrorKind::FileTooLarge => Trouble::TooLarge,
        kind => Trouble::Unreadable(kind),
    })?;
    Ok(Told { list: list::parse(&text, Author::Machine)?.into(), missing: None })
}

fn text(path: &Path) -> io::Result<Vec<u8>> {
    // Whoever opens a pipe waits for somebody to write.
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut text)?;
    if text.len() > MAX_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
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
}
