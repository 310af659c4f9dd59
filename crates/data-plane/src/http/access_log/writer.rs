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
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Mutex;
    use std::time::SystemTime;

    use super::super::record::Record;
    use super::super::ring::BLOCK;
    use super::*;

    fn record(target: &[u8]) -> Record<'_> {
        Record {
            time: SystemTime::UNIX_EPOCH,
            listener: "web",
            client: Ipv4Addr::LOCALHOST.into(),
            peer: None,
            method: b"GET",
            target,
            host: b"example.com",
            protocol: "HTTP/1.1",
            status: 200,
            bytes_in: 0,
            bytes_out: 0,
            duration: Duration::ZERO,
            route: None,
            service: None,
            endpoint: None,
            attempts: 0,
            upstream_status: None,
            time_head: None,
            time_connect: None,
            time_first_byte: None,
            time_response: None,
            request_id: b"",
            user_agent: None,
            referer: None,
            reason: "ok",
        }
    }

    fn targets() -> LogFormat {
        LogFormat::Template("{target}".to_owned())
    }

    /// An output that does as told, write by write, and keeps what it took.
    struct Scripted<F>(F, Arc<Mutex<Vec<u8>>>);

    impl<F: FnMut(&[u8]) -> io::Result<usize>> Write for Scripted<F> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = (self.0)(bytes)?;
            self.1.lock().expect("no test thread panicked").extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn scripted(
        script: impl FnMut(&[u8]) -> io::Result<usize> + Send + 'static,
    ) -> (AccessLog, Arc<Mutex<Vec<u8>>>) {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let output = Box::new(Scripted(script, kept.clone()));
        let log = AccessLog::start(targets(), output, None, Arc::default()).expect("a thread starts");
        (log, kept)
    }

    fn text(kept: &Mutex<Vec<u8>>) -> String {
        String::from_utf8(kept.lock().expect("no test thread panicked").clone()).expect("UTF-8")
    }

    #[test]
    fn a_file_is_appended_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("access.log");
        let config =
            fulcrum_config::AccessLog { destination: Destination::File(path.clone()), format: targets() };
        let counters = Arc::new(Counters::default());
        for (target, written) in [(b"/1", 1), (b"/2", 2)] {
            let log = AccessLog::open(&config, counters.clone()).expect("opens").expect("a log is wanted");
            let mut sink = log.sink();
            sink.record(&record(target));
            sink.flush();
            log.close();
            assert_eq!((counters.written(), counters.dropped()), (written, 0), "counted on");
        }
        assert_eq!(std::fs::read_to_string(path).expect("there"), "/1\n/2\n");
    }

    #[test]
    fn a_renamed_file_is_left_behind_unless_there_is_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, old) = (folder.path().join("log/access.log"), folder.path().join("log/old"));
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        std::fs::create_dir(folder.path().join("log")).expect("made");
        let config =
            fulcrum_config::AccessLog { destination: Destination::File(path.clone()), format: targets() };
        let log = AccessLog::open(&config, Arc::default()).expect("opens").expect("a log is wanted");
        let mut sink = log.sink();
        let mut write = |target: &[u8], count: u64| {
            sink.record(&record(target));
            sink.flush();
            let start = Instant::now();
            while log.counters().written() < count {
                assert!(start.elapsed() < Duration::from_secs(10), "the record is not written");
                thread::yield_now();
            }
        };
        write(b"/1", 1);
        std::fs::rename(&path, &old).expect("renamed");
        write(b"/2", 2);
        log.reopen();
        write(b"/3", 3);
        assert_eq!((read(&old), read(&path)), ("/1\n/2\n".to_owned(), "/3\n".to_owned()));

        std::fs::rename(folder.path().join("log"), folder.path().join("moved")).expect("renamed");
        log.reopen();
        write(b"/4", 4);
        assert_eq!(read(&folder.path().join("moved/access.log")), "/3\n/4\n", "the old file goes on");
        log.close();
    }

    #[test]
    fn errors_name_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let destination = Destination::File(folder.path().to_owned());
        let config = fulcrum_config::AccessLog { destination, format: LogFormat::Json };
        let error = AccessLog::open(&config, Arc::default()).expect_err("a folder is no file");
        assert!(error.to_string().starts_with(&*folder.path().to_string_lossy()), "{error}");
    }

    #[test]
    fn none_is_no_log() {
        let config = fulcrum_config::AccessLog { destination: Destination::None, format: LogFormat::Json };
        assert!(AccessLog::open(&config, Arc::default()).expect("nothing to fail").is_none());
    }

    #[test]
    fn every_record_of_every_sink_is_written_once() {
        let (log, kept) = scripted(|bytes| Ok(bytes.len()));
        let expected: u64 = thread::scope(|scope| {
            let sinks = (0..4).map(|worker| (worker, log.sink()));
            let threads: Vec<_> = sinks
                .map(|(worker, mut sink)| {
                    scope.spawn(move || {
                        for request in 0..5_000 {
                            sink.record(&record(format!("/{worker}/{request}").as_bytes()));
                        }
                        5_000
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no sink panics")).sum()
        });
        let counters = log.counters();
        log.close();
        assert_eq!(counters.written() + counters.dropped(), expected);
        let text = text(&kept);
        assert_eq!(text.lines().count() as u64, counters.written());
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len() as u64, counters.written(), "no line is torn or written twice");
    }

    #[test]
    fn a_blocked_writer_blocks_no_sink_and_drops_are_counted() {
        let (entered, is_writing) = channel();
        let (release, gate) = channel::<()>();
        let (log, kept) = scripted(move |bytes| {
            // Both fail once the test has let go of its ends: from then on every write passes.
            let _ = entered.send(());
            let _ = gate.recv();
            Ok(bytes.len())
        });
        let target = vec![b'x'; BLOCK / 4 - 1]; // four records fill a block exactly
        let mut sinks = [log.sink(), log.sink()];
        let counters = log.counters();
        for _ in 0..4 {
            sinks[0].record(&record(&target));
        }
        is_writing.recv().expect("the writer took the first block");

        for _ in 0..QUEUE / 2 {
            for sink in &mut sinks {
                (0..4).for_each(|_| sink.record(&record(&target)));
            }
        }
        assert_eq!((counters.written(), counters.dropped()), (0, 0), "the queue has room for {QUEUE} blocks");

        (0..10).for_each(|_| sinks[1].record(&record(&target)));
        assert_eq!(counters.dropped(), 8, "two whole blocks");
        sinks[1].flush();
        assert_eq!(counters.dropped(), 10, "and the two records of an unfinished one");

        drop((release, is_writing));
        log.close();
        let queued = 4 * (QUEUE as u64 + 1);
        assert_eq!((counters.written(), counters.dropped()), (queued, 10));
        assert_eq!(text(&kept).lines().count() as u64, queued);

        sinks[0].record(&record(b"/late"));
        sinks[0].flush();
        assert_eq!(counters.dropped(), 11, "nothing is lost silently after the end either");
    }

    #[test]
    fn a_full_disk_loses_records_and_tears_no_line() {
        let mut room = 5;
        let mut calls = 0;
        // Takes "/1\n/2", fails, fails again, then has room for ever.
        let (log, kept) = scripted(move |bytes| {
            calls += 1;
            match calls {
                1 => Ok(std::mem::take(&mut room)),
                2 | 3 => Err(ErrorKind::StorageFull.into()),
                _ => Ok(bytes.len()),
            }
        });
        let mut sink = log.sink();
        for block in [&[b"/1", b"/2", b"/3"][..], &[b"/4"], &[b"/5"]] {
            block.iter().for_each(|target| sink.record(&record(*target)));
            sink.flush();
        }
        let counters = log.counters();
        log.close();
        assert_eq!(text(&kept), "/1\n/2\n/5\n");
        assert_eq!((counters.written(), counters.dropped()), (2, 3));
    }

    #[test]
    fn a_huge_record_is_written_whole() {
        let (log, kept) = scripted(|bytes| Ok(bytes.len().min(1000)));
        let mut sink = log.sink();
        let target = vec![0xff; BLOCK];
        sink.record(&record(&target));
        sink.record(&record(b"/next"));
        drop(sink);
        log.close();
        assert_eq!(text(&kept), format!("{}\n/next\n", r"\xFF".repeat(BLOCK)));
    }
}
