//! The real daemon on ports of the kernel's choice, with everything it says about itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::child::Child;
use super::client::{Client, Response};
use super::metrics::Metrics;
use super::wait::{DEADLINE, eventually};

/// A serving daemon.
#[derive(Debug)]
pub(crate) struct Fulcrum {
    pub(crate) child: Child,
    directory: TempDir,
    /// The line it printed when it served.
    pub(crate) ready: Value,
    listeners: BTreeMap<String, Vec<String>>,
}

impl Fulcrum {
    /// Starts a daemon and waits until it serves. To the text are added, where it has none of its own: the version,
    /// one worker, an admin socket and a JSON access log in a directory of its own, which `@DIR@` stands for.
    #[track_caller]
    pub(crate) fn start(yaml: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("room for a directory"), yaml)
    }

    /// The same in a directory that has something in it already.
    #[track_caller]
    pub(crate) fn start_in(directory: TempDir, yaml: &str) -> Self {
        let file = directory.path().join("fulcrum.yaml");
        fs::write(&file, complete(yaml, directory.path())).expect("room for a file");
        let arguments = ["run", "-c", file.to_str().expect("a path in ASCII")];
        let child = Child::start(&arguments, directory.path().join("stderr"));
        Self::serving(child, directory)
    }

    /// The same with a hard limit on its file descriptors.
    #[track_caller]
    pub(crate) fn start_with_descriptors(yaml: &str, limit: u32) -> Self {
        let directory = tempfile::tempdir().expect("room for a directory");
        let file = directory.path().join("fulcrum.yaml");
        fs::write(&file, complete(yaml, directory.path())).expect("room for a file");
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -n {limit} && exec \"$0\" run -c \"$1\""));
        command.arg(env!("CARGO_BIN_EXE_fulcrum")).arg(&file);
        let child = Child::spawn(command, directory.path().join("stderr"));
        Self::serving(child, directory)
    }

    /// The same by a command that becomes `fulcrum` when the file of the configuration is its last argument.
    #[track_caller]
    pub(crate) fn start_by(mut command: Command, directory: TempDir, yaml: &str) -> Self {
        let file = directory.path().join("fulcrum.yaml");
        fs::write(&file, complete(yaml, directory.path())).expect("room for a file");
        command.arg(&file);
        let child = Child::spawn(command, directory.path().join("stderr"));
        Self::serving(child, directory)
    }

    /// Starts it again, with the same file in the same directory, after its end.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        let file = self.directory.path().join("fulcrum.yaml");
        let arguments = ["run", "-c", file.to_str().expect("a path in ASCII")];
        self.child = Child::start(&arguments, self.directory.path().join("stderr"));
        (self.ready, self.listeners) = ready_line(&self.child);
    }

    /// The same by a command that becomes `fulcrum` when the file of the configuration is its last argument.
    #[track_caller]
    pub(crate) fn restart_by(&mut self, mut command: Command) {
        command.arg(self.directory.path().join("fulcrum.yaml"));
        self.child = Child::spawn(command, self.directory.path().join("stderr"));
        (self.ready, self.listeners) = ready_line(&self.child);
    }

    #[track_caller]
    fn serving(child: Child, directory: TempDir) -> Self {
        let (ready, listeners) = ready_line(&child);
        Fulcrum { child, directory, ready, listeners }
    }

    /// The address of the listener `web`.
    #[track_caller]
    pub(crate) fn address(&self) -> &str {
        &self.addresses("web")[0]
    }

    /// The addresses of a listener.
    #[track_caller]
    pub(crate) fn addresses(&self, listener: &str) -> &[String] {
        self.listeners.get(listener).unwrap_or_else(|| panic!("no listener {listener} in {:?}", self.ready))
    }

    /// A connection to the listener `web`.
    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Response {
        self.connect().get(target)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The admin's unix socket, as `--admin` takes it.
    pub(crate) fn admin(&self) -> String {
        format!("unix:{}", self.directory.path().join("admin.sock").display())
    }

    /// An answer of the admin.
    #[track_caller]
    pub(crate) fn ask_admin(&self, path: &str) -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        Client::connect(&self.admin()).ask(request)
    }

    /// A scrape.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let response = self.ask_admin("/metrics");
        assert_eq!(response.status, 200);
        Metrics::parse(&response.text())
    }

    /// The sum of the series of this name and these labels, now.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().value(name, labels)
    }

    /// Waits until a metric has exactly this value.
    #[track_caller]
    pub(crate) fn await_metric(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        let mut last = f64::NAN;
        let start = std::time::Instant::now();
        while start.elapsed() < DEADLINE {
            last = self.metric(name, labels);
            if last == expected {
                return;
            }
            thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("{name}{labels:?} is {last}, not {expected}");
    }

    /// Waits until so many errors of this reason are counted, and no other.
    #[track_caller]
    pub(crate) fn await_errors(&self, reason: &str, expected: u32) {
        self.await_metric("fulcrum_http_errors_total", &[("reason", reason)], expected.into());
    }

    /// The document of `/status`.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let response = self.ask_admin("/status");
        assert_eq!(response.status, 200, "{}", response.text());
        serde_json::from_slice(&response.body).expect("JSON")
    }

    /// The lines of the access log so far.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
        // The last line may be half written.
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }

    /// Waits for so many records of the access log, in order.
    #[track_caller]
    pub(crate) fn records(&self, count: usize) -> Vec<Value> {
        let lines = eventually(&format!("{count} access records"), || {
            Some(self.log_lines()).filter(|lines| lines.len() >= count)
        });
        let parse =
            |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        lines.iter().map(parse).collect()
    }

    /// Waits for a record with this target.
    #[track_caller]
    pub(crate) fn record_of(&self, target: &str) -> Value {
        eventually(&format!("a record of {target}"), || {
            let lines = self.log_lines();
            let mut records = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            records.find(|record| record["target"] == target)
        })
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }

    /// Ends it as an operator would; the exit code.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.child.signal(Signal::TERM);
        self.child.exit_code()
    }
}

/// What it prints when it serves, and its addresses by listener.
#[track_caller]
fn ready_line(child: &Child) -> (Value, BTreeMap<String, Vec<String>>) {
    let line = child.line();
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    assert_eq!(ready["event"], "ready");
    let listeners = serde_json::from_value(ready["listeners"].clone()).expect("addresses by listener");
    (ready, listeners)
}

/// Adds the keys that most tests do not care for.
pub(super) fn complete(yaml: &str, directory: &Path) -> String {
    let mut text = yaml.replace("@DIR@", &directory.display().to_string());
    let directory = directory.display();
    let defaults = [
        ("version", "1".to_owned()),
        ("workers", "1".to_owned()),
        ("admin", format!("{{ socket: {directory}/admin.sock }}")),
        ("log", format!("{{ level: info, access: {directory}/access.log }}")),
    ];
    for (key, value) in defaults {
        if !text.lines().any(|line| line.starts_with(&format!("{key}:"))) {
            text += &format!("\n{key}: {value}");
        }
    }
    text + "\n"
}
