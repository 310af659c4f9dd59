//! An open loop: requests start on a fixed timetable whatever the answers do, and a latency is counted from the time
//! on the timetable. A server that stalls is charged for every request that should have started meanwhile.
//!
//! One blocking thread per connection. A free connection takes the next entry of the timetable, so a request waits
//! for a connection only when all are busy, and that wait counts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// The `Host` field.
    pub(crate) host: String,
    /// Path and query.
    pub(crate) target: String,
    /// Requests per second, over all connections.
    pub(crate) rate: f64,
    /// Keep-alive connections.
    pub(crate) connections: usize,
    /// How long requests are started.
    pub(crate) duration: Duration,
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
}

/// Runs the load, from the main thread. Any failure, an answer other than 200 included, fails the whole run.
pub(crate) fn run(load: &Load) -> io::Result<Outcome> {
    sharpen_timers();
    let streams = (0..load.connections).map(|_| connect(load.address)).collect::<io::Result<Vec<_>>>()?;
    let timetable = Timetable::new(load);
    let parts = thread::scope(|scope| {
        let threads: Vec<_> =
            streams.into_iter().map(|stream| scope.spawn(|| drive(stream, load, &timetable))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a connection does not panic"))
            .collect::<Vec<_>>()
    });
    let mut outcome =
        Outcome { latency: Histogram::new(), lateness: Histogram::new(), elapsed: Duration::ZERO };
    for part in parts {
        let part = part?;
        outcome.latency.merge(&part.latency);
        outcome.lateness.merge(&part.lateness);
        outcome.elapsed = outcome.elapsed.max(part.elapsed);
    }
    Ok(outcome)
}

/// When each request is meant to start.
struct Timetable {
    start: Instant,
    interval: Duration,
    requests: u64,
    next: AtomicU64,
}

impl Timetable {
    fn new(load: &Load) -> Self {
        Timetable {
            start: Instant::now() + LEAD_IN,
            interval: Duration::from_secs_f64(1.0 / load.rate),
            requests: (load.rate * load.duration.as_secs_f64()) as u64,
            next: AtomicU64::new(0),
        }
    }

    /// The next start that nobody has taken; `None` after the last.
    fn take(&self) -> Option<Instant> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let offset = Duration::from_nanos(self.interval.as_nanos() as u64 * index);
        (index < self.requests).then(|| self.start + offset)
    }
}

/// One connection's share.
fn drive(mut stream: TcpStream, load: &Load, timetable: &Timetable) -> io::Result<Outcome> {
    let request = format!("GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", load.target, load.host);
    let mut buffer = vec![0; 64 * 1024];
    let mut outcome =
        Outcome { latency: Histogram::new(), lateness: Histogram::new(), elapsed: Duration::ZERO };
    while let Some(intended) = timetable.take() {
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        stream.write_all(request.as_bytes())?;
        read_answer(&mut stream, &mut buffer)?;
        let answered = Instant::now();
        outcome.lateness.record(sent - intended);
        outcome.latency.record(answered - intended);
        outcome.elapsed = answered - timetable.start;
    }
    Ok(outcome)
}

/// Opens a connection as the load uses it.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

/// Reads one answer to its end. It must be a 200 with `Content-Length`.
pub(crate) fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    let (head, length) = loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        if let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
            break (end + 4, content_length(&buffer[..end + 2])?);
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
    Ok(())
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let head = std::str::from_utf8(head).map_err(|_| invalid("the answer's head is not text"))?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(invalid(head.lines().next().unwrap_or_default()));
    }
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| invalid("the answer has no content-length"))
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
