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
    /// Holds its process id, for whoever wants to kill it.
    pid_file: PathBuf,
    process: Child,
}

impl Backend {
    /// Starts it on a port of the kernel's choice.
    pub(super) async fn start(name: &'static str, folder: &DemoFolder) -> Result<Self, DemoError> {
        let process = start(name, "127.0.0.1:0").await?;
        let address = process.text("address")?.to_owned();
        let backend = Backend { name, address, pid_file: folder.pid_file(name), process };
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
        let (name, seconds) = (self.name, BACK_AFTER.as_secs());
        output::line(format_args!("{name} has ended ({status}), and is started again in {seconds} s"));
        tokio::time::sleep(BACK_AFTER).await;
        self.process = start(self.name, &self.address).await?;
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

async fn start(name: &'static str, bind: &str) -> Result<Child, DemoError> {
    Ok(Child::start(name, &["demo-backend", "--bind", bind, "--name", name], &[]).await?)
}

/// Long enough to look at what is when it is gone.
const BACK_AFTER: Duration = Duration::from_secs(3);
