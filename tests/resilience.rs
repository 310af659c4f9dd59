//! What becomes of requests when endpoints fail, are full or go away: nothing is lost, nothing is done twice, and clients
//! stay where they belong.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use crate::harness::{Client, Conversation, Fulcrum, Response, Setup, Upstream, ok};

mod checks;
mod connections;
mod ejection;
mod health;
mod leaving;
mod queue;
mod retries;
mod sticky;
mod storm;

/// An upstream that takes every request and breaks the connection instead of answering.
fn resetting() -> Upstream {
    Upstream::new(|mut conversation: Conversation| {
        if conversation.request().is_some() {
            conversation.reset();
        }
    })
}

/// An upstream that answers each request with its name, but only when it is let.
pub(crate) struct Gated {
    pub(crate) upstream: Upstream,
    gate: Sender<()>,
}

impl Gated {
    pub(crate) fn new(name: &str) -> Self {
        let (gate, opened) = channel::<()>();
        let (answer, opened) = (ok(name), Mutex::new(opened));
        let upstream = Upstream::new(move |mut conversation: Conversation| {
            while conversation.request().is_some() {
                if opened.lock().expect("nobody panics with it").recv().is_err() {
                    return;
                }
                conversation.send(&answer);
            }
        });
        Gated { upstream, gate }
    }

    /// Lets one request be answered, now or when it comes.
    pub(crate) fn release(&self) {
        self.gate.send(()).expect("the upstream lives as long as this");
    }

    /// The targets that have arrived, in no order between connections.
    pub(crate) fn arrived(&self) -> usize {
        self.upstream.requests().len()
    }
}

/// A service of these upstreams that takes turns.
fn in_turn(upstreams: &[&Upstream]) -> Setup {
    let setup = Setup::default().service("balance: round_robin");
    upstreams.iter().fold(setup, |setup, upstream| setup.endpoint(upstream.address()))
}

/// Sends a request and leaves the answer for later.
pub(crate) fn begin(fulcrum: &Fulcrum, target: &str) -> Client {
    let mut client = fulcrum.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
    client
}

/// Waits until so many requests are inside.
#[track_caller]
pub(crate) fn await_in_flight(fulcrum: &Fulcrum, count: u32) {
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[], count.into());
}

#[track_caller]
fn await_hits(fulcrum: &Fulcrum, limit: &str, expected: u32) {
    fulcrum.await_metric("fulcrum_process_limit_hits_total", &[("reason", limit)], expected.into());
}

/// What is shed is told to come back, and why in the log.
#[track_caller]
fn assert_shed(response: &Response, fulcrum: &Fulcrum, target: &str, reason: &str) {
    assert_eq!(response.status, 503, "{}", response.text());
    assert_eq!(response.field("retry-after"), Some("1"));
    assert_eq!(fulcrum.record_of(target)["reason"], reason);
}
