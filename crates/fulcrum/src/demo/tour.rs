//! Six things to try: printed as commands to copy, and executed with what they should show.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::folder::DemoFolder;
use super::stops::{Action, Curl, Server, Shown, Stop, chapters};
use crate::client::{self, ExchangeError, Reply, ServerAddress};
use crate::output;

/// The demo as a visitor sees it.
#[derive(Debug)]
pub(crate) struct Tour {
    web: ServerAddress,
    metrics: ServerAddress,
    socket: String,
    access_log: String,
    program: String,
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
    /// Another answer.
    #[error("{command}\n  should show {expected}, but shows:\n{shown}")]
    Other { command: String, expected: String, shown: String },
}

impl Tour {
    /// Reads the daemon's ready line.
    pub(crate) fn new(ready: &Value, folder: &DemoFolder) -> Result<Self, TourError> {
        let unclear = || TourError::Unclear(ready.to_string());
        let web = ready["listeners"]["web"][0].as_str().ok_or_else(unclear)?;
        let admin = ready["admin"].as_array().ok_or_else(unclear)?;
        let tcp = admin.iter().filter_map(Value::as_str).find(|address| !address.starts_with("unix:"));
        Ok(Tour {
            web: ServerAddress::Http(web.to_owned()),
            metrics: ServerAddress::Http(tcp.ok_or_else(unclear)?.to_owned()),
            socket: format!("unix:{}", folder.socket().display()),
            access_log: folder.access_log().display().to_string(),
            program: env::current_exe()
                .map_or_else(|_| "fulcrum".to_owned(), |path| path.display().to_string()),
        })
    }

    /// The tour as text.
    pub(crate) fn print(&self) -> String {
        let mut text = format!(
            "\nFulcrum balances {} over the backends blue, green and amber.\n\
             Metrics are at {}/metrics, everything of the admin at {}.\n\nSix things to try:\n",
            self.web, self.metrics, self.socket
        );
        for (number, chapter) in (1..).zip(chapters()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n{number}. {}", chapter.title);
            for stop in &chapter.stops {
                let _ = writeln!(text, "   {}\n      {}", self.command(&stop.action), stop.remark);
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
        // The access log is written behind the answers, so a command may be a moment too early.
        let patience = Instant::now() + PATIENCE;
        loop {
            let shown = self.execute(&stop.action).await?;
            let missing = stop.expected.missing(&shown);
            match missing {
                None => return Ok(()),
                Some(_) if stop.action.is_eventual() && Instant::now() < patience => sleep(LOOK_EVERY).await,
                Some(expected) => {
                    let command = self.command(&stop.action);
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
            Action::Metrics(prefix) => {
                let mut shown = Shown::default();
                shown.add(&self.request(&Curl::admin("/metrics"), action).await?);
                let lines = shown.text.lines().filter(|line| line.starts_with(prefix));
                shown.text = lines.flat_map(|line| [line, "\n"]).collect();
                Ok(shown)
            }
            Action::Fulcrum(words) => Ok(self.fulcrum(words).await),
            Action::AccessLog => {
                let log = fs::read_to_string(&self.access_log).unwrap_or_default();
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
        let failed = |source| TourError::NoAnswer { command: self.command(action), source };
        client::exchange(self.server(curl.server), request).await.map_err(failed)
    }

    /// The real command, as a visitor would run it.
    async fn fulcrum(&self, words: &[&str]) -> Shown {
        let mut command = Command::new(&self.program);
        command.args(words).args(["--admin", &self.socket]).stdin(Stdio::null()).kill_on_drop(true);
        match command.output().await {
            Ok(output) => {
                let text = [output.stdout, output.stderr].concat();
                Shown { statuses: Vec::new(), text: String::from_utf8_lossy(&text).into_owned() }
            }
            Err(error) => Shown::of(&error.to_string()),
        }
    }

    fn server(&self, server: Server) -> &ServerAddress {
        match server {
            Server::Web => &self.web,
            Server::Admin => &self.metrics,
        }
    }

    /// What to type into a shell.
    fn command(&self, action: &Action) -> String {
        match action {
            Action::Curl(curl) => self.curl_command(curl),
            Action::Metrics(prefix) => format!("curl -s '{}/metrics' | grep '^{prefix}'", self.metrics),
            Action::Fulcrum(words) => format!("{} {} --admin {}", self.program, words.join(" "), self.socket),
            Action::AccessLog => format!("tail -n 1 {}", self.access_log),
        }
    }

    fn curl_command(&self, curl: &Curl) -> String {
        let Curl { method, server, target, field, times } = curl;
        let method = if *method == Method::GET { String::new() } else { format!(" -X {method}") };
        let field = field.map_or_else(String::new, |(name, value)| format!(" -H '{name}: {value}'"));
        let command = format!("curl -si{method}{field} '{}{target}'", self.server(*server));
        match times {
            1 => command,
            _ => format!("for i in $(seq {times}); do {command} | grep x-backend; done"),
        }
    }
}

/// The access log is written at most some milliseconds late; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(5);

const LOOK_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tour() -> Tour {
        let folder = DemoFolder::create().expect("a folder");
        let ready = json!({
            "event": "ready",
            "listeners": { "web": ["127.0.0.1:8080"] },
            "admin": ["unix:/tmp/admin.sock", "127.0.0.1:9901"],
        });
        Tour::new(&ready, &folder).expect("all addresses are there")
    }

    #[test]
    fn commands_are_what_is_executed() {
        fn check(curl: Curl, expected: &str) {
            assert_eq!(tour().command(&Action::Curl(curl)), expected);
        }
        check(Curl::get("/a?b=c"), "curl -si 'http://127.0.0.1:8080/a?b=c'");
        check(
            Curl::get("/").with("x-color", "amber"),
            "curl -si -H 'x-color: amber' 'http://127.0.0.1:8080/'",
        );
        check(Curl::post("/sick"), "curl -si -X POST 'http://127.0.0.1:8080/sick'");
        check(Curl::admin("/readyz"), "curl -si 'http://127.0.0.1:9901/readyz'");
        check(
            Curl::get("/").times(9),
            "for i in $(seq 9); do curl -si 'http://127.0.0.1:8080/' | grep x-backend; done",
        );
    }

    #[test]
    fn six_things_are_printed() {
        let text = tour().print();
        let things =
            text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())).count();
        assert_eq!(things, 6, "{text}");
    }

    #[test]
    fn a_daemon_without_addresses_is_unclear() {
        let folder = DemoFolder::create().expect("a folder");
        assert!(matches!(Tour::new(&json!({ "event": "ready" }), &folder), Err(TourError::Unclear(_))));
    }
}
