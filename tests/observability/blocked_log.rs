//! An access log whose destination takes nothing: requests go on, and every record is written or counted as dropped.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Client, Fulcrum, Metrics, Setup, Upstream, eventually};

/// Sends requests with long records, one after the other, until some records are dropped; how many requests.
#[track_caller]
fn flood(address: &str, dropped: impl Fn() -> f64) -> u32 {
    let agent = "x".repeat(15 << 10);
    let request = format!("GET / HTTP/1.1\r\nHost: test\r\nUser-Agent: {agent}\r\n\r\n");
    let mut client = Client::connect(address);
    let mut sent = 0;
    eventually("records are dropped", || {
        for _ in 0..50 {
            // No answer within the client's deadline would be a panic.
            assert_eq!(client.ask(&request).status, 200);
        }
        sent += 50;
        (dropped() > 0.0).then_some(sent)
    })
}

fn fifo(directory: &Path) {
    mknodat(CWD, directory.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a free name");
}

fn open_for_reading(directory: &Path) -> File {
    // Without O_NONBLOCK this would wait for a writer.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(directory.join("fifo")).expect("the fifo is there")
}

fn daemon_with_fifo(directory: tempfile::TempDir, upstream: &Upstream) -> Fulcrum {
    let yaml = Setup::new(upstream).top("log: { access: \"@DIR@/fifo\" }").yaml();
    Fulcrum::start_in(directory, &yaml)
}

fn dropped(fulcrum: &Fulcrum) -> f64 {
    fulcrum.metric("fulcrum_process_access_log_dropped_total", &[])
}

#[test]
fn a_fifo_that_nobody_opens_stops_nobody() {
    let directory = tempfile::tempdir().expect("room for a directory");
    fifo(directory.path());
    let upstream = Upstream::named("app");
    let mut fulcrum = daemon_with_fifo(directory, &upstream);
    flood(fulcrum.address(), || dropped(&fulcrum));
    assert_eq!(fulcrum.stop(), Some(0), "the end does not wait for the log for ever");
}

#[test]
fn a_fifo_that_nobody_reads_stops_nobody_and_all_is_accounted_for() {
    let directory = tempfile::tempdir().expect("room for a directory");
    fifo(directory.path());
    let mut reader = open_for_reading(directory.path());
    let upstream = Upstream::named("app");
    let fulcrum = daemon_with_fifo(directory, &upstream);
    let requests = flood(fulcrum.address(), || dropped(&fulcrum));
    fulcrum.await_metric("fulcrum_http_requests_total", &[], requests.into());

    // Now somebody reads again: what was kept comes out whole, and the sum is right.
    let mut text = Vec::new();
    let (mut written, mut lost) = (0.0, 0.0);
    eventually("all records are written or dropped", || {
        // An empty fifo is an error here (it would block), which ends nothing.
        let _ = reader.read_to_end(&mut text);
        let metrics = fulcrum.metrics();
        written = metrics.value("fulcrum_process_access_log_records_total", &[]);
        lost = metrics.value("fulcrum_process_access_log_dropped_total", &[]);
        (written + lost == f64::from(requests)).then_some(())
    });
    let _ = reader.read_to_end(&mut text);
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    assert_eq!(lines.len() as f64, written, "{lost} lost");
    for line in lines {
        let record: Value = serde_json::from_slice(line).expect("every line is whole");
        assert_eq!(record["reason"], "ok");
    }
    assert!(fulcrum.resident() < 64 << 20, "{}", fulcrum.resident());
}

#[test]
fn a_full_pipe_on_stdout_stops_nobody() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let upstream = Upstream::named("app");
    let yaml = format!(
        "version: 1\nadmin: {{ socket: {0}/admin.sock }}\nlog: {{ access: stdout }}\n{1}",
        directory.path().display(),
        Setup::new(&upstream).yaml()
    );
    let file = directory.path().join("fulcrum.yaml");
    fs::write(&file, yaml).expect("room for a file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_fulcrum"))
        .args(["run".as_ref(), "-c".as_ref(), file.as_os_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary is built");
    let mut stdout = child.stdout.take().expect("a pipe");
    let guard = KillOnDrop(child);

    // Nothing is read behind the first line.
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("a first line");
        line.push(byte[0]);
    }
    let ready: Value = serde_json::from_slice(&line).expect("JSON");
    let admin = ready["admin"][0].as_str().expect("the admin's socket");
    let scrape = || {
        let text = Client::connect(admin)
            .ask("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .text();
        Metrics::parse(&text).value("fulcrum_process_access_log_dropped_total", &[])
    };
    flood(ready["listeners"]["web"][0].as_str().expect("an address"), scrape);
    assert_eq!(guard.end(), Some(0), "it ends though nobody reads");
}

struct KillOnDrop(std::process::Child);

impl KillOnDrop {
    /// Ends it as an operator would; the exit code.
    #[track_caller]
    fn end(mut self) -> Option<i32> {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("our own child");
        eventually("the process ends", || self.0.try_wait().expect("our child")).code()
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
