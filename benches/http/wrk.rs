//! One run of wrk, which must be without a single error to count.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::peer::missing;
use crate::program::in_path;

/// wrk, ready to run.
pub(crate) struct Wrk {
    binary: PathBuf,
    script: PathBuf,
}

/// What to ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests<'a> {
    /// Path and query.
    pub(crate) target: &'static str,
    /// Connections open at a time.
    pub(crate) connections: u32,
    /// Arguments of the script `wrk.lua`.
    pub(crate) mode: Mode<'a>,
}

/// How the script varies the request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode<'a> {
    /// `GET` on kept connections.
    Keep,
    /// `GET` with a new connection each.
    Close,
    /// `POST` of that many bytes.
    Post(usize),
    /// `GET` for that many hosts, that many path prefixes each.
    Hosts(usize, usize),
    /// `GET` with these values of `Cookie`, by turns.
    Cookies(&'a [String]),
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    /// Answered.
    pub(crate) requests: u64,
    /// In this time.
    pub(crate) elapsed: Duration,
}

impl Wrk {
    /// Finds wrk and puts its script into `folder`.
    pub(crate) fn find(folder: &Path) -> io::Result<Wrk> {
        let script = folder.join("wrk.lua");
        fs::write(&script, include_str!("wrk.lua"))?;
        Ok(Wrk { binary: in_path("wrk").ok_or_else(|| missing("wrk"))?, script })
    }

    /// Sends requests for `duration`, rounded up to seconds.
    pub(crate) fn run(
        &self,
        authority: &str,
        requests: Requests<'_>,
        duration: Duration,
    ) -> io::Result<Done> {
        let output = Command::new(&self.binary)
            .args(["-t1", "-c", &requests.connections.to_string()])
            .args(["-d", &format!("{}s", duration.as_secs_f64().ceil()), "-s"])
            .arg(&self.script)
            .args([&format!("http://{authority}{}", requests.target), "--"])
            .args(requests.mode.arguments())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse(&text).ok_or_else(|| {
            io::Error::other(format!("wrk failed:\n{text}{}", String::from_utf8_lossy(&output.stderr)))
        })?
    }
}

impl Mode<'_> {
    fn arguments(self) -> Vec<String> {
        match self {
            Mode::Keep => vec!["keep".to_owned()],
            Mode::Close => vec!["close".to_owned()],
            Mode::Post(bytes) => vec!["post".to_owned(), bytes.to_string()],
            Mode::Hosts(hosts, paths) => vec!["hosts".to_owned(), hosts.to_string(), paths.to_string()],
            Mode::Cookies(cookies) => [&["cookies".to_owned()], cookies].concat(),
        }
    }
}

/// The script's line of results; `None` when there is none.
fn parse(text: &str) -> Option<io::Result<Done>> {
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "))?;
    let words: HashMap<&str, u64> = line
        .split(' ')
        .filter_map(|word| word.split_once('='))
        .filter_map(|(k, v)| Some((k, v.parse().ok()?)))
        .collect();
    let (requests, elapsed) = (*words.get("requests")?, Duration::from_micros(*words.get("microseconds")?));
    let failed: u64 =
        ["connect", "read", "write", "status", "timeout"].iter().filter_map(|key| words.get(key)).sum();
    Some(if failed > 0 || requests == 0 {
        Err(io::Error::other(format!("wrk saw errors: {line}")))
    } else {
        Ok(Done { requests, elapsed })
    })
}
