//! A child process of the demo: this program with other arguments, ready when it says so, ended with us.

use std::env;
use std::io;
use std::process::{self, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

/// A running child.
pub(crate) struct Child {
    name: &'static str,
    process: tokio::process::Child,
    /// What it said when it was ready.
    ready: Value,
    /// Kept open: writing to a pipe without a reader is an error.
    _stdout: Lines<BufReader<ChildStdout>>,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    /// It could not be started.
    #[error("cannot start {name}: {source}")]
    Start { name: &'static str, source: io::Error },
    /// It ended, or closed its output, without being ready.
    #[error("{name} did not start; see above")]
    NotReady { name: &'static str },
    /// It said something else than expected.
    #[error("{name} says {line:?} instead of where it serves")]
    Unclear { name: &'static str, line: String },
    /// It said nothing.
    #[error("{name} is not ready after {} s", READY_WITHIN.as_secs())]
    Late { name: &'static str },
}

impl Child {
    /// Starts this program with `arguments` and reads its ready line.
    pub(crate) async fn start(
        name: &'static str,
        arguments: &[&str],
        environment: &[(String, String)],
    ) -> Result<Self, ChildError> {
        let failed = |source| ChildError::Start { name, source };
        let mut process = Command::new(env::current_exe().map_err(failed)?)
            .args(arguments)
            .args(["--parent", &process::id().to_string()])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Ctrl-C is for us alone; we end the children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdout = process.stdout.take().ok_or(ChildError::NotReady { name })?;
        let mut lines = BufReader::new(stdout).lines();
        let line = match tokio::time::timeout(READY_WITHIN, lines.next_line()).await {
            Ok(Ok(Some(line))) => line,
            Ok(_) => return Err(ChildError::NotReady { name }),
            Err(_) => return Err(ChildError::Late { name }),
        };
        match serde_json::from_str::<Value>(&line) {
            Ok(ready) if ready["event"] == "ready" => Ok(Child { name, process, ready, _stdout: lines }),
            _ => Err(ChildError::Unclear { name, line }),
        }
    }

    /// What we call it.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id, as long as it has not ended.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// The whole ready line.
    pub(crate) fn ready(&self) -> &Value {
        &self.ready
    }

    /// A text of the ready line.
    pub(crate) fn text(&self, key: &str) -> Result<&str, ChildError> {
        let unclear = || ChildError::Unclear { name: self.name, line: self.ready.to_string() };
        self.ready[key].as_str().ok_or_else(unclear)
    }

    /// Waits until it ends. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Asks it to end, and makes it end if it does not.
    pub(crate) async fn end(mut self) {
        // No id means that it has ended and was waited for, so the number cannot be another's by now.
        if let Some(id) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // It may be gone in this very moment.
            let _ = kill_process(id, Signal::TERM);
        }
        if tokio::time::timeout(END_WITHIN, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}

/// Much longer than any start takes, on any machine.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A daemon may be finishing requests; nobody wants to wait longer at a demo.
const END_WITHIN: Duration = Duration::from_secs(5);
