//! The daemon with a registry, on its core.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::measure::await_start;
use super::process::{PROXY_CORE, Process};
use super::wire::Connection;

/// A serving daemon; ends when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Process,
    /// Where its registry is.
    pub(crate) registry: SocketAddr,
    admin: SocketAddr,
    /// From the start of the process to the line that says that it serves.
    pub(crate) started_in: Duration,
}

impl Daemon {
    /// Starts it over what is in the folder.
    pub(crate) fn start(folder: &Path) -> io::Result<Self> {
        let file = folder.join("fulcrum.yaml");
        fs::write(&file, config(folder))?;
        let began = Instant::now();
        let arguments = ["run", "-c", file.to_str().expect("a path of ours")];
        let mut process =
            Process::start(PROXY_CORE, Path::new(env!("CARGO_BIN_EXE_fulcrum")), &arguments, folder)?;
        let line = await_start(&mut process, PATIENCE, || {
            ready_line(&folder.join("output.log"))
                .ok_or_else(|| io::Error::other("the daemon does not serve"))
        })?;
        let started_in = began.elapsed();
        let address = |name: &str| {
            let mut addresses = line[name].as_array().into_iter().flatten().filter_map(Value::as_str);
            let found = addresses.find_map(|address| address.trim_start_matches("http://").parse().ok());
            found.ok_or_else(|| io::Error::other(format!("no {name} in {line}")))
        };
        Ok(Daemon { process, registry: address("registry")?, admin: address("admin")?, started_in })
    }

    /// CPU time so far.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        self.process.cpu()
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        self.process.memory()
    }

    /// The sum of the series of this name.
    pub(crate) fn metric(&self, name: &str) -> io::Result<f64> {
        let mut connection = Connection::open(self.admin)?;
        let answer = connection.ask("GET", "/metrics", "")?;
        let text = String::from_utf8_lossy(answer.body);
        let of_name = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        let values =
            text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum())
    }

    /// Waits until a metric is this.
    pub(crate) fn await_metric(&self, name: &str, expected: f64, patience: Duration) -> io::Result<()> {
        let began = Instant::now();
        loop {
            let found = self.metric(name)?;
            if found == expected {
                return Ok(());
            }
            if began.elapsed() > patience {
                return Err(io::Error::other(format!("{name} is {found}, not {expected}")));
            }
            thread::sleep(LOOK);
        }
    }
}

fn ready_line(output: &Path) -> Option<Value> {
    let text = fs::read_to_string(output).ok()?;
    // The last line may be half written.
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines
        .find(|line| line.starts_with("{\"event\":\"ready\""))
        .and_then(|line| serde_json::from_str(line).ok())
}

fn config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "version: 1\nworkers: 1\nstate_dir: {folder}/state\nadmin: {{ socket: {folder}/admin.sock, bind: \"127.0.0.1:0\" }}\n\
         registry: {{ bind: \"127.0.0.1:0\", register_rate: none, allow_addresses: [10.0.0.0/8] }}\n"
    )
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks: a look goes over all instances.
const LOOK: Duration = Duration::from_secs(1);
