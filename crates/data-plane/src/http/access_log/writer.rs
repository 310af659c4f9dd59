//! The thread that writes the log, and its owner.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fulcrum_config::{Destination, LogFormat};

use super::format::Format;
use super::ring::{Counters, Handover, Message, QUEUE, Sink};

/// Targets hold secrets of careless clients: the log is not for everyone to read.
const FILE_MODE: u32 = 0o640;
/// Time between two warnings about a log that cannot be written.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the end of the process waits for a log that does not take its last blocks (a stopped pipe reader).
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// The access log of all workers: owns the writer thread and the queue to it.
#[derive(Debug)]
pub(crate) struct AccessLog {
    format: LogFormat,
    queue: SyncSender<Message>,
    counters: Arc<Counters>,
    closing: Arc<AtomicBool>,
    reopening: Arc<AtomicBool>,
    /// Disconnects when the writer thread has ended.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl AccessLog {
    /// Opens the destination, a file for appending, and starts the writer; `None` when no log is wanted. It goes on
    /// counting where `counters` are. Errors name the path.
    pub(crate) fn open(
        config: &fulcrum_config::AccessLog,
        counters: Arc<Counters>,
    ) -> io::Result<Option<AccessLog>> {
        let (output, path) = match &config.destination {
            Destination::None => return Ok(None),
            Destination::Stdout => (stdout()?, None),
            Destination::File(path) => (append(path)?, Some(path.clone())),
        };
        AccessLog::start(config.format.clone(), Box::new(output), path, counters).map(Some)
    }

    /// A worker's end of the log.
    pub(crate) fn sink(&self) -> Sink {
        Sink::new(Format::compile(&self.format), self.queue.clone(), self.counters.clone())
    }

    /// Opens the file's path anew, as soon as the writer comes to it: someone has renamed the file. Where that fails
    /// the old file stays in use. Nothing happens to standard output.
    pub(crate) fn reopen(&self) {
        self.reopening.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// How the log fares; lives on after [`close`](AccessLog::close).
    pub(crate) fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Lets another log take its place: the thread ends by itself with the last sink.
    pub(crate) fn close_behind(self) {
        drop(self);
    }

    /// Writes what sinks have handed over and ends the thread. Sinks that live on drop their records, counted. Waits
    /// five seconds at most: a destination that takes nothing does not keep the process alive.
    pub(crate) fn close(self) {
        self.closing.store(true, Ordering::SeqCst);
        self.wake();
        match self.ended.recv_timeout(CLOSE_DEADLINE) {
            Err(RecvTimeoutError::Timeout) => tracing::warn!("access log: gave up on its last blocks"),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                // A panic has been reported by the panic hook.
                let _ = self.thread.join();
            }
        }
    }

    /// Makes an idle writer look at its flags. When the queue is full the writer is awake and will see them.
    fn wake(&self) {
        let _ = self.queue.try_send(None);
    }

    fn start(
        format: LogFormat,
        output: Box<dyn Write + Send>,
        path: Option<PathBuf>,
        counters: Arc<Counters>,
    ) -> io::Result<AccessLog> {
        let (queue, blocks) = sync_channel(QUEUE);
        let (alive, ended) = channel();
        let closing = Arc::new(AtomicBool::new(false));
        let reopening = Arc::new(AtomicBool::new(false));
        let mut writer = Writer {
            blocks,
            closing: closing.clone(),
            reopening: reopening.clone(),
            counters: counters.clone(),
            output,
            path,
            torn: false,
            warned: None,
            lost: 0,
        };
        let thread = thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            writer.run();
            drop(alive);
        })?;
        Ok(AccessLog { format, queue, counters, closing, reopening, ended, thread })
    }
}

/// What the thread owns.
struct Writer {
    blocks: Receiver<Message>,
    closing: Arc<AtomicBool>,
    reopening: Arc<AtomicBool>,
    counters: Arc<Counters>,
    output: Box<dyn Write + Send>,
    /// Of a file; standard output has none.
    path: Option<PathBuf>,
    /// A write failed in the middle of a line: the next one must not be glued to it.
    torn: bool,
    warned: Option<Instant>,
    /// Records lost since the last warning.
    lost: u64,
}

impl Writer {
    fn run(&mut self) {
        while let Some(message) = self.next() {
            if self.reopening.swap(false, Ordering::SeqCst) {
                self.reopen();
            }
            if let Some(handover) = message {
                self.write(handover);
            }
        }
    }

    /// The next message; `None` when it is time to end.
    fn next(&self) -> Option<Message> {
        match self.blocks.try_recv() {
            Ok(message) => Some(message),
            Err(TryRecvError::Empty) if !self.closing.load(Ordering::SeqCst) => self.blocks.recv().ok(),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append(path) {
            Ok(file) => {
                self.output = Box::new(file);
                // Whatever was torn is in the other file.
                self.torn = false;
                tracing::info!(path = %path.display(), "access log: opened anew");
            }
            Err(error) => tracing::warn!("access log: going on with the open file: {error}"),
        }
    }

    fn write(&mut self, handover: Handover) {
        let (taken, result) = self.write_lines(&handover.lines);
        // A record counts as written when its line feed is out.
        let written = handover.lines[..taken].iter().filter(|&&byte| byte == b'\n').count() as u64;
        debug_assert!(written <= handover.records, "one record is one line");
        self.counters.count_written(written);
        if let Err(error) = result {
            self.torn |= taken > 0 && handover.lines[taken - 1] != b'\n';
            let lost = handover.records - written;
            self.counters.count_dropped(lost);
            self.warn(&error, lost);
        }
        handover.recycle();
    }

    /// How many bytes of `lines` went out, and what stopped the rest.
    fn write_lines(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        if self.torn {
            match self.output.write_all(b"\n") {
                Ok(()) => self.torn = false,
                Err(error) => return (0, Err(error)),
            }
        }
        let mut taken = 0;
        while taken < lines.len() {
            match self.output.write(&lines[taken..]) {
                Ok(0) => return (taken, Err(ErrorKind::WriteZero.into())),
                Ok(bytes) => taken += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (taken, Err(error)),
            }
        }
        (taken, Ok(()))
    }

    fn warn(&mut self, error: &io::Error, lost: u64) {
        self.lost += lost;
        if self.warned.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            let destination = self
                .path
                .as_ref()
                .map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
            tracing::warn!(destination, %error, records_lost = self.lost, "access log cannot be written");
            self.warned = Some(Instant::now());
            self.lost = 0;
        }
    }
}

/// Standard output without the line buffer that `std` puts before it.
fn stdout() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(FILE_MODE);
    // A pipe without a reader would not even open; one that we could read ourselves does, and waits for its reader.
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        options.read(true);
    }
    options.open(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests;
