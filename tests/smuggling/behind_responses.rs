//! S18: bytes behind a response that come in a write of their own.

use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::harness::{Conversation, Setup, Socket, Upstream, ok};

const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

/// Answers each request with its target, and sends what nobody has asked for a moment later.
fn poisoning(moment: Duration) -> Upstream {
    Upstream::new(move |mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            conversation.send(ok(request.target()));
            thread::sleep(moment);
            conversation.send(POISON);
        }
    })
}

#[test]
fn s18_bytes_in_a_later_write_never_become_the_next_response() {
    let upstream = poisoning(Duration::from_micros(200));
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    for number in 0..50 {
        let target = format!("/{number}");
        assert_eq!(client.get(&target).text(), target);
        // They have arrived before the next request does.
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(upstream.connections(), 50, "none is used again");
    assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0);
}

/// Whether nothing has come that is not read yet.
fn is_silent(conversation: &Conversation) -> bool {
    let Socket::Tcp(stream) = &conversation.wire.socket else { return false };
    let received = recv(stream, &mut [0u8], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    received == Err(Errno::WOULDBLOCK)
}

/// A connection that goes from one request to the next without a pause: the reactor has not looked in between. Where the
/// next request is there first, nobody could know: then nothing is sent. What is left is the time of one system call.
#[test]
fn s18_bytes_in_a_later_write_and_requests_back_to_back() {
    const REQUESTS: usize = 300;
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            conversation.send(ok(request.target()));
            if is_silent(&conversation) {
                conversation.send(POISON);
            }
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    let is_wrong = |number: &usize, text: String| text != format!("/{number}");
    let one_by_one =
        (0..REQUESTS).filter(|number| is_wrong(number, client.get(&format!("/{number}")).text())).count();
    let request = |number: usize| format!("GET /{number} HTTP/1.1\r\nHost: test\r\n\r\n");
    client.send((0..REQUESTS).map(request).collect::<String>());
    let pipelined = (0..REQUESTS).filter(|number| is_wrong(number, client.response().text())).count();
    assert!(one_by_one + pipelined <= 2, "{one_by_one} one by one, {pipelined} pipelined");
    assert!(upstream.connections() > REQUESTS / 2, "{} connections were poisoned", upstream.connections());
}
