//! A worker: takes the queries that are there, answers them, sends the answers.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::Cache;
use fulcrum_balance::Rng;

use super::Shared;
use super::syscalls::Batch;
use crate::answer::{Answered, Client, Transport, answer, truncate};
use crate::counters::Drop;
use crate::query_log::QueryLog;
use crate::rate::{Pass, Rate};
use crate::snapshot::Snapshot;

/// A thread that answers over one socket.
pub(super) struct Worker {
    socket: UdpSocket,
    shared: Shared,
    number: usize,
    began: Instant,
    is_ending: Arc<AtomicBool>,
}

/// What is the same for all queries of a batch.
struct Turn<'a> {
    snapshot: &'a Snapshot,
    rate: Option<&'a Rate>,
    log: Option<&'a QueryLog>,
    shared: &'a Shared,
    worker: usize,
    /// Seconds since 1970.
    now: u32,
    /// Microseconds since the start.
    elapsed: u64,
}

impl Worker {
    pub(super) fn new(
        socket: UdpSocket,
        shared: Shared,
        number: usize,
        began: Instant,
        is_ending: Arc<AtomicBool>,
    ) -> Self {
        Worker { socket, shared, number, began, is_ending }
    }

    pub(super) fn run(self) {
        let mut batch = Batch::new(self.shared.snapshot.load().datagram_max());
        let mut snapshots = Cache::new(Arc::clone(&self.shared.snapshot));
        let mut rates = Cache::new(Arc::clone(&self.shared.rate));
        let mut logs = Cache::new(Arc::clone(&self.shared.log));
        let mut rng = Rng::from_seed(
            u64::from(self.began.elapsed().subsec_nanos()) << 8 ^ seconds() ^ self.number as u64,
        );
        let mut answer_all = |batch: &mut Batch| {
            let turn = Turn {
                snapshot: snapshots.load(),
                rate: rates.load().as_ref().as_ref(),
                log: logs.load().as_ref().as_ref(),
                shared: &self.shared,
                worker: self.number,
                now: seconds() as u32,
                elapsed: self.began.elapsed().as_micros() as u64,
            };
            batch.answer(|query, peer, out| turn.answer(query, peer, &mut rng, out));
            let failed = batch.send(self.socket.as_fd());
            if failed > 0 {
                self.shared.counters.dropped(self.number, Drop::Unsent, failed as u64);
            }
        };
        while !self.is_ending.load(Ordering::Relaxed) {
            match batch.receive(self.socket.as_fd()) {
                Ok(_) => answer_all(&mut batch),
                // Nor does a worker that nobody asks keep what was answered before.
                Err(error) if is_nothing(&error) => answer_all(&mut batch),
                Err(error) => {
                    // What came before it is gone; a socket that goes on failing must not take the processor.
                    tracing::warn!(%error, "receiving DNS queries failed");
                    std::thread::sleep(super::LOOK);
                }
            }
        }
        // What has come is answered; not for ever, should more come all the time.
        let waits = self.socket.set_nonblocking(true).is_err();
        for _ in 0..if waits { 0 } else { LAST_BATCHES } {
            match batch.receive(self.socket.as_fd()) {
                Ok(_) => answer_all(&mut batch),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Told of an answer that could not be delivered.
                Err(_) => {}
            }
        }
    }
}

impl Turn<'_> {
    fn answer(&self, query: &[u8], peer: SocketAddr, rng: &mut Rng, out: &mut [u8]) -> Option<usize> {
        let counters = &self.shared.counters;
        // Nobody has that port: it is sent in another's name (RFC 1035 says nothing of it; RFC 768 makes it "no answer wanted").
        if peer.port() == 0 {
            counters.dropped(self.worker, Drop::Unanswerable, 1);
            return None;
        }
        let transport = Transport::Udp;
        let mut client = Client { address: peer.ip(), transport, now: self.now, rng: &mut *rng };
        let Some(answered) = answer(self.snapshot, query, &mut client, out) else {
            counters.dropped(self.worker, Drop::Unanswerable, 1);
            return None;
        };
        let length = self.limited(peer, &answered, out);
        match length {
            Some(_) => {
                counters.answered(self.worker, self.snapshot, &answered, transport);
                if let Some(log) = self.log {
                    log.sample(rng, self.snapshot, (peer.ip(), transport), (query, &answered));
                }
            }
            None => counters.dropped(self.worker, Drop::Limited, 1),
        }
        length
    }

    fn limited(&self, peer: SocketAddr, answered: &Answered, out: &mut [u8]) -> Option<usize> {
        let Some(rate) = self.rate else { return Some(answered.length) };
        match rate.pass(peer.ip(), answered, self.elapsed) {
            Pass::Send => Some(answered.length),
            Pass::Slip => {
                self.shared.counters.dropped(self.worker, Drop::Slipped, 1);
                Some(truncate(out, answered))
            }
            Pass::Drop => None,
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    // Answers that could not be delivered are told at the next call.
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
    )
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// More than the queries that a socket's buffer holds.
const LAST_BATCHES: usize = 1024;
