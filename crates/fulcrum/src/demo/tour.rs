//! The things to try: printed as commands to copy, and executed with what they should show.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::chapters::chapters;
use super::commands::Places;
use super::dig;
use super::folder::DemoFolder;
use super::load;
use super::stops::{Action, Curl, End, Load, Shown, Stop, Timing};
use crate::client::{self, ExchangeError, Reply};
use crate::output;

/// The demo as a visitor sees it.
pub(crate) struct Tour<'a> {
    places: Places<'a>,
}

/// Something that is not as printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TourError {
    /// The daemon does not say where it serves.
    #[error("the daemon is ready but says {0} instead of its addresses")]
    Unclear(String),
    /// No answer.
    #[error("{command}\n  {source}")]
    NoAnswer { command: String, source: ExchangeError },
    /// No answer of a name server.
    #[error("{command}\n  {source}")]
    NoName { command: String, source: io::Error },
    /// It is not dead.
    #[error("cannot kill {name}: {source}")]
    Alive { name: &'static str, source: io::Error },
    /// The configuration cannot be written.
    #[error("{command}\n  {source}")]
    Edit { command: String, source: io::Error },
    /// Another answer.
    #[error("{command}\n  should show {expected}, but shows:\n{shown}")]
    Other { command: String, expected: String, shown: String },
}

impl<'a> Tour<'a> {
    /// Reads the daemon's ready line.
    pub(crate) fn new(ready: &Value, folder: &'a DemoFolder) -> Result<Self, TourError> {
        let places = Places::new(ready, folder).ok_or_else(|| TourError::Unclear(ready.to_string()))?;
        Ok(Tour { places })
    }

    /// The tour as text.
    pub(crate) fn print(&self) -> String {
        let Places { web, metrics, registry, dns, names, socket, .. } = &self.places;
        let mut text = format!(
            "\nFulcrum balances {web} over the backends blue, green and amber.\n\
             The backends ruby and teal register themselves at {registry}.\n\
             Names are asked for at {dns}, those of registered services at {names}.\n\
             Metrics are at {metrics}/metrics, everything of the admin at {socket}.\n\nTen things to try:\n",
        );
        for (number, chapter) in (1..).zip(chapters()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n{number}. {}", chapter.title);
            for stop in &chapter.stops {
                let _ = writeln!(text, "   {}\n      {}", self.places.command(&stop.action), stop.remark);
            }
        }
        text
    }

    /// Executes everything that is printed. The first thing that is not as it should be is the error.
    pub(crate) async fn take(&self, when: &str) -> Result<(), TourError> {
        let mut checked = 0;
        for stop in chapters().iter().flat_map(|chapter| &chapter.stops) {
            self.check(stop).await?;
            checked += 1;
        }
        output::line(format_args!("checked {when}: all {checked} commands above show what they should"));
        Ok(())
    }

