//! A file that is looked at and never written: what redb would set right in it, as after a crash, is set right in memory
//! alone.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::quiet::caught;
use super::{CACHE, OpenError, holder, refuse};

/// What is where a registry is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// No file.
    Nothing,
    /// A file without contents, or one that is whole.
    File,
}

/// That a file, where there is one, is whole to its last page: opening it alone reads only some.
pub(super) fn verify(path: &Path) -> Result<Before, OpenError> {
    match path.metadata() {
        Ok(found) if found.len() > 0 => open(path).map(|_| Before::File),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Before::Nothing),
        // Whoever opens it learns what is wrong.
        _ => Ok(Before::File),
    }
}

/// The contents of a file, every page of which is whole. Nobody may open the file for writing meanwhile.
pub(super) fn open(path: &Path) -> Result<Database, OpenError> {
    let view = View::of(path)?;
    let corrupt = |what: &str| OpenError::Corrupt { path: path.to_owned(), what: what.to_owned() };
    if view.length == 0 {
        return Err(corrupt("it is empty"));
    }
    match check(view)
        .map_err(|_| corrupt("its pages contradict each other"))?
        .map_err(|error| refuse(path, error))?
    {
        (true, database) => Ok(database),
        // It could go on from the commit before the last one, which was acknowledged.
        (false, _) => Err(corrupt("its last commit is damaged")),
    }
}

/// Whether every page is whole; an error when the pages contradict each other.
///
/// redb checks sums, but believes some numbers before it does. Nothing outlives a panic: all of it is in the view.
fn check(view: impl StorageBackend) -> std::thread::Result<Result<(bool, Database), DatabaseError>> {
    caught(|| {
        let mut database = Builder::new().set_cache_size(CACHE).create_with_backend(view)?;
        Ok((database.check_integrity()?, database))
    })
}

/// A file, and what was written over it.
#[derive(Debug)]
struct View {
    file: File,
    /// Of the file.
    length: u64,
    over: Mutex<Over>,
}

/// What would have been written.
#[derive(Debug)]
struct Over {
    length: u64,
    /// The file's own bytes count only up to here: it was cut there once.
    kept: u64,
    /// By their number.
    blocks: HashMap<u64, Box<[u8; BLOCK]>>,
}

impl View {
    /// Shares the file with others that only look; a daemon keeps it for itself.
    fn of(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: path.to_owned(), holder: holder::of(path) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let length = file.metadata().map_err(failed)?.len();
        let over = Over { length, kept: length, blocks: HashMap::new() };
        Ok(View { file, length, over: Mutex::new(over) })
    }

    fn over(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as it is seen; zeros beyond the end.
    fn block(&self, over: &Over, number: u64, block: &mut [u8; BLOCK]) -> io::Result<()> {
        if let Some(written) = over.blocks.get(&number) {
            block.copy_from_slice(&written[..]);
            return Ok(());
        }
        let start = number * BLOCK as u64;
        let there = over.kept.saturating_sub(start).min(BLOCK as u64) as usize;
        block[there..].fill(0);
        self.file.read_exact_at(&mut block[..there], start)
    }
}

impl StorageBackend for View {
    fn len(&self) -> io::Result<u64> {
        Ok(self.over().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let over = self.over();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > over.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut block = [0; BLOCK];
        let mut done = 0;
        while done < out.len() {
            let (number, within) = place(offset + done as u64);
            let length = (BLOCK - within).min(out.len() - done);
            self.block(&over, number, &mut block)?;
            out[done..done + length].copy_from_slice(&block[within..within + length]);
            done += length;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut over = self.over();
        over.length = length;
        over.kept = over.kept.min(length);
        let (last, within) = place(length);
        over.blocks.retain(|number, _| *number <= last);
        // What is beyond the end is zero when it is there again.
        if let Some(block) = over.blocks.get_mut(&last) {
            block[within..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut over = self.over();
        let mut done = 0;
        while done < data.len() {
            let (number, within) = place(offset + done as u64);
            let length = (BLOCK - within).min(data.len() - done);
            let mut block = Box::new([0; BLOCK]);
            self.block(&over, number, &mut block)?;
            block[within..within + length].copy_from_slice(&data[done..done + length]);
            over.blocks.insert(number, block);
            done += length;
        }
        Ok(())
    }
}

/// In which block a byte is, and where in it.
fn place(offset: u64) -> (u64, usize) {
    (offset / BLOCK as u64, (offset % BLOCK as u64) as usize)
}

/// The size of redb's pages.
const BLOCK: usize = 4096;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use redb::{ReadableDatabase, ReadableTable, TableDefinition};

    use super::*;

    const TABLE: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("table");

    /// A view, and how many bytes of it were read.
    #[derive(Debug)]
    struct Counted(View, Arc<AtomicU64>);

    impl StorageBackend for Counted {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.1.fetch_add(out.len() as u64, Ordering::Relaxed);
            self.0.read(offset, out)
        }

        fn set_len(&self, length: u64) -> io::Result<()> {
            self.0.set_len(length)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    /// Whoever looks at a large file does not keep it in memory: what was read is read again.
    #[test]
    fn a_file_that_is_checked_does_not_stay_in_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("large");
        let database = Database::create(&path).expect("a file");
        let transaction = database.begin_write().expect("begun");
        {
            let mut table = transaction.open_table(TABLE).expect("a table");
            let value = vec![7; 64 << 10];
            (0..512).for_each(|key| drop(table.insert(key, &value[..]).expect("written")));
        }
        transaction.commit().expect("written");
        drop(database);
        let read = Arc::new(AtomicU64::new(0));
        let view = Counted(View::of(&path).expect("a file"), Arc::clone(&read));
        let (is_whole, database) = check(view).expect("no panic").expect("readable");
        assert!(is_whole);
        let all = || {
            let before = read.load(Ordering::Relaxed);
            let transaction = database.begin_read().expect("begun");
            let table = transaction.open_table(TABLE).expect("a table");
            table.iter().expect("entries").for_each(|entry| drop(entry.expect("an entry")));
            read.load(Ordering::Relaxed) - before
        };
        all();
        let again = all();
        assert!(again >= 16 << 20, "{again} bytes of 32 MiB were read again");
    }
}
