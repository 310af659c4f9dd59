//! A store in one file of this host (redb).
//!
//! Every commit is one transaction, on disk before it returns. A file that is not whole is never written to: it stays as
//! it was found, for whoever wants to look.

mod found;
mod holder;
mod quiet;
mod view;

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fulcrum_model::{ServiceName, Traits};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, StorageError,
    TableDefinition,
};

use super::record::{self, RecordError};
use super::{Image, StoreEpoch};
use crate::state::{Change, Departure, Instance, Key, Sequence};

pub use found::{FoundError, found};
use view::Before;

/// The registry's file, open.
#[derive(Debug)]
pub struct Embedded {
    database: Database,
    /// Numbers of events up to this one may be given out without another write.
    reserved: Sequence,
    /// Which file it is; `None` of what is no file.
    identity: Option<Identity>,
}

/// Which file of which file system.
type Identity = (u64, u64);

/// Why a store cannot be opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{}: another daemon has it open{}", path.display(), process(*.holder))]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who, if that is known.
        holder: Option<u32>,
    },
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no registry, or not whole.
    #[error("{}: not a whole registry: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It was written by a later release.
    #[error("{}: written by a later release (format {found}, this one knows {FORMAT})", path.display())]
    Later {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
}

/// Why a change could not be kept. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[error("the registry's file cannot be written: {0}")]
pub struct StoreError(#[source] redb::Error);

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        StoreError(error.into())
    }
}

impl Embedded {
    /// Opens the file, or makes it. `seed` numbers a history that begins here.
    ///
    /// # Errors
    /// The file is in use, not accessible, not whole, or of a later release.
    pub fn open(path: &Path, seed: u64) -> Result<(Self, Image), OpenError> {
        if view::verify(path)? == Before::Nothing {
            found::begin(path, seed)?;
        }
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(failed)?;
        let identity = identity(&file.metadata().map_err(failed)?);
        let opened = Builder::new().set_cache_size(CACHE).create_file(file);
        let database = opened.map_err(|error| refuse(path, error))?;
        let (mut store, image) = Embedded::with(database, path, seed)?;
        store.identity = Some(identity);
        Ok((store, image))
    }

    /// Whether its file is still what is found under this path: what is written to one that was removed or replaced is
    /// lost with the process.
    pub fn is_at(&self, path: &Path) -> bool {
        self.identity.is_none_or(|own| path.metadata().is_ok_and(|found| identity(&found) == own))
    }

    /// What a file holds that no daemon has open. Nothing is written, whatever is wrong with it.
    ///
    /// # Errors
    /// As of [`open`](Self::open); and there is nothing in it.
    pub fn inspect(path: &Path) -> Result<Image, OpenError> {
        let corrupt = |what: String| OpenError::Corrupt { path: path.to_owned(), what };
        let database = view::open(path)?;
        match read(&database).map_err(|error| corrupt(error.to_string()))? {
            Reading::Empty => Err(corrupt("it is empty".to_owned())),
            Reading::Whole(image) => Ok(image),
            Reading::Later(found) => Err(OpenError::Later { path: path.to_owned(), found }),
            Reading::Wrong(what) => Err(corrupt(what)),
        }
    }