    async fn check(&self, stop: &Stop) -> Result<(), TourError> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let shown = self.execute(&stop.action).await?;
            let missing = stop.expected.missing(&shown);
            match missing {
                None => return Ok(()),
                Some(_) if stop.timing == Timing::InAMoment && Instant::now() < patience => {
                    sleep(LOOK_EVERY).await
                }
                Some(expected) => {
                    let command = self.places.command(&stop.action);
                    return Err(TourError::Other { command, expected, shown: shown.text });
                }
            }
        }
    }

    async fn execute(&self, action: &Action) -> Result<Shown, TourError> {
        match action {
            Action::Curl(curl) => {
                let mut shown = Shown::default();
                for _ in 0..curl.times {
                    shown.add(&self.request(curl, action).await?);
                }
                Ok(shown)
            }
            Action::Dig(dig) => {
                let failed = |source| TourError::NoName { command: self.places.command(action), source };
                let records = dig::ask(dig, self.places.name_server(dig.server)).await.map_err(failed)?;
                Ok(Shown::of(&records.join("\n")))
            }
            Action::Metrics(prefix) => {
                let mut shown = Shown::default();
                shown.add(&self.request(&Curl::admin("/metrics"), action).await?);
                let lines = shown.text.lines().filter(|line| line.starts_with(prefix));
                shown.text = lines.flat_map(|line| [line, "\n"]).collect();
                Ok(shown)
            }
            Action::Fulcrum(words) => Ok(self.fulcrum(words, ["--admin", &self.places.socket]).await.0),
            Action::Registry(words) => {
                let registry = self.places.registry.to_string();
                Ok(self.fulcrum(words, ["--registry", &registry]).await.0)
            }
            Action::Failing(words) => {
                let (mut shown, code) = self.fulcrum(words, ["--admin", &self.places.socket]).await;
                shown.text +=
                    &code.map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"));
                Ok(shown)
            }
            Action::Ending(load) => self.ending(load, action).await,
            Action::Edit(before, after) => {
                let failed = |source| TourError::Edit { command: self.places.command(action), source };
                self.edit(before, after).map_err(failed)?;
                Ok(Shown::default())
            }
            Action::AccessLog => {
                let log = fs::read_to_string(self.places.folder.access_log()).unwrap_or_default();
                Ok(Shown::of(log.lines().last().unwrap_or_default()))
            }
        }
    }

    /// Does what `curl` would do; `action` is what it is done for.
    async fn request(&self, curl: &Curl, action: &Action) -> Result<Reply, TourError> {
        let mut builder = Request::builder().method(&curl.method).uri(curl.target);
        if let Some((name, value)) = curl.field {
            builder = builder.header(name, value);
        }
        let request = builder.body(Full::<Bytes>::default()).expect("the requests of the tour are valid");
        let failed = |source| TourError::NoAnswer { command: self.places.command(action), source };
        client::exchange(self.places.server(curl.server), request).await.map_err(failed)
    }

    /// The real command, as a visitor would run it, and its exit code.
    async fn fulcrum(&self, words: &[&str], server: [&str; 2]) -> (Shown, Option<i32>) {
        let mut command = Command::new(&self.places.program);
        command.args(words).args(server).stdin(Stdio::null()).kill_on_drop(true);
        match command.output().await {
            Ok(output) => {
                let text = [output.stdout, output.stderr].concat();
                (Shown::of(&String::from_utf8_lossy(&text)), output.status.code())
            }
            Err(error) => (Shown::of(&error.to_string()), None),
        }
    }

    async fn ending(&self, load: &Load, action: &Action) -> Result<Shown, TourError> {
        let failed = |source| TourError::NoAnswer { command: self.places.command(action), source };
        let mut ended = Err(io::ErrorKind::NotFound.into());
        let answers = load::send(load, &self.places.web, || ended = self.end(load)).await.map_err(failed)?;
        ended.map_err(|source| TourError::Alive { name: load.victim, source })?;
        let statuses = answers.iter().map(StatusCode::as_u16).collect();
        Ok(Shown { statuses, text: String::new() })
    }

    fn end(&self, load: &Load) -> io::Result<()> {
        let text = fs::read_to_string(self.places.folder.pid_file(load.victim))?;
        let signal = match load.end {
            End::Stopped => Signal::TERM,
            End::Killed => Signal::KILL,
        };
        let pid = text.parse().ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        Ok(kill_process(pid, signal)?)
    }

    /// As `sed -i` does it: the new file takes the place of the old one at once.
    fn edit(&self, before: &str, after: &str) -> io::Result<()> {
        let file = self.places.folder.config();
        let draft = file.with_extension("draft");
        fs::write(&draft, fs::read_to_string(&file)?.replace(before, after))?;
        fs::rename(draft, file)
    }
}

/// A backend is back after six seconds at most, and has its share a second later; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ten_things_are_printed() {
        let folder = DemoFolder::create().expect("a folder");
        let ready = json!({
            "event": "ready",
            "listeners": { "web": ["127.0.0.1:8080"] },
            "admin": ["unix:/tmp/admin.sock", "127.0.0.1:9901"],
            "registry": ["127.0.0.1:8500"],
            "registry_dns": ["127.0.0.1:8600"],
            "gslb": ["127.0.0.1:5300"],
        });
        let text = Tour::new(&ready, &folder).expect("all addresses are there").print();
        let things =
            text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())).count();
        assert_eq!(things, 10, "{text}");
    }
}
