//! One run of dnsperf, in which every query must be answered, and with the right code, to count.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::peer::missing;
use crate::program::in_path;

/// dnsperf, ready to run.
pub(crate) struct Dnsperf(PathBuf);

/// What to ask, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    /// The file of queries.
    pub(crate) queries: &'a Path,
    /// The code that all answers have.
    pub(crate) code: &'static str,
    /// How they are sent.
    pub(crate) transport: Transport,
    /// Queries a second; else as many as there are answers to.
    pub(crate) rate: Option<u32>,
    /// For how long.
    pub(crate) duration: Duration,
}

/// How queries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// In datagrams, from several sockets.
    Udp,
    /// Over a few connections, many on each.
    Tcp,
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    /// Answered.
    pub(crate) answered: u64,
    /// Not answered.
    pub(crate) lost: u64,
    /// In this time.
    pub(crate) elapsed: Duration,
    /// The longest that an answer took.
    pub(crate) longest: Duration,
}

impl Dnsperf {
    /// Finds it.
    pub(crate) fn find() -> io::Result<Self> {
        in_path("dnsperf").map(Dnsperf).ok_or_else(|| missing("dnsperf"))
    }

    /// Sends queries to a server.
    pub(crate) fn run(&self, server: SocketAddr, load: &Load<'_>) -> io::Result<Done> {
        finish(self.start(server, load)?, load)
    }

    /// Sends queries while something else is done.
    pub(crate) fn run_while<T>(
        &self,
        server: SocketAddr,
        load: &Load<'_>,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<(Done, T)> {
        let child = self.start(server, load)?;
        let worked = work();
        let done = finish(child, load);
        Ok((done?, worked?))
    }

    fn start(&self, server: SocketAddr, load: &Load<'_>) -> io::Result<Child> {
        let mut command = Command::new(&self.0);
        let transport = match load.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        command
            .args(["-B", "-T1", "-q100", "-c", CLIENTS, "-m", transport, "-s", &server.ip().to_string()])
            .args(["-p", &server.port().to_string(), "-l", &load.duration.as_secs().max(1).to_string()])
            .arg("-d")
            .arg(load.queries);
        if let Some(rate) = load.rate {
            command.args(["-Q", &rate.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

fn finish(child: Child, load: &Load<'_>) -> io::Result<Done> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = |why: &str| {
        let said = String::from_utf8_lossy(&output.stderr);
        io::Error::other(format!("dnsperf: {why}\n{text}{said}"))
    };
    let done = parse(&text).ok_or_else(|| failed("no result"))?;
    let codes = text.lines().find_map(|line| line.trim().strip_prefix("Response codes:"));
    let is_right = codes.is_some_and(|codes| codes.trim().starts_with(load.code) && !codes.contains(','));
    if is_right { Ok(done) } else { Err(failed("not the answers that were to come")) }
}

fn parse(text: &str) -> Option<Done> {
    let word = |name: &str, place: usize| {
        text.lines().find_map(|line| line.trim().strip_prefix(name)?.split_whitespace().nth(place))
    };
    let seconds = |text: &str| text.parse().ok().map(Duration::from_secs_f64);
    // Average Latency (s):  0.000856 (min 0.000013, max 0.023456)
    let longest = word("Average Latency (s):", 4)?.trim_end_matches(')');
    Some(Done {
        answered: word("Queries completed:", 0)?.parse().ok().filter(|count| *count > 0)?,
        lost: word("Queries lost:", 0)?.parse().ok()?,
        elapsed: seconds(word("Run time (s):", 0)?)?,
        longest: seconds(longest)?,
    })
}

/// Sockets that queries are sent from: enough that two workers get some each.
const CLIENTS: &str = "16";
