//! Connections that the kernel has completed when the end begins: every one is served, none is reset.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Client, Failure, Setup, Socket, Wire};

/// Answers by itself, so that a test needs no more descriptors than its clients.
fn answering() -> Setup {
    Setup::default().endpoint("127.0.0.1:1").route("{ respond: { status: 200, body: here } }")
}

/// A worker may do only so much before others get their turn: the last look at the queue must not stop there.
#[test]
fn a_long_queue_is_served_to_its_end() {
    const QUEUED: usize = 400;
    let mut fulcrum = answering().listener("limits: { connections: 1 }").start();
    let mut first = fulcrum.connect();
    assert_eq!(first.get("/").text(), "here");
    let mut queued: Vec<Client> = (0..QUEUED)
        .map(|_| {
            let mut client = fulcrum.connect();
            client.send("GET /queued HTTP/1.1\r\nHost: test\r\n\r\n");
            client
        })
        .collect();
    assert_eq!(fulcrum.status()["connections"], 1, "the others are in the kernel's queue");
    fulcrum.child.signal(Signal::TERM);
    for client in &mut queued {
        assert_eq!(client.response().text(), "here");
        client.assert_closed();
    }
    first.assert_closed();
    assert_eq!(fulcrum.child.exit_code(), Some(0));
    assert_eq!(fulcrum.log_lines().len(), QUEUED + 1);
}

/// How a connection fared that was made beside the end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// The socket was closed already.
    Refused,
    /// It came between the last look at the queue and the end of the socket: no process can see it there.
    Reset,
    Answered,
}

/// Connects a moment after the signal to a daemon that has nothing to wait for.
#[track_caller]
fn connect_at_the_end(delay: Duration) -> Fate {
    let mut fulcrum = answering().start();
    assert_eq!(fulcrum.get("/").text(), "here", "the worker looks at its queue");
    let address = fulcrum.address().to_owned();
    fulcrum.child.signal(Signal::TERM);
    let signalled = Instant::now();
    while signalled.elapsed() < delay {
        std::hint::spin_loop();
    }
    let fate = match Socket::connect(&address) {
        Err(_) => Fate::Refused,
        Ok(socket) => answer_of(Client { wire: Wire::new(socket) }),
    };
    assert_eq!(fulcrum.child.exit_code(), Some(0));
    let records = fulcrum.log_lines().len();
    assert_eq!(records, 1 + usize::from(fate == Fate::Answered), "{fate:?} after {delay:?}");
    fate
}

#[track_caller]
fn answer_of(mut client: Client) -> Fate {
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    match client.try_response("GET") {
        Ok(response) => {
            assert_eq!((response.text().as_str(), response.end), ("here", Ok(())));
            Fate::Answered
        }
        Err(failure) => {
            assert_eq!(failure, Failure::Reset, "whoever is accepted is answered");
            Fate::Reset
        }
    }
}

#[test]
fn a_connection_beside_the_signal_is_served_or_refused() {
    const ROUNDS: u64 = 48;
    let fates: Vec<Fate> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|first| {
                let rounds = (first..ROUNDS).step_by(4);
                scope.spawn(move || {
                    rounds
                        .map(|round| connect_at_the_end(Duration::from_micros(round * 20)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("every round went well")).collect()
    });
    let count = |fate: Fate| fates.iter().filter(|&&other| other == fate).count();
    assert!(count(Fate::Answered) > 0, "some came in time: {fates:?}");
    assert!(count(Fate::Reset) <= 2, "the gap is a few microseconds wide: {fates:?}");
}

/// A worker that has not begun to accept yet has connections in its queue all the same.
#[test]
fn a_connection_before_the_signal_is_served_by_a_daemon_that_has_just_begun() {
    let round = || {
        let mut fulcrum = answering().top("workers: 16").start();
        let client = fulcrum.connect();
        fulcrum.child.signal(Signal::TERM);
        let fate = answer_of(client);
        assert_eq!(fulcrum.child.exit_code(), Some(0));
        fate
    };
    let fates: Vec<Fate> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(move || (0..15).map(|_| round()).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("every round went well")).collect()
    });
    assert!(fates.iter().all(|&fate| fate == Fate::Answered), "{fates:?}");
}
