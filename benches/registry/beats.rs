//! Heartbeats in an open loop: they are sent on a fixed timetable whatever the answers do, and a latency counts from the
//! time on the timetable.
//!
//! One blocking thread per connection. A free connection takes the next entry of the timetable, so a heartbeat waits for a
//! connection only when all are busy, and that wait counts.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::histogram::Histogram;
use super::wire::{Answer, Connection};

/// Who beats, how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beats<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) fleet: &'a Fleet,
    /// Each of these many instances one: 1 is all, 2 the even ones.
    pub(crate) one_of: usize,
    /// Heartbeats a second.
    pub(crate) rate: u32,
    pub(crate) sent: Sent,
}

/// In which form heartbeats are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A request each.
    Alone,
    /// So many in a request.
    Together(usize),
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the time on the timetable to the whole answer.
    pub(crate) latency: Histogram,
    /// From the time on the timetable to the request: what the load itself, or a lack of free connections, adds.
    pub(crate) lateness: Histogram,
    /// That were answered.
    pub(crate) count: u64,
    /// Of instances that were replaced in that moment.
    pub(crate) unknown: u64,
}

impl Beats<'_> {
    /// Beats for as long as `work` takes.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<(Outcome, T)> {
        let connections = (0..self.connections()).map(|_| Connection::open(self.address));
        let connections = connections.collect::<io::Result<Vec<_>>>()?;
        let requests = f64::from(self.rate) / self.size() as f64;
        let timetable = &Timetable {
            start: Instant::now() + LEAD_IN,
            interval: Duration::from_secs_f64(1.0 / requests),
            next: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        let (parts, done) = thread::scope(|scope| {
            let _over = EndAtDrop(timetable);
            let drive = |connection| scope.spawn(move || self.drive(connection, timetable));
            let threads: Vec<_> = connections.into_iter().map(drive).collect();
            let done = work();
            timetable.is_over.store(true, Ordering::Relaxed);
            let join =
                |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("a client does not panic");
            (threads.into_iter().map(join).collect::<Vec<_>>(), done)
        });
        let mut outcome = Outcome::new();
        parts.into_iter().try_for_each(|part| part.map(|part| outcome.add(&part)))?;
        Ok((outcome, done?))
    }

    /// Beats for so long.
    pub(crate) fn during_span(&self, span: Duration) -> io::Result<Outcome> {
        let asleep = || {
            thread::sleep(span);
            Ok(())
        };
        self.during(asleep).map(|(outcome, ())| outcome)
    }

    fn size(&self) -> usize {
        match self.sent {
            Sent::Alone => 1,
            Sent::Together(count) => count,
        }
    }

    fn connections(&self) -> usize {
        match self.sent {
            Sent::Alone => 64,
            Sent::Together(_) => 8,
        }
    }

    /// One connection's share.
    fn drive(&self, mut connection: Connection, timetable: &Timetable) -> io::Result<Outcome> {
        let mut outcome = Outcome::new();
        while let Some((entry, intended)) = timetable.take() {
            let (method, path, body) = self.request(entry);
            thread::sleep(intended.saturating_duration_since(Instant::now()));
            outcome.lateness.record(intended.elapsed());
            let answer = connection.ask(method, &path, &body)?;
            outcome.latency.record(intended.elapsed());
            outcome.count += self.size() as u64;
            outcome.unknown += self.unknown(&answer)?;
        }
        Ok(outcome)
    }

    /// The method, the path and the body of an entry of the timetable.
    fn request(&self, entry: u64) -> (&'static str, String, String) {
        match self.sent {
            Sent::Alone => {
                let path = format!("{}/lease", self.fleet.path(self.slot(entry)));
                ("PUT", path, "{\"epoch\":1,\"load\":{\"in_flight\":12}}".to_owned())
            }
            Sent::Together(count) => {
                let mut body = "{\"beats\":[".to_owned();
                for place in 0..count as u64 {
                    let slot = self.slot(entry * count as u64 + place);
                    let (service, id) = (self.fleet.service(slot), self.fleet.id(slot));
                    let comma = if place == 0 { "" } else { "," };
                    let _ = write!(body, "{comma}{{\"s\":\"{service}\",\"i\":\"{id}\",\"e\":1}}");
                }
                ("POST", "/v1/heartbeats".to_owned(), body + "]}")
            }
        }
    }

    /// Whose turn it is: everyone's once before anyone's again, and hardly ever neighbours' one after the other.
    fn slot(&self, beat: u64) -> usize {
        let beating = (self.fleet.len() / self.one_of) as u64;
        (beat.wrapping_mul(STRIDE) % beating) as usize * self.one_of
    }

    /// How many of its heartbeats are of nobody; an error when it says anything else but that all is well.
    fn unknown(&self, answer: &Answer<'_>) -> io::Result<u64> {
        match (self.sent, answer.status) {
            (Sent::Alone, 404) => Ok(1),
            (Sent::Alone, 200) => Ok(0),
            (Sent::Together(_), 200) => {
                let count =
                    |text: &[u8]| answer.body.windows(text.len()).filter(|part| *part == text).count();
                let (all, unknown) = (count(b"\"code\":"), count(b"\"code\":\"unknown\""));
                if all == unknown { Ok(unknown as u64) } else { Err(answer.wrong()) }
            }
            _ => Err(answer.wrong()),
        }
    }
}

impl Outcome {
    fn new() -> Self {
        Outcome { latency: Histogram::new(), lateness: Histogram::new(), count: 0, unknown: 0 }
    }

    fn add(&mut self, other: &Outcome) {
        self.latency.merge(&other.latency);
        self.lateness.merge(&other.lateness);
        self.count += other.count;
        self.unknown += other.unknown;
    }
}

/// When each request is meant to start.
struct Timetable {
    start: Instant,
    interval: Duration,
    next: AtomicU64,
    is_over: AtomicBool,
}

impl Timetable {
    /// The next entry that nobody has taken, and its time; nothing when it is over.
    fn take(&self) -> Option<(u64, Instant)> {
        let entry = self.next.fetch_add(1, Ordering::Relaxed);
        let offset = Duration::from_nanos(self.interval.as_nanos() as u64 * entry);
        (!self.is_over.load(Ordering::Relaxed)).then(|| (entry, self.start + offset))
    }
}

struct EndAtDrop<'a>(&'a Timetable);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// So that every connection stands by then.
const LEAD_IN: Duration = Duration::from_millis(50);

/// A prime, which no number of instances is a multiple of.
const STRIDE: u64 = 7919;
