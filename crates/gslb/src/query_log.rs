//! A sample of the queries, a line of JSON each.
//!
//! ```text
//!   worker ── Entry ─► bounded queue ─► writer thread ─► file
//! ```
//!
//! Who answers copies an entry into a queue that is there already, and never waits: what does not fit is counted. All that
//! costs anything, names and lines and the file, is done by the writer.

mod line;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use fulcrum_balance::Rng;
use fulcrum_config::gslb::QueryLog as Config;

use crate::answer::{Answered, Transport};
use crate::names::Names;
use crate::snapshot::{Named, Snapshot};

/// The end of the log that workers have.
#[derive(Clone, Debug)]
pub(crate) struct QueryLog {
    queue: SyncSender<Entry>,
    one_in: NonZeroU32,
    counts: Arc<LogCounts>,
}

/// How the log fares.
#[derive(Debug, Default)]
pub struct LogCounts {
    written: AtomicU64,
    dropped: AtomicU64,
    reopen: AtomicBool,
}

/// A query and its answer.
#[derive(Debug)]
pub(crate) struct Entry {
    at: SystemTime,
    client: IpAddr,
    transport: Transport,
    query: [u8; QUERY_MAX],
    query_length: u16,
    answered: Answered,
    names: Arc<Names>,
    regions: Arc<[Named]>,
    region: Option<u8>,
}

/// The log with its thread. The thread ends with the last [`QueryLog`].
#[derive(Debug)]
pub(crate) struct RunningLog {
    pub(crate) config: Config,
    pub(crate) log: QueryLog,
    /// Disconnects when the thread has ended.
    ended: Receiver<()>,
}

impl LogCounts {
    /// Lines written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Lines lost because the writer was behind or could not write.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Has the file's path opened anew, soon: someone has renamed the file.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }
}

impl QueryLog {
    /// Notes one of so many.
    #[inline]
    pub(crate) fn sample(
        &self,
        rng: &mut Rng,
        snapshot: &Snapshot,
        (client, transport): (IpAddr, Transport),
        (query, answered): (&[u8], &Answered),
    ) {
        if rng.below(self.one_in.get()) == 0 {
            self.note(snapshot, (client, transport), (query, answered));
        }
    }

    #[cold]
    fn note(
        &self,
        snapshot: &Snapshot,
        (client, transport): (IpAddr, Transport),
        (query, answered): (&[u8], &Answered),
    ) {
        let mut bytes = [0; QUERY_MAX];
        let length = query.len().min(QUERY_MAX);
        bytes[..length].copy_from_slice(&query[..length]);
        let region = answered
            .choice
            .and_then(|(choice, cell)| snapshot.choices.get(choice as usize)?.counts().region_of_cell(cell));
        let entry = Entry {
            at: SystemTime::now(),
            client,
            transport,
            query: bytes,
            query_length: length as u16,
            answered: *answered,
            names: Arc::clone(&snapshot.names),
            regions: Arc::clone(&snapshot.regions),
            region: region.map(|region| region.0),
        };
        if self.queue.try_send(entry).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl RunningLog {
    /// Opens the file for appending and begins to write. It goes on counting where `counts` are.
    pub(crate) fn open(config: &Config, counts: &Arc<LogCounts>) -> io::Result<Self> {
        let mut writer = Writer {
            file: append(&config.path)?,
            path: config.path.clone(),
            counts: Arc::clone(counts),
            lines: Vec::new(),
            held: 0,
            has_failed: false,
        };
        let (queue, entries) = sync_channel(QUEUE);
        let (alive, ended) = channel();
        thread::Builder::new().name("dns-log".to_owned()).spawn(move || {
            writer.run(&entries);
            drop(alive);
        })?;
        let log = QueryLog { queue, one_in: config.one_in, counts: Arc::clone(counts) };
        Ok(RunningLog { config: config.clone(), log, ended })
    }

    pub(crate) fn counts(&self) -> Arc<LogCounts> {
        Arc::clone(&self.log.counts)
    }

    /// Waits for what was noted to be written, but not for ever. No worker may have an end of it any more.
    pub(crate) fn end(self) {
        let RunningLog { log, ended, .. } = self;
        drop(log);
        // It says nothing: it ends, or the file takes nothing.
        let _ = ended.recv_timeout(END_WITHIN);
    }
}

struct Writer {
    file: File,
    path: PathBuf,
    counts: Arc<LogCounts>,
    lines: Vec<u8>,
    /// How many lines that is.
    held: u64,
    has_failed: bool,
}

impl Writer {
    fn run(&mut self, entries: &Receiver<Entry>) {
        loop {
            match entries.try_recv() {
                Ok(entry) => {
                    entry.write(&mut self.lines);
                    self.held += 1;
                    if self.lines.len() >= BLOCK {
                        self.flush();
                    }
                }
                Err(TryRecvError::Empty) => {
                    self.flush();
                    // It looks again by itself: waking it would cost those who answer.
                    thread::sleep(LOOK);
                }
                Err(TryRecvError::Disconnected) => return self.flush(),
            }
        }
    }

    fn flush(&mut self) {
        if self.counts.reopen.swap(false, Ordering::Relaxed) {
            self.reopen();
        }
        if self.held == 0 {
            return;
        }
        let held = std::mem::take(&mut self.held);
        match self.file.write_all(&self.lines) {
            Ok(()) => {
                self.counts.written.fetch_add(held, Ordering::Relaxed);
                self.has_failed = false;
            }
            Err(error) => {
                self.counts.dropped.fetch_add(held, Ordering::Relaxed);
                if !std::mem::replace(&mut self.has_failed, true) {
                    tracing::warn!("query log: {}: {error}", self.path.display());
                }
            }
        }
        self.lines.clear();
    }

    fn reopen(&mut self) {
        match append(&self.path) {
            Ok(file) => self.file = file,
            Err(error) => tracing::warn!("query log: going on with the open file: {error}"),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path);
    opened.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Who asks for what is not for everyone to read.
const FILE_MODE: u32 = 0o640;
/// Longer ones have no question that could be read.
const QUERY_MAX: usize = 512;
/// Entries that wait for the writer: less than a megabyte.
const QUEUE: usize = 1024;
/// Lines that are written at a time, in bytes.
const BLOCK: usize = 32 * 1024;
const LOOK: Duration = Duration::from_millis(20);
/// How long the end of the process waits for a file that takes nothing.
const END_WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
