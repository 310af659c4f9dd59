//! A connection to the registry: one request, one answer, and the next.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A kept connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, buffer: vec![0; 16 << 10] })
    }

    /// Asks, and reads the whole answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer<'_>> {
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}");
        self.stream.write_all(request.as_bytes())?;
        let (status, head, whole) = self.head()?;
        Ok(Answer { status, body: &self.buffer[head..whole] })
    }

    /// The status, and where the body begins and ends; all of it has been read then.
    fn head(&mut self) -> io::Result<(u16, usize, usize)> {
        let mut filled = 0;
        let (status, head, whole) = loop {
            filled += self.read(filled)?;
            if let Some(end) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
                let (status, length) = parse(&self.buffer[..end])?;
                break (status, end + 4, end + 4 + length);
            }
        };
        if self.buffer.len() <= whole {
            self.buffer.resize(whole + 1, 0);
        }
        while filled < whole {
            filled += self.read(filled)?;
        }
        Ok((status, head, whole))
    }

    fn read(&mut self, filled: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[filled..])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}

impl Answer<'_> {
    /// The number behind `"NAME":` in the body.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        let text = std::str::from_utf8(self.body).ok()?;
        let (_, rest) = text.split_once(&format!("\"{name}\":"))?;
        let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    }

    /// An error that says what was answered instead of what was wanted.
    pub(crate) fn wrong(&self) -> io::Error {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(500)]);
        io::Error::other(format!("answered with {}: {text}", self.status))
    }
}

/// The status and the length of the body.
fn parse(head: &[u8]) -> io::Result<(u16, usize)> {
    let invalid = || io::Error::new(ErrorKind::InvalidData, "not an answer of the registry");
    let head = std::str::from_utf8(head).map_err(|_| invalid())?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(invalid)?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.trim().parse().ok());
    match length {
        Some(length) => Ok((status, length)),
        None if status == 204 => Ok((status, 0)),
        None => Err(invalid()),
    }
}

/// An answer that takes longer ends the run.
const PATIENCE: Duration = Duration::from_secs(30);
