//! Where the head of a request ends. What comes behind it is for later, and the one who parses heads never sees it
//! before its time.

/// How far a head has come.
#[derive(Debug, Default)]
pub(super) struct Head {
    at: At,
    name: [u8; LONGEST_NAME],
    /// Of the name of the field, as far as it has come.
    length: usize,
    has_length: bool,
    has_coding: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Empty lines before a request are skipped (RFC 9112 §2.2).
    #[default]
    Before,
    RequestLine,
    Line,
    /// A line that has begun with CR.
    Return,
    Name,
    Value,
}

impl Head {
    /// Where the head ends in what comes now; nothing when it goes on.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|byte| self.ends(*byte)).map(|last| last + 1)
    }

    pub(super) fn is_in_request_line(&self) -> bool {
        self.at == At::RequestLine
    }

    /// Whether it says in two ways how long its body is: who else reads it may see another request in it.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.has_length && self.has_coding
    }

    fn ends(&mut self, byte: u8) -> bool {
        self.at = match (self.at, byte) {
            (At::Before, b'\r' | b'\n') => At::Before,
            (At::Before, _) => At::RequestLine,
            (At::Line | At::Return, b'\n') => {
                self.at = At::Before;
                return true;
            }
            (At::RequestLine | At::Name | At::Value, b'\n') => {
                self.length = 0;
                At::Line
            }
            (At::RequestLine, _) => At::RequestLine,
            (At::Line, b'\r') => At::Return,
            (At::Line | At::Name, b':') => self.named(),
            (At::Line | At::Name, _) => self.names(byte),
            (At::Return | At::Value, _) => At::Value,
        };
        false
    }

    fn names(&mut self, byte: u8) -> At {
        if let Some(place) = self.name.get_mut(self.length) {
            *place = byte.to_ascii_lowercase();
        }
        self.length = (self.length + 1).min(LONGEST_NAME + 1);
        At::Name
    }

    fn named(&mut self) -> At {
        match self.name.get(..self.length) {
            Some(b"content-length") => self.has_length = true,
            Some(b"transfer-encoding") => self.has_coding = true,
            _ => {}
        }
        At::Value
    }
}

/// Of those that matter.
const LONGEST_NAME: usize = b"transfer-encoding".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line() {
        let check = |text: &str, expected: Option<usize>| {
            assert_eq!(Head::default().end(text.as_bytes()), expected, "{text:?}");
            let mut head = Head::default();
            let found = text.bytes().position(|byte| head.end(&[byte]).is_some());
            assert_eq!(found.map(|last| last + 1), expected, "{text:?}, byte by byte");
        };
        check("GET / HTTP/1.1\r\n\r\nGET", Some(18));
        check("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", Some(31));
        check("GET / HTTP/1.1\nHost: x\n\n{}", Some(24));
        check("GET / HTTP/1.1\r\nHost: x\r\n", None);
        check("GET / HTTP/1.1\r\nHost: x\r\n\rX: y\r\n\r\n", Some(34));
        check("x\r\r\n\r\n", Some(6));
        check("\n\n\n", None);
        check("", None);
    }

    #[test]
    fn two_lengths_are_seen() {
        let check = |fields: &str, expected: bool| {
            let mut head = Head::default();
            let text = format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
            assert_eq!(head.end(text.as_bytes()), Some(text.len()), "{fields}");
            assert_eq!(head.is_ambiguous(), expected, "{fields}");
        };
        check("Content-Length: 1\r\ntransfer-ENCODING: chunked", true);
        check("Transfer-Encoding: chunked\r\nX: y\r\nCONTENT-length: 1", true);
        check("Content-Length: 1\r\nContent-Length: 1", false);
        check("X: Content-Length: 1\r\nTransfer-Encoding: chunked", false);
        check("Content-Lengthy: 1\r\nTransfer-Encoding: chunked", false);
        check("Content-Length: 1\r\nTransfer-Encodings: chunked", false);
    }
}
