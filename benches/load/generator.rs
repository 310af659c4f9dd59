//! An open loop: requests start on a fixed timetable whatever the answers do, and a latency is counted from the time
//! on the timetable. A server that stalls is charged for every request that should have started meanwhile.
//!
//! One blocking thread per connection. A free connection takes the next entry of the timetable, so a request waits
//! for a connection only when all are busy, and that wait counts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::histogram::Histogram;

/// An answer that takes longer ends the run.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Between the start of the threads and the first request, so that every connection stands by then.
const LEAD_IN: Duration = Duration::from_millis(100);
const LARGEST_HEAD: usize = 16 * 1024;

/// What to send, where to, how often.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The server.
    pub(crate) address: SocketAddr,
    /// The `Host` fields, at least one; each connection has its own, by turns.
    pub(crate) hosts: Vec<String>,
    /// Path and query.
    pub(crate) target: String,
    /// Requests per second, over all connections.
    pub(crate) rate: f64,
    /// Keep-alive connections.
    pub(crate) connections: usize,
    /// How long requests are started.
    pub(crate) duration: Duration,
    /// What becomes of the run when a request fails, an answer other than 200 included.
    pub(crate) on_failure: OnFailure,
}

/// What becomes of a run when a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It fails as a whole.
    Fail,
    /// The failure is counted, and the connection made anew.
    #[allow(dead_code, reason = "one of two programs with this module counts failures")]
    Count,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the time on the timetable to the last byte of the answer.
    pub(crate) latency: Histogram,
    /// From the time on the timetable to the request being sent: what the generator itself (or a lack of free
    /// connections) adds to the latency.
    pub(crate) lateness: Histogram,
    /// From the first time on the timetable to the last answer.
    pub(crate) elapsed: Duration,
    /// Requests that were not answered with 200.
    pub(crate) failed: u64,
}

/// Runs the load, from the main thread.
pub(crate) fn run(load: &Load) -> io::Result<Outcome> {
    let requests = (load.rate * load.duration.as_secs_f64()) as u64;
    Ok(run_until(load, requests, |_| Ok(()))?.0)
}

/// Runs the load for as long as `work` takes, from the main thread.
#[allow(dead_code, reason = "one of two programs with this module works meanwhile")]
pub(crate) fn run_while<T>(load: &Load, work: impl FnOnce() -> io::Result<T>) -> io::Result<(Outcome, T)> {
    run_until(load, u64::MAX, |timetable| {
        thread::sleep(timetable.start.saturating_duration_since(Instant::now()));
        let done = work();
        timetable.is_over.store(true, Ordering::Relaxed);
        done
    })
}

fn run_until<T>(
    load: &Load,
    requests: u64,
    work: impl FnOnce(&Timetable) -> io::Result<T>,
) -> io::Result<(Outcome, T)> {
    sharpen_timers();
    let clients =
        (0..load.connections).map(|index| Client::new(load, index)).collect::<io::Result<Vec<_>>>()?;
    let timetable = &Timetable::new(load, requests);
    let (parts, done) = thread::scope(|scope| {
        let threads: Vec<_> =
            clients.into_iter().map(|client| scope.spawn(|| drive(client, load, timetable))).collect();
        let done = work(timetable);
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("a client does not panic");
        (threads.into_iter().map(join).collect::<Vec<_>>(), done)
    });
    let mut outcome = Outcome::new();
    for part in parts {
        let part = part?;
        outcome.latency.merge(&part.latency);
        outcome.lateness.merge(&part.lateness);
        outcome.elapsed = outcome.elapsed.max(part.elapsed);
        outcome.failed += part.failed;
    }
    Ok((outcome, done?))
}

impl Outcome {
    fn new() -> Self {
        Outcome { latency: Histogram::new(), lateness: Histogram::new(), elapsed: Duration::ZERO, failed: 0 }
    }
}

/// When each request is meant to start.
struct Timetable {
    start: Instant,
    interval: Duration,
    requests: u64,
    next: AtomicU64,
    is_over: AtomicBool,
}

