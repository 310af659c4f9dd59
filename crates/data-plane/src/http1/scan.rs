//! Finds the end of a head while it arrives, and refuses line endings that another parser could read differently.
//! Each byte is looked at once, however the head is split into reads.

use memchr::memchr;

use super::error::ParseError;

/// Bounds of a head, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// Longest first line.
    pub(crate) first_line: usize,
    /// Longest field line.
    pub(crate) field: usize,
    /// Longest head.
    pub(crate) total: usize,
    /// Most field lines.
    pub(crate) count: usize,
}

/// Where the scan of one head stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadScanner {
    /// Bytes known to hold no further LF.
    scanned: usize,
    /// Start of the line being looked at.
    line: usize,
    /// Where the head begins: behind one empty line, if there was one (RFC 9112 §2.2).
    start: usize,
    /// Where the field lines begin.
    block: usize,
    /// Lines ended so far, without a leading empty one.
    lines: usize,
}

/// A complete head within the scanned bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadRange {
    /// Its first byte.
    pub(crate) start: usize,
    /// Behind the empty line that ends it.
    pub(crate) end: usize,
}

impl HeadScanner {
    /// Looks at the bytes received so far, always from the same first byte on; `None` when more are needed. Of several
    /// violations the one that shows first counts, however many bytes come at once.
    pub(crate) fn scan(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<HeadRange>, ParseError> {
        while let Some(found) = memchr(b'\n', &bytes[self.scanned..]) {
            let feed = self.scanned + found;
            self.check_line(&bytes[..feed], limits)?;
            if feed == self.line || bytes[feed - 1] != b'\r' {
                return Err(ParseError::BareLineEnding);
            }
            self.check_total(feed + 1, limits)?;
            self.scanned = feed + 1;
            if feed - self.line > 1 {
                if self.lines == 0 {
                    self.block = feed + 1;
                }
                self.lines += 1;
            } else if self.lines > 0 {
                return Ok(Some(HeadRange { start: self.start, end: feed + 1 }));
            } else if self.line > 0 {
                return Err(ParseError::MalformedFirstLine);
            } else {
                self.start = feed + 1;
            }
            self.line = feed + 1;
        }
        self.scanned = bytes.len();
        self.check_line(bytes, limits)?;
        Ok(None)
    }

    /// Checks the current line, of which the bytes up to the end are there, without its LF.
    fn check_line(&self, bytes: &[u8], limits: &HeadLimits) -> Result<(), ParseError> {
        let line = &bytes[self.line..];
        // One byte may be the CR of the line ending.
        let length = line.len().saturating_sub(1);
        if self.lines == 0 {
            return if length > limits.first_line { Err(ParseError::RequestLineTooLong) } else { Ok(()) };
        }
        if matches!(line, [b' ' | b'\t', ..]) {
            return Err(ParseError::ObsoleteFold);
        }
        if length > limits.field || (length > 0 && self.lines > limits.count) {
            return Err(ParseError::HeadersTooLarge);
        }
        self.check_total(bytes.len(), limits)
    }

    /// The block is the field lines, without the empty line behind them; the first line has a limit of its own.
    fn check_total(&self, end: usize, limits: &HeadLimits) -> Result<(), ParseError> {
        if self.lines > 0 && end.saturating_sub(self.block + 2) > limits.total {
            return Err(ParseError::HeadersTooLarge);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { first_line: 20, field: 12, total: 30, count: 3 };

    fn check(head: &str, expected: Result<Option<(usize, usize)>, ParseError>) {
        let whole = HeadScanner::default().scan(head.as_bytes(), &LIMITS);
        assert_eq!(whole.map(|range| range.map(|range| (range.start, range.end))), expected, "{head:?}");
        // Byte by byte gives the same, at the latest with the last byte.
        let mut scanner = HeadScanner::default();
        for end in 1..=head.len() {
            match scanner.scan(&head.as_bytes()[..end], &LIMITS) {
                Ok(None) => {}
                Ok(Some(range)) => {
                    assert_eq!(expected, Ok(Some((range.start, range.end))), "{head:?}");
                    return;
                }
                Err(error) => {
                    assert_eq!(expected, Err(error), "{head:?}");
                    return;
                }
            }
        }
        assert_eq!(expected, Ok(None), "{head:?}");
    }

    #[test]
    fn heads_end_at_an_empty_line() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Some((0, 27))));
        check("\r\nGET / HTTP/1.1\r\n\r\n", Ok(Some((2, 20))));
        check("GET / HTTP/1.1\r\nHost: a\r\n", Ok(None));
        check("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Err(ParseError::MalformedFirstLine));
    }

    #[test]
    fn line_endings_are_strict() {
        check("GET / HTTP/1.1\nHost: a\r\n\r\n", Err(ParseError::BareLineEnding));
        check("GET / HTTP/1.1\r\nHost: a\n\r\n", Err(ParseError::BareLineEnding));
        check("GET / HTTP/1.1\r\nHost: a\r\n\n", Err(ParseError::BareLineEnding));
        check("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Err(ParseError::ObsoleteFold));
    }

    #[test]
    fn limits_hold_before_the_head_is_complete() {
        check("GET /aaaaaaaaaaaaaaaaaaaaaaaaaa", Err(ParseError::RequestLineTooLong));
        check("GET / HTTP/1.1\r\nabc: 0123456789", Err(ParseError::HeadersTooLarge));
        check("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n", Err(ParseError::HeadersTooLarge));
        check("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n", Ok(Some((0, 36))));
        check("GET / HTTP/1.1\r\na: 1234567\r\nb: 1234567\r\nc: 1\r\n\r\n", Ok(Some((0, 48))));
        check(
            "GET / HTTP/1.1\r\na: 1234567\r\nb: 1234567\r\nc: 12\r\n\r\n",
            Err(ParseError::HeadersTooLarge),
        );
    }
}
