//! The parent's side of an upstream in a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::backend::{self, Manner};

/// A running upstream; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: &'static str,
    pub(super) address: String,
    journal: PathBuf,
    /// What the command line begins with, to run elsewhere.
    prefix: Vec<String>,
    child: Child,
    orders: ChildStdin,
}

impl Process {
    /// Starts an upstream on a port of the kernel's choice. Each has an address of its own, where no connection begins: it
    /// finds its port free when it comes back.
    pub(super) fn start(name: &'static str, host: &str, directory: &Path) -> Self {
        Self::start_by(Vec::new(), name, host, directory)
    }

    /// The same, started by another command.
    pub(super) fn start_by(prefix: Vec<String>, name: &'static str, host: &str, directory: &Path) -> Self {
        let journal = directory.join(format!("{name}.journal"));
        let (child, orders, address) = spawn(&prefix, name, &format!("{host}:0"), &journal);
        Process { name, address, journal, prefix, child, orders }
    }

    /// From now on it behaves like this.
    pub(super) fn behave(&mut self, manner: Manner) {
        writeln!(self.orders, "{}", manner as u8).expect("it runs");
    }

    /// Stops it where it is: the kernel goes on accepting and acknowledging for it.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Its connections are reset, its port is closed.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("our child");
    }

    /// Starts it again where it was.
    pub(super) fn revive(&mut self) {
        let (child, orders, address) = spawn(&self.prefix, self.name, &self.address, &self.journal);
        assert_eq!(address, self.address);
        (self.child, self.orders) = (child, orders);
    }

    /// How often each POST was done.
    pub(super) fn done(&self) -> BTreeMap<String, usize> {
        let mut done = BTreeMap::new();
        for line in fs::read_to_string(&self.journal).expect("a file of our own").lines() {
            *done.entry(line.to_owned()).or_default() += 1;
        }
        done
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("our child, not waited for");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(prefix: &[String], name: &str, address: &str, journal: &Path) -> (Child, ChildStdin, String) {
    let program = std::env::current_exe().expect("we run").display().to_string();
    let arguments = [backend::TEST, "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let line: Vec<&str> =
        prefix.iter().map(String::as_str).chain([program.as_str()]).chain(arguments).collect();
    let mut child = Command::new(line[0])
        .args(&line[1..])
        .env(backend::NAME, name)
        .env(backend::ADDRESS, address)
        .env(backend::JOURNAL, journal)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{line:?}: {error}"));
    let orders = child.stdin.take().expect("a pipe");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut lines = output.lines().map_while(Result::ok);
    // The test harness speaks before it.
    let address = lines.find_map(|line| Some(line.split_once(backend::LISTENING)?.1.to_owned()));
    (child, orders, address.expect("it tells where it listens"))
}

/// The process itself, where it is asked to be one. Else: that it is of use.
#[test]
#[ignore = "the upstream of the tests beside it"]
fn is_an_upstream() {
    use crate::harness::Client;

    if std::env::var_os(backend::ADDRESS).is_some() {
        return backend::serve();
    }
    let directory = tempfile::tempdir().expect("room for a directory");
    let mut process = Process::start("red", "127.60.0.9", directory.path());
    let post = |address: &str, target: &str| {
        let request = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nwork");
        Client::connect(address).ask(request)
    };
    let answer = post(&process.address, "/1");
    assert_eq!((answer.status, answer.text().lines().next()), (200, Some("red /1")));
    process.kill();
    process.revive();
    assert_eq!(post(&process.address, "/2").status, 200);
    process.behave(Manner::ErrorBehindItsCheck);
    crate::harness::eventually("it behaves badly", || {
        (post(&process.address, "/3").status == 500).then_some(())
    });
    assert_eq!(Client::connect(&process.address).get("/healthz").status, 200);
    let done = process.done();
    assert_eq!((done["/1"], done["/2"]), (1, 1), "{done:?}");
}
