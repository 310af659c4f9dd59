//! Reading messages from a connection, strictly, with a record of every byte that came.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use super::head::Head;
use super::socket::Socket;
use super::wait::DEADLINE;

/// Why nothing more came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The peer ended its direction (FIN).
    Closed,
    /// The peer broke the connection (RST).
    Reset,
    /// The peer is silent.
    Silent,
    /// The peer does not speak the protocol.
    Nonsense(String),
}

/// One connection, read through a buffer.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) socket: Socket,
    input: Vec<u8>,
    record: Arc<Mutex<Vec<u8>>>,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// A body and its end; what came before a failure is kept.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// The lengths of the chunks, where there are chunks.
    pub(crate) chunks: Vec<usize>,
    pub(crate) trailers: Head,
    pub(crate) end: Result<(), Failure>,
}

impl Wire {
    pub(crate) fn new(socket: Socket) -> Self {
        socket.set_read_timeout(DEADLINE);
        socket.set_write_timeout(DEADLINE);
        Wire { socket, input: Vec::new(), record: Arc::default() }
    }

    /// Every byte received, shared with whoever wants to look.
    pub(crate) fn record(&self) -> Arc<Mutex<Vec<u8>>> {
        Arc::clone(&self.record)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Receives something.
    pub(crate) fn fill(&mut self) -> Result<(), Failure> {
        let mut space = [0; 65536];
        let count = loop {
            match self.socket.read(&mut space) {
                Ok(0) => return Err(Failure::Closed),
                Ok(count) => break count,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Err(Failure::Silent),
                    _ => return Err(Failure::Reset),
                },
            }
        };
        self.input.extend_from_slice(&space[..count]);
        self.record.lock().expect("nobody panics with the record").extend_from_slice(&space[..count]);
        Ok(())
    }

    /// Received and not consumed yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.input
    }

    /// Whatever is there, as soon as anything is.
    pub(crate) fn some(&mut self) -> Result<Vec<u8>, Failure> {
        if self.input.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.input))
    }

    /// The next `count` bytes.
    pub(crate) fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Failure> {
        while self.input.len() < count {
            self.fill()?;
        }
        Ok(self.input.drain(..count).collect())
    }

    /// Everything up to the end of the connection, and how it ended.
    pub(crate) fn until_end(&mut self) -> (Vec<u8>, Failure) {
        loop {
            if let Err(failure) = self.fill() {
                return (std::mem::take(&mut self.input), failure);
            }
        }
    }

    /// The next head. A connection that ends between messages gives `Closed`; one that ends within a head is nonsense.
    pub(crate) fn head(&mut self) -> Result<Head, Failure> {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.input[searched..], b"\r\n\r\n") {
                let bytes: Vec<u8> = self.input.drain(..searched + at + 4).collect();
                return Ok(Head::parse(&bytes));
            }
            searched = self.input.len().saturating_sub(3);
            match self.fill() {
                Err(Failure::Closed) if !self.input.is_empty() => {
                    return Err(Failure::Nonsense(String::from_utf8_lossy(&self.input).into_owned()));
                }
                filled => filled?,
            }
        }
    }

    /// The next body.
    pub(crate) fn body(&mut self, framing: Framing) -> Body {
        let mut body = Body { bytes: Vec::new(), chunks: Vec::new(), trailers: Head::default(), end: Ok(()) };
        body.end = match framing {
            Framing::Length(length) => self.take(length, &mut body.bytes),
            Framing::UntilClose => self.take(u64::MAX, &mut body.bytes).or_else(|failure| match failure {
                Failure::Closed => Ok(()),
                failure => Err(failure),
            }),
            Framing::Chunked => self.chunks(&mut body),
        };
        body
    }

    /// Moves `length` bytes, or as many as come.
    fn take(&mut self, length: u64, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        let mut missing = length;
        loop {
            let count = usize::try_from(missing).unwrap_or(usize::MAX).min(self.input.len());
            bytes.extend(self.input.drain(..count));
            missing -= count as u64;
            if missing == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }

    fn chunks(&mut self, body: &mut Body) -> Result<(), Failure> {
        loop {
            let line = self.line()?;
            let size = u64::from_str_radix(&line, 16)
                .map_err(|_| Failure::Nonsense(format!("{line:?} is not a plain chunk size")))?;
            if size == 0 {
                break;
            }
            body.chunks.push(usize::try_from(size).unwrap_or(usize::MAX));
            self.take(size, &mut body.bytes)?;
            if self.exactly(2)? != b"\r\n" {
                return Err(Failure::Nonsense("no CRLF behind a chunk".to_owned()));
            }
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(());
            }
            body.trailers.fields.extend(Head::parse(format!("\r\n-\r\n{line}").as_bytes()).fields);
        }
    }

    /// A line without its CRLF.
    fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(at) = find(&self.input, b"\r\n") {
                let line: Vec<u8> = self.input.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.fill()?;
        }
    }
}

/// Where `needle` begins.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
