//! A verified open loop: requests start on a fixed timetable whatever becomes of them, and each answer is checked. A
//! latency is counted from the time on the timetable.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, Response};

/// What to send where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) proxy: SocketAddr,
    /// The beginning of each target, unlike that of any other load.
    pub(super) prefix: &'static str,
    /// Requests a second.
    pub(super) rate: u32,
    /// How many may be under way.
    pub(super) connections: u32,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) target: String,
    pub(super) is_post: bool,
    /// Times since the beginning.
    pub(super) began: Duration,
    pub(super) ended: Duration,
    /// Who has answered, or what happened instead.
    pub(super) outcome: Result<String, String>,
}

impl Record {
    pub(super) fn latency(&self) -> Duration {
        self.ended - self.began
    }
}

/// Sends requests until it is over.
pub(super) fn run(load: &Load, start: Instant, is_over: &AtomicBool) -> Vec<Record> {
    let next = AtomicU32::new(0);
    let (next, load) = (&next, *load);
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..load.connections).map(|_| scope.spawn(move || drive(&load, start, next, is_over))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client does not panic")).collect()
    })
}

/// One client's share.
fn drive(load: &Load, start: Instant, next: &AtomicU32, is_over: &AtomicBool) -> Vec<Record> {
    let mut records = Vec::new();
    let mut connection = None;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let began = Duration::from_secs(1) * number / load.rate;
        thread::sleep(began.saturating_sub(start.elapsed()));
        if is_over.load(Ordering::Acquire) {
            return records;
        }
        let is_post = number.is_multiple_of(POST_EVERY);
        let target = format!("{}/{number}", load.prefix);
        let client = connection.take().unwrap_or_else(|| connect(load.proxy));
        let (outcome, client) = ask(client, &target, is_post);
        connection = client;
        records.push(Record { target, is_post, began, ended: start.elapsed(), outcome });
    }
}

fn connect(proxy: SocketAddr) -> Client {
    let client = Client::connect(&proxy.to_string());
    client.wire.socket.set_read_timeout(PATIENCE);
    client
}

/// Sends one request; who has answered, and the connection if it can be used again.
pub(super) fn ask(
    mut client: Client,
    target: &str,
    is_post: bool,
) -> (Result<String, String>, Option<Client>) {
    client.send(match is_post {
        true => format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nwork"),
        false => format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"),
    });
    let response = match client.try_response("GET") {
        Ok(response) => response,
        Err(failure) => return (Err(format!("{failure:?}")), None),
    };
    let outcome = verify(&response, target);
    client.wire.record().lock().expect("nobody panics with the record").clear();
    let is_kept = response.end.is_ok() && response.field("connection") != Some("close");
    (outcome, is_kept.then_some(client))
}

/// It is the whole answer to this request.
fn verify(response: &Response, target: &str) -> Result<String, String> {
    if let Err(failure) = &response.end {
        return Err(format!("{failure:?} in the body"));
    }
    if response.status != 200 {
        return Err(response.status.to_string());
    }
    let text = response.text();
    match text.lines().next().and_then(|line| line.split_once(' ')) {
        Some((name, echo)) if echo == target => Ok(name.to_owned()),
        _ => panic!("{target} was answered with {text:?}"),
    }
}

/// One of so many requests is a POST.
const POST_EVERY: u32 = 5;
/// How long a client waits for something to come.
const PATIENCE: Duration = Duration::from_secs(12);
