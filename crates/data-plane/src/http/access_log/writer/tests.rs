//! The writer against files, pipes and sinks that fail.

use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::SystemTime;

use super::*;
use crate::http::access_log::record::Record;
use crate::http::access_log::ring::BLOCK;

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
