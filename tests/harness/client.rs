//! A client that sends any bytes and reads answers as strictly as it can.

use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use super::head::Head;
use super::socket::Socket;
use super::wire::{Body, Failure, Framing, Wire};

/// One downstream connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) wire: Wire,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Head,
    /// Heads of 1xx responses that came before, in order.
    pub(crate) interim: Vec<Head>,
    pub(crate) body: Vec<u8>,
    pub(crate) framing: Option<Framing>,
    pub(crate) trailers: Head,
    /// Whether the body ended as its framing says.
    pub(crate) end: Result<(), Failure>,
}

impl Response {
    /// The value of the only field of this name, or nothing.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.framing == Some(Framing::Chunked)
    }

    pub(crate) fn is_until_close(&self) -> bool {
        self.framing == Some(Framing::UntilClose)
    }
}

impl Client {
    /// Connects to `IP:PORT` or `unix:/path`.
    #[track_caller]
    pub(crate) fn connect(address: &str) -> Self {
        let socket =
            Socket::connect(address).unwrap_or_else(|error| panic!("connecting to {address}: {error}"));
        Client { wire: Wire::new(socket) }
    }

    /// Sends bytes. A peer that has closed already is not an error: what it answered can still be read.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.send(bytes.as_ref());
    }

    /// Sends bytes one by one, each in a packet of its own.
    pub(crate) fn send_byte_by_byte(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
    }

    /// Sends bytes with a pause between them; stops where the peer closes.
    pub(crate) fn trickle(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) {
        for byte in bytes.as_ref() {
            if self.wire.send(&[*byte]).is_err() {
                return;
            }
            thread::sleep(pause);
        }
    }

    /// Ends our direction; answers can still come.
    pub(crate) fn end_sending(&self) {
        self.wire.socket.shutdown(Shutdown::Write);
    }

    /// The next answer, to anything but HEAD.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.whole_response("GET")
    }

    /// The next answer, to HEAD.
    #[track_caller]
    pub(crate) fn response_to_head(&mut self) -> Response {
        self.whole_response("HEAD")
    }

    #[track_caller]
    fn whole_response(&mut self, method: &str) -> Response {
        let response = self.try_response(method).unwrap_or_else(|failure| panic!("no response: {failure:?}"));
        assert_eq!(response.end, Ok(()), "the body of {:?} has no clean end", response.head);
        response
    }

    /// The next answer, or why there is none; whether its body ended is in `end`.
    pub(crate) fn try_response(&mut self, method: &str) -> Result<Response, Failure> {
        let mut interim = Vec::new();
        let (status, head) = loop {
            let head = self.wire.head()?;
            let status = status_of(&head)?;
            if status >= 200 || status == 101 {
                break (status, head);
            }
            interim.push(head);
        };
        let framing = framing_of(&head, status, method)?;
        let body = framing.map(|framing| self.wire.body(framing));
        let body = body.unwrap_or(Body {
            bytes: Vec::new(),
            chunks: Vec::new(),
            trailers: Head::default(),
            end: Ok(()),
        });
        Ok(Response {
            status,
            head,
            interim,
            body: body.bytes,
            framing,
            trailers: body.trailers,
            end: body.end,
        })
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request);
        self.response()
    }

    /// Sends `GET target` for host `test` and reads the answer.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.ask(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    /// Nothing more comes, and the connection ends (how is the kernel's business).
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        let (rest, failure) = self.wire.until_end();
        assert_eq!(String::from_utf8_lossy(&rest), "", "bytes behind the last answer");
        assert_ne!(failure, Failure::Silent, "the connection is still open");
    }

    /// Nothing comes for a moment, and the connection stays.
    #[track_caller]
    pub(crate) fn assert_silent(&mut self, moment: Duration) {
        self.wire.socket.set_read_timeout(moment);
        let filled = self.wire.fill();
        assert_eq!(filled, Err(Failure::Silent), "{:?}", String::from_utf8_lossy(self.wire.unread()));
        self.wire.socket.set_read_timeout(super::wait::DEADLINE);
    }
}

fn status_of(head: &Head) -> Result<u16, Failure> {
    let nonsense = || Failure::Nonsense(head.first_line.clone());
    if !head.first_line.starts_with("HTTP/1.1 ") {
        return Err(nonsense());
    }
    head.word(1).parse().map_err(|_| nonsense())
}

/// RFC 9112 §6.3; what two recipients could read differently is nonsense.
fn framing_of(head: &Head, status: u16, method: &str) -> Result<Option<Framing>, Failure> {
    let lengths = head.values("content-length");
    let chunked = head.has("transfer-encoding");
    if lengths.len() > 1 || (chunked && !lengths.is_empty()) {
        return Err(Failure::Nonsense(format!("ambiguous framing: {head:?}")));
    }
    if method == "HEAD" || matches!(status, 100..200 | 204 | 304) {
        return Ok(None);
    }
    Ok(Some(match head.content_length() {
        Some(length) => Framing::Length(length),
        None if chunked => Framing::Chunked,
        None => Framing::UntilClose,
    }))
}
