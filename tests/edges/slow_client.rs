//! Clients that are slow, each in its own way, and what the daemon tells them in the end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;

use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::harness::pattern;

/// The ways to be slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An answered request, and no other.
    Idle,
    Silent,
    StalledBody,
    DrippingHead,
    DrippingBody,
    ReadingSlowly,
}

pub(super) const KINDS: [Kind; 6] = [
    Kind::Idle,
    Kind::Silent,
    Kind::StalledBody,
    Kind::DrippingHead,
    Kind::DrippingBody,
    Kind::ReadingSlowly,
];

/// Progress is seen in steps of 128 KiB: more than that must be read within the limit.
const SIP: usize = 16 << 10;

/// More than all buffers on its way take.
pub(super) static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(16 << 20));

/// A slow client.
pub(super) struct Slow {
    pub(super) kind: Kind,
    stream: TcpStream,
    received: Vec<u8>,
    pub(super) has_ended: bool,
}

impl Slow {
    pub(super) fn new(kind: Kind, address: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("the daemon accepts");
        let head = match kind {
            Kind::Idle => "GET /idle HTTP/1.1\r\nHost: test\r\n\r\n",
            Kind::Silent => "",
            Kind::StalledBody | Kind::DrippingBody => {
                "POST /body HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nhello"
            }
            Kind::DrippingHead => "GET /head HTTP/1.1\r\nHost: test\r\nX-Slow: ",
            Kind::ReadingSlowly => {
                // What has been received and not read is no progress: little of it, that little progress is seen.
                set_socket_recv_buffer_size(&stream, 16 << 10).expect("a TCP socket");
                "GET /large HTTP/1.1\r\nHost: test\r\n\r\n"
            }
        };
        stream.write_all(head.as_bytes()).expect("room for a head");
        stream.set_nonblocking(true).expect("a TCP socket");
        Slow { kind, stream, received: Vec::new(), has_ended: false }
    }

    /// Does what its kind does in the time of one pause.
    pub(super) fn step(&mut self) {
        if self.has_ended {
            return;
        }
        match self.kind {
            Kind::ReadingSlowly => self.read(SIP),
            Kind::DrippingHead | Kind::DrippingBody => {
                self.read(usize::MAX);
                if !self.has_ended {
                    // One who is being turned away may find it closed.
                    let _ = self.stream.write(b"a");
                }
            }
            Kind::Idle | Kind::Silent | Kind::StalledBody => self.read(usize::MAX),
        }
    }

    /// Reads what is there, at most so much.
    pub(super) fn read(&mut self, most: usize) {
        let mut space = [0; SIP];
        let mut left = most;
        while left > 0 {
            match self.stream.read(&mut space[..left.min(SIP)]) {
                Ok(0) => return self.has_ended = true,
                Ok(count) => {
                    self.received.extend_from_slice(&space[..count]);
                    left -= count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.has_ended = true,
            }
        }
    }

    /// What it was told is what belongs to its kind.
    #[track_caller]
    pub(super) fn check(&self) {
        let text = String::from_utf8_lossy(&self.received[..self.received.len().min(2000)]);
        let is_right = match self.kind {
            Kind::Idle => text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\napp"),
            Kind::Silent => text.is_empty(),
            Kind::StalledBody | Kind::DrippingBody => is_refusal(&text, "body_timeout"),
            Kind::DrippingHead => is_refusal(&text, "header_timeout"),
            Kind::ReadingSlowly => {
                let body = text.find("\r\n\r\n").map(|at| &self.received[at + 4..]);
                text.starts_with("HTTP/1.1 200 ") && body.is_some_and(|body| LARGE.starts_with(body))
            }
        };
        assert!(is_right, "{:?}: {text:?}", self.kind);
    }
}

fn is_refusal(text: &str, reason: &str) -> bool {
    text.starts_with("HTTP/1.1 408 ") && text.contains(&format!("\nreason: {reason}\n"))
}
