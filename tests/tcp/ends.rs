//! How a connection ends: each side sees what it would see of the other without us.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Conversation, DEADLINE, Failure, Socket, Upstream, eventually};

use super::{await_errors, check_echo, connect, echo, in_front_of, standing};

#[test]
fn each_direction_ends_by_itself() {
    // The client ends first; the upstream has more to say.
    let upstream = Upstream::new(|mut conversation| {
        let (bytes, failure) = conversation.wire.until_end();
        assert_eq!(failure, Failure::Closed);
        conversation.send([b"you said ", &bytes[..]].concat());
    });
    let fulcrum = in_front_of(&[&upstream], "");
    let mut client = connect(&fulcrum);
    client.send("bye");
    client.end_sending();
    assert_eq!(client.wire.until_end(), (b"you said bye".to_vec(), Failure::Closed));

    // The upstream ends first; the client has more to say.
    let upstream = Upstream::new(|mut conversation| {
        conversation.send("bye");
        conversation.wire.socket.shutdown(std::net::Shutdown::Write);
        assert_eq!(conversation.until_closed(), Failure::Closed);
    });
    let fulcrum = in_front_of(&[&upstream], "");
    let mut client = connect(&fulcrum);
    assert_eq!(client.wire.until_end(), (b"bye".to_vec(), Failure::Closed));
    client.send("one more thing");
    eventually("it arrives", || upstream.text().ends_with("one more thing").then_some(()));
    drop(client);
    eventually("both are closed", || (upstream.open_connections() == 0).then_some(()));
    assert_eq!(fulcrum.records(1)[0]["reason"], "ok");
}

/// An upstream that echoes one word, and how its connections end.
fn witness() -> (Upstream, Receiver<Failure>) {
    let (sender, ends) = channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::new(move |mut conversation| {
        let word = conversation.wire.exactly(4).expect("a word");
        conversation.send(word);
        let end = conversation.until_closed();
        // The test may have seen enough.
        let _ = sender.lock().expect("nobody panics with it").send(end);
    });
    (upstream, ends)
}

#[test]
fn a_reset_by_the_client_arrives_as_one() {
    let (upstream, ends) = witness();
    let fulcrum = in_front_of(&[&upstream], "");
    let client = standing(&fulcrum);
    client.wire.socket.reset_on_close();
    drop(client);
    assert_eq!(ends.recv_timeout(DEADLINE), Ok(Failure::Reset));
    await_errors(&fulcrum, "client_closed", 1);
    // A clean end stays one.
    drop(standing(&fulcrum));
    assert_eq!(ends.recv_timeout(DEADLINE), Ok(Failure::Closed));
    assert_eq!(fulcrum.records(2)[1]["reason"], "ok");
}

#[test]
fn a_reset_by_the_upstream_arrives_as_one() {
    let upstream = Upstream::new(|mut conversation| {
        let word = conversation.wire.exactly(4).expect("a word");
        conversation.send(word);
        conversation.wire.exactly(3).expect("another one");
        conversation.reset();
    });
    let fulcrum = in_front_of(&[&upstream], "");
    let mut client = standing(&fulcrum);
    client.send("end");
    assert_eq!(client.wire.until_end(), (Vec::new(), Failure::Reset));
    await_errors(&fulcrum, "upstream_reset", 1);
    assert_eq!(fulcrum.records(1)[0]["reason"], "upstream_reset");
}

#[test]
fn an_idle_connection_is_ended_and_any_byte_is_progress() {
    let upstream = Upstream::new(echo);
    let fulcrum = in_front_of(&[&upstream], ", timeouts: { stream_idle: 600ms, response_idle: 100ms }");
    let mut client = connect(&fulcrum);
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(200));
        check_echo(&mut client);
    }
    let last = Instant::now();
    assert_ne!(client.wire.until_end().1, Failure::Silent);
    assert!(last.elapsed() > Duration::from_millis(400), "{:?}", last.elapsed());
    eventually("the upstream's side is closed", || (upstream.open_connections() == 0).then_some(()));
    await_errors(&fulcrum, "stream_idle_timeout", 1);
}

/// Writes until nothing more goes, which is when the daemon holds all that it may.
fn fill(socket: &mut Socket) {
    socket.set_write_timeout(Duration::from_millis(300));
    let block = [b'x'; 64 << 10];
    while socket.write(&block).is_ok() {}
}

/// A client that is not read from any more, because its endpoint takes nothing, has gone all the same when it resets.
#[test]
fn a_client_that_resets_is_missed_where_its_endpoint_takes_nothing() {
    let (let_go, held) = channel::<()>();
    let held = Mutex::new(held);
    let upstream = Upstream::new(move |conversation: Conversation| {
        // Nothing is read until the test is over.
        let _ = held.lock().expect("nobody panics with it").recv();
        drop(conversation);
    });
    let fulcrum = in_front_of(&[&upstream], ", limits: { max_connections: 1, queue: { timeout: 1s } }");
    let mut client = connect(&fulcrum);
    fill(&mut client.wire.socket);
    client.wire.socket.reset_on_close();
    drop(client);
    await_errors(&fulcrum, "client_closed", 1);
    fulcrum.await_metric("fulcrum_tcp_connections", &[], 0.0);
    drop(let_go);
}

/// And the other way round.
#[test]
fn an_endpoint_that_resets_is_missed_where_its_client_takes_nothing() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        fill(&mut conversation.wire.socket);
        conversation.wire.socket.reset_on_close();
    });
    let fulcrum = in_front_of(&[&upstream], "");
    let client = connect(&fulcrum);
    await_errors(&fulcrum, "upstream_reset", 1);
    fulcrum.await_metric("fulcrum_tcp_connections", &[], 0.0);
    drop(client);
}