impl Timetable {
    fn new(load: &Load, requests: u64) -> Self {
        Timetable {
            start: Instant::now() + LEAD_IN,
            interval: Duration::from_secs_f64(1.0 / load.rate),
            requests,
            next: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// The next start that nobody has taken; `None` after the last.
    fn take(&self) -> Option<Instant> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let offset = Duration::from_nanos(self.interval.as_nanos() as u64 * index);
        (index < self.requests && !self.is_over.load(Ordering::Relaxed)).then(|| self.start + offset)
    }
}

/// One connection's share.
fn drive(mut client: Client, load: &Load, timetable: &Timetable) -> io::Result<Outcome> {
    let mut outcome = Outcome::new();
    while let Some(intended) = timetable.take() {
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        match client.ask() {
            Ok(()) => {
                let answered = Instant::now();
                outcome.lateness.record(sent - intended);
                outcome.latency.record(answered - intended);
                outcome.elapsed = answered - timetable.start;
                client.prepare();
            }
            Err(error) if load.on_failure == OnFailure::Fail => return Err(error),
            Err(_) => outcome.failed += 1,
        }
    }
    Ok(outcome)
}

/// One that asks over a connection, and over another when the server has ended that.
struct Client {
    address: SocketAddr,
    request: String,
    buffer: Vec<u8>,
    stream: Option<TcpStream>,
}

impl Client {
    fn new(load: &Load, index: usize) -> io::Result<Self> {
        let host = &load.hosts[index % load.hosts.len()];
        Ok(Client {
            address: load.address,
            request: format!("GET {} HTTP/1.1\r\nhost: {host}\r\n\r\n", load.target),
            buffer: vec![0; 64 * 1024],
            stream: Some(connect(load.address)?),
        })
    }

    fn ask(&mut self) -> io::Result<()> {
        // Gone for the time of the question: a connection on which it fails is none any more.
        let mut stream = self.stream.take().map_or_else(|| connect(self.address), Ok)?;
        stream.write_all(self.request.as_bytes())?;
        match read_answer(&mut stream, &mut self.buffer)? {
            After::Kept => self.stream = Some(stream),
            After::Closed => {}
        }
        Ok(())
    }

    /// Connects before the next request is due. If that fails, the request will.
    fn prepare(&mut self) {
        if self.stream.is_none() {
            self.stream = connect(self.address).ok();
        }
    }
}

/// What an answer says of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It takes another request.
    Kept,
    /// It is over.
    Closed,
}

/// Opens a connection as the load uses it.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

/// Reads one answer to its end. It must be a 200 with `Content-Length`.
pub(crate) fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<After> {
    let mut filled = 0;
    let (head, (length, after)) = loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        if let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
            break (end + 4, parse_head(&buffer[..end + 2])?);
        }
        if filled >= LARGEST_HEAD.min(buffer.len()) {
            return Err(invalid("the answer's head is too large"));
        }
    };
    let mut missing = (head + length).checked_sub(filled).ok_or_else(|| invalid("more than one answer"))?;
    while missing > 0 {
        let room = missing.min(buffer.len());
        match stream.read(&mut buffer[..room])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => missing -= read,
        }
    }
    Ok(after)
}

/// The length of the body, and whether the connection stays.
fn parse_head(head: &[u8]) -> io::Result<(usize, After)> {
    let head = std::str::from_utf8(head).map_err(|_| invalid("the answer's head is not text"))?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(invalid(head.lines().next().unwrap_or_default()));
    }
    let fields = || head.lines().filter_map(|line| line.split_once(':'));
    let field =
        |wanted| fields().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim());
    let length = field("content-length").and_then(|value| value.parse().ok());
    let length = length.ok_or_else(|| invalid("the answer has no content-length"))?;
    let is_last = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok((length, if is_last { After::Closed } else { After::Kept }))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("unexpected answer: {what}"))
}

/// Lets the threads that start from now on wake up on time: by default Linux may delay a sleeper by 50 µs, which would
/// count as latency. The setting is the main thread's and inherited by those it starts. Where it is refused the delay
/// shows in `lateness`.
fn sharpen_timers() {
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
}
