//! A backend of the demo: may be killed, and comes back.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::DemoError;
use super::child::Child;
use super::folder::DemoFolder;
use crate::output;

/// A running backend.
pub(super) struct Backend {
    name: &'static str,
    address: String,
    /// What else it is told at each of its starts.
    arguments: Vec<String>,
    back_after: Duration,
    /// Holds its process id, for whoever wants to kill it.
    pid_file: PathBuf,
    process: Child,
}

impl Backend {
    /// Starts it on a port of the kernel's choice.
    pub(super) async fn start(name: &'static str, folder: &DemoFolder) -> Result<Self, DemoError> {
        Backend::start_with(name, folder, Vec::new(), BACK_AFTER).await
    }

    /// The same, one that registers itself, in this service of the registry.
    pub(super) async fn start_registered(
        name: &'static str,
        folder: &DemoFolder,
        service: &str,
        registry: &str,
    ) -> Result<Self, DemoError> {
        let words = ["--register", &format!("{service}/{name}"), "--registry", registry];
        let arguments = words.map(str::to_owned).to_vec();
        Backend::start_with(name, folder, arguments, REGISTERED_BACK_AFTER).await
    }

    async fn start_with(
        name: &'static str,
        folder: &DemoFolder,
        arguments: Vec<String>,
        back_after: Duration,
    ) -> Result<Self, DemoError> {
        let process = start(name, "127.0.0.1:0", &arguments).await?;
        let address = process.text("address")?.to_owned();
        let pid_file = folder.pid_file(name);
        let backend = Backend { name, address, arguments, back_after, pid_file, process };
        backend.write_pid()?;
        Ok(backend)
    }

    /// Its name and address as the configuration takes them.
    pub(super) fn variable(&self) -> (String, String) {
        (format!("FULCRUM_DEMO_{}", self.name.to_uppercase()), self.address.clone())
    }

    /// Starts it again on its port, a while after each of its deaths. The error is that of a start.
    pub(super) async fn keep(&mut self) -> DemoError {
        loop {
            if let Err(error) = self.revive().await {
                return error;
            }
        }
    }

    async fn revive(&mut self) -> Result<(), DemoError> {
        let status = self.process.ended().await?;
        // Its number may soon be another's.
        fs::remove_file(&self.pid_file)?;
        let (name, seconds) = (self.name, self.back_after.as_secs());
        output::line(format_args!("{name} has ended ({status}), and is started again in {seconds} s"));
        tokio::time::sleep(self.back_after).await;
        self.process = start(self.name, &self.address, &self.arguments).await?;
        self.write_pid()
    }

    fn write_pid(&self) -> Result<(), DemoError> {
        let pid = self.process.pid().map_or_else(String::new, |pid| pid.to_string());
        Ok(fs::write(&self.pid_file, pid)?)
    }

    /// Ends it for good.
    pub(super) async fn end(self) {
        self.process.end().await;
    }
}

async fn start(name: &'static str, bind: &str, more: &[String]) -> Result<Child, DemoError> {
    let arguments = ["demo-backend", "--bind", bind, "--name", name].into_iter();
    let arguments: Vec<&str> = arguments.chain(more.iter().map(String::as_str)).collect();
    Ok(Child::start(name, &arguments, &[]).await?)
}

/// Long enough to look at what is when it is gone.
const BACK_AFTER: Duration = Duration::from_secs(3);

/// Longer than its lease, so that the registry is seen to do without it.
const REGISTERED_BACK_AFTER: Duration = Duration::from_secs(6);