    /// As [`open`](Self::open), over anything that stores bytes.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn over(backend: impl StorageBackend, seed: u64) -> Result<(Self, Image), OpenError> {
        let path = Path::new("the storage");
        let opened = Builder::new().set_cache_size(CACHE).create_with_backend(backend);
        let database = opened.map_err(|error| refuse(path, error))?;
        Embedded::with(database, path, seed)
    }

    fn with(database: Database, path: &Path, seed: u64) -> Result<(Self, Image), OpenError> {
        let corrupt = |what: String| OpenError::Corrupt { path: path.to_owned(), what };
        let read = read(&database).map_err(|error| corrupt(error.to_string()))?;
        let mut image = match read {
            Reading::Empty => Image::empty(StoreEpoch(seed)),
            Reading::Whole(image) => image,
            Reading::Later(found) => return Err(OpenError::Later { path: path.to_owned(), found }),
            Reading::Wrong(what) => return Err(corrupt(what)),
        };
        // A file without a number was given one out as a commit was under way.
        let newest = image.instances.iter().map(|instance| instance.sequence).max();
        image.sequence = image.sequence.max(newest.unwrap_or_default());
        let mut store = Embedded { database, reserved: image.sequence, identity: None };
        let begun = store.begin(&image);
        begun.map_err(|error| OpenError::Io { path: path.to_owned(), source: io::Error::other(error) })?;
        Ok((store, image))
    }

    /// Writes down which history this is, and reserves numbers.
    fn begin(&mut self, image: &Image) -> Result<(), StoreError> {
        let reserved = Sequence(image.sequence.0 + BLOCK);
        let transaction = self.database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert("format", FORMAT)?;
            meta.insert("epoch", image.epoch.0)?;
            meta.insert("reserved", reserved.0)?;
            transaction.open_table(INSTANCES)?;
            transaction.open_table(DEPARTED)?;
        }
        transaction.commit()?;
        self.reserved = reserved;
        Ok(())
    }

    /// Numbers of events up to this one may be given out without another write.
    pub fn reserved(&self) -> Sequence {
        self.reserved
    }

    /// Keeps changes, all or none, and returns when they are on disk. Those that need not be kept cost nothing.
    ///
    /// # Errors
    /// Nothing was kept; the store must be opened anew.
    pub fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let last = changes.last().map_or(Sequence(0), |change| change.sequence);
        let must_reserve = last >= self.reserved;
        if !must_reserve && !changes.iter().any(is_kept) {
            return Ok(());
        }
        let reserved = if must_reserve { Sequence(last.0 + BLOCK) } else { self.reserved };
        let transaction = self.database.begin_write()?;
        {
            let mut instances = transaction.open_table(INSTANCES)?;
            let mut departed = transaction.open_table(DEPARTED)?;
            for change in changes.iter().filter(|change| is_kept(change)) {
                let key = write_key(&change.key);
                match &change.after {
                    Some(instance) => {
                        instances.insert(key.as_str(), record::write_instance(instance).as_slice())?;
                        departed.remove(key.as_str())?;
                    }
                    None => {
                        instances.remove(key.as_str())?;
                        if let Some(departure) = change.departure() {
                            departed.insert(key.as_str(), record::write_departure(departure).as_slice())?;
                        }
                    }
                }
            }
            if must_reserve {
                transaction.open_table(META)?.insert("reserved", reserved.0)?;
            }
        }
        transaction.commit()?;
        self.reserved = reserved;
        Ok(())
    }

    /// Writes down how these are, whatever the file says of them; `last` is the last number that was given out.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    pub fn set<'a>(
        &mut self,
        all: impl Iterator<Item = (&'a Key, Option<&'a Instance>, Option<&'a Departure>)>,
        last: Sequence,
    ) -> Result<(), StoreError> {
        let reserved = if last >= self.reserved { Sequence(last.0 + BLOCK) } else { self.reserved };
        let transaction = self.database.begin_write()?;
        {
            let mut instances = transaction.open_table(INSTANCES)?;
            let mut departed = transaction.open_table(DEPARTED)?;
            for (key, instance, departure) in all {
                let key = write_key(key);
                match instance {
                    Some(instance) => {
                        instances.insert(key.as_str(), record::write_instance(instance).as_slice())?;
                    }
                    None => {
                        instances.remove(key.as_str())?;
                    }
                }
                match departure {
                    Some(departure) => {
                        departed.insert(key.as_str(), record::write_departure(departure).as_slice())?;
                    }
                    None => {
                        departed.remove(key.as_str())?;
                    }
                }
            }
            transaction.open_table(META)?.insert("reserved", reserved.0)?;
        }
        transaction.commit()?;
        self.reserved = reserved;
        Ok(())
    }

    /// Forgets those who went so long ago that nobody needs to remember.
    ///
    /// # Errors
    /// Nothing was forgotten; the store must be opened anew.
    pub fn forget(&mut self, is_forgotten: impl Fn(&Key) -> bool) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        {
            let mut departed = transaction.open_table(DEPARTED)?;
            departed.retain(|key, _| read_key(key).is_some_and(|key| !is_forgotten(&key)))?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// What heartbeats say, or that there are none, is no news after a start.
fn is_kept(change: &Change) -> bool {
    !change.is_of_heartbeats()
}

enum Reading {
    Empty,
    Whole(Image),
    Later(u64),
    Wrong(String),
}

fn read(database: &Database) -> Result<Reading, redb::Error> {
    let transaction = database.begin_read()?;
    let tables: Vec<String> =
        transaction.list_tables()?.map(|table| redb::TableHandle::name(&table).to_owned()).collect();
    if tables.is_empty() {
        return Ok(Reading::Empty);
    }
    if !tables.iter().any(|table| table == "meta") {
        return Ok(Reading::Wrong("it holds something else".to_owned()));
    }
    let meta = transaction.open_table(META)?;
    let number = |name| Ok::<_, redb::Error>(meta.get(name)?.map(|value| value.value()));
    match number("format")? {
        Some(FORMAT) => {}
        Some(later) if later > FORMAT => return Ok(Reading::Later(later)),
        _ => return Ok(Reading::Wrong("it has no format".to_owned())),
    }
    let (Some(epoch), Some(reserved)) = (number("epoch")?, number("reserved")?) else {
        return Ok(Reading::Wrong("it has no history".to_owned()));
    };
    let mut image = Image {
        epoch: StoreEpoch(epoch),
        sequence: Sequence(reserved),
        instances: Vec::new(),
        departed: Vec::new(),
    };
    for entry in transaction.open_table(INSTANCES)?.iter()? {
        let (key, value) = entry?;
        match instance(key.value(), value.value()) {
            Ok(mut instance) => {
                if let Some(before) = image.instances.last() {
                    share(&mut instance, before);
                }
                image.instances.push(instance);
            }
            Err(what) => return Ok(Reading::Wrong(what)),
        }
    }
    for entry in transaction.open_table(DEPARTED)?.iter()? {
        let (key, value) = entry?;
        match departure(key.value(), value.value()) {
            Ok(departure) => image.departed.push(departure),
            Err(what) => return Ok(Reading::Wrong(what)),
        }
    }
    Ok(Reading::Whole(image))
}

/// What an instance has in common with the one before it, which is mostly of the same service, is in memory once, and
/// at once: what would be let go of later is room that nobody else uses.
fn share(instance: &mut Instance, before: &Instance) {
    if instance.key.service == before.key.service {
        instance.key.service = before.key.service.clone();
    }
    if instance.owner == before.owner {
        instance.owner = Arc::clone(&before.owner);
    }
    Traits::share(&mut instance.registration.traits, &before.registration.traits);
}

fn instance(key: &str, value: &[u8]) -> Result<Instance, String> {
    let name = read_key(key).ok_or_else(|| format!("`{key}` is no instance"))?;
    record::read_instance(name, value).map_err(|error: RecordError| format!("instance `{key}`: {error}"))
}

fn departure(key: &str, value: &[u8]) -> Result<(ServiceName, Departure), String> {
    let name = read_key(key).ok_or_else(|| format!("`{key}` is no instance"))?;
    let read = record::read_departure(&name, value);
    let departure = read.map_err(|error| format!("former instance `{key}`: {error}"))?;
    Ok((name.service, departure))
}

fn refuse(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { holder: holder::of(&path), path },
        DatabaseError::Storage(StorageError::Io(source)) if !is_about_contents(&source) => {
            OpenError::Io { path, source }
        }
        other => OpenError::Corrupt { path, what: other.to_string() },
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn process(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |number| format!(": process {number}"))
}

fn is_about_contents(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// Neither has a `/` in it.
fn write_key(key: &Key) -> String {
    format!("{}/{}", key.service, key.id)
}

fn read_key(text: &str) -> Option<Key> {
    let (service, id) = text.split_once('/')?;
    Some(Key { service: service.parse().ok()?, id: id.parse().ok()? })
}

/// The layout of the tables below.
const FORMAT: u64 = 1;

/// Pages of the file in memory, in bytes: what is in the file is in the registry's memory already, and is read at the start
/// alone.
const CACHE: usize = 4 << 20;

/// So many numbers of events are reserved at a time: a write for each block, a gap of at most one after a start.
const BLOCK: u64 = 100_000;

const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
const INSTANCES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("instances");
const DEPARTED: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("departed");

#[cfg(test)]
mod disk;
#[cfg(test)]
mod tests;
