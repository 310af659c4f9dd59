//! From the bytes of a zone file to its entries: fields, without comments and parentheses (RFC 1035 §5.1).

use fulcrum_model::Field;

use crate::zone::error::ERRORS_MAX;

/// The entries of a text, one after the other.
pub(super) struct Entries<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    /// Room for fields: that of entries that were given back. Large zones have millions of fields.
    room: Vec<String>,
}

/// A record or a directive: a line, or more of them in parentheses. Empty ones are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line of the first field.
    pub(super) line: u32,
    /// Whether it begins with white space: the owner is the last one.
    pub(super) is_indented: bool,
    /// The fields; escapes as they are.
    pub(super) fields: Vec<Field>,
    /// What cannot be read, and in which lines.
    pub(super) problems: Vec<(u32, &'static str)>,
}

impl<'a> Entries<'a> {
    /// A byte order mark in front says nothing, and is left out.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Entries { text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), at: 0, line: 1, room: Vec::new() }
    }

    /// Takes back an entry that nobody needs any more: its room is used for the next ones.
    pub(super) fn take_back(&mut self, entry: Entry) {
        let room = ROOM_MAX.saturating_sub(self.room.len());
        self.room.extend(entry.fields.into_iter().take(room).map(|field| field.text));
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Whether a line ends here: with a line feed, with a carriage return before it, or with the text.
    fn is_end(&self) -> bool {
        matches!(&self.text[self.at..], [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..])
    }

    /// Goes behind the end of the line.
    fn end_line(&mut self) {
        self.at = match self.text[self.at..].iter().position(|&byte| byte == b'\n') {
            Some(place) => self.at + place + 1,
            None => self.text.len(),
        };
        self.line = self.line.saturating_add(1);
    }

    fn entry(&mut self) -> Entry {
        let mut entry = Entry { is_indented: matches!(self.peek(), Some(b' ' | b'\t')), ..Entry::default() };
        // How many parentheses are open, and the line of the first.
        let (mut open, mut opened) = (0usize, 0);
        while let Some(byte) = self.peek() {
            match byte {
                _ if byte == b';' || self.is_end() => {
                    self.end_line();
                    if open == 0 {
                        break;
                    }
                    continue;
                }
                b' ' | b'\t' => {}
                b'(' => {
                    opened = if open == 0 { self.line } else { opened };
                    open += 1;
                }
                b')' if open == 0 => entry.tell(self.line, CLOSED),
                b')' => open -= 1,
                _ => {
                    self.field(&mut entry);
                    continue;
                }
            }
            self.at += 1;
        }
        if open > 0 {
            entry.tell(opened, OPEN);
        }
        entry
    }

    /// A word or a text in quotes. Inside of words, too, quotes may stand: `alpn="h2"`.
    fn field(&mut self, entry: &mut Entry) {
        let line = self.line;
        let is_quoted = self.peek() == Some(b'"');
        let mut found = self.room.pop().unwrap_or_default().into_bytes();
        found.clear();
        let mut in_quotes = false;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.iter().position(|&byte| !is_plain(byte)).unwrap_or(rest.len());
            found.extend_from_slice(&rest[..plain]);
            self.at += plain;
            let Some(byte) = self.peek().filter(|_| !self.is_end()) else { break };
            match byte {
                b'"' => in_quotes = !in_quotes,
                b'\\' => {
                    self.at += 1;
                    if self.is_end() {
                        entry.tell(line, BACKSLASH);
                        break;
                    }
                    found.push(b'\\');
                    found.push(self.text[self.at]);
                }
                b' ' | b'\t' | b';' | b'(' | b')' if !in_quotes => break,
                0..=8 | 10..=31 | 127 => entry.tell(line, CONTROL),
                _ => found.push(byte),
            }
            self.at += 1;
            if byte == b'"' && is_quoted && !in_quotes {
                break;
            }
        }
        if in_quotes {
            entry.tell(line, QUOTES);
        }
        if entry.fields.is_empty() {
            entry.line = line;
        }
        match String::from_utf8(found) {
            _ if entry.fields.len() >= FIELDS_MAX => entry.tell(line, FIELDS),
            Ok(text) => entry.fields.push(Field { text, is_quoted }),
            Err(_) => entry.tell(line, ENCODING),
        }
    }
}

/// What stands for itself in every field.
fn is_plain(byte: u8) -> bool {
    !matches!(byte, 0..=b' ' | b'"' | b'(' | b')' | b';' | b'\\' | 127)
}

impl Entry {
    /// What is wrong in a line, once.
    fn tell(&mut self, line: u32, problem: &'static str) {
        if self.problems.last() != Some(&(line, problem)) && self.problems.len() < ERRORS_MAX {
            self.problems.push((line, problem));
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.at < self.text.len() {
            let entry = self.entry();
            if !entry.fields.is_empty() || !entry.problems.is_empty() {
                return Some(entry);
            }
        }
        None
    }
}

/// Fields whose room is kept: a usual record has fewer.
const ROOM_MAX: usize = 16;
/// A text of 65,535 empty parts is the longest record.
const FIELDS_MAX: usize = 65_600;
const FIELDS: &str = "no record is this long";
const OPEN: &str = "this parenthesis is never closed";
const CLOSED: &str = "a closing parenthesis without an opening one";
const QUOTES: &str = "a quotation mark without its other half: a text ends in the line that it begins in";
const BACKSLASH: &str = "a backslash at the end of a line";
const CONTROL: &str = "a control character: write it as `\\` and three digits";
const ENCODING: &str = "bytes that are not UTF-8: write them as `\\` and three digits";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_fields() {
        fn check(text: &str, expected: &[(u32, bool, &[&str])]) {
            let found: Vec<_> = Entries::new(text.as_bytes()).collect();
            let fields =
                |entry: &Entry| entry.fields.iter().map(|field| field.text.clone()).collect::<Vec<_>>();
            let seen: Vec<_> =
                found.iter().map(|entry| (entry.line, entry.is_indented, fields(entry))).collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(line, is_indented, fields)| {
                    (*line, *is_indented, fields.iter().map(|field| (*field).to_owned()).collect())
                })
                .collect();
            assert_eq!(seen, expected, "{text:?}");
            assert!(found.iter().all(|entry| entry.problems.is_empty()), "{text:?}");
        }
        check("", &[]);
        check(" \n\t; nothing\n\n()\n", &[]);
        check("a b\n c", &[(1, false, &["a", "b"]), (2, true, &["c"])]);
        check("a\tb ;c d\nd;e", &[(1, false, &["a", "b"]), (2, false, &["d"])]);
        check("a b\r\nc\r\n\r\nd\r", &[(1, false, &["a", "b"]), (2, false, &["c"]), (4, false, &["d"])]);
        check("a ( b ; (\n\n  c)d\ne", &[(1, false, &["a", "b", "c", "d"]), (4, false, &["e"])]);
        check("a(b(c\n)d\n)e", &[(1, false, &["a", "b", "c", "d", "e"])]);
        check("(\na\n)", &[(2, false, &["a"])]);
        check(" (\na)", &[(2, true, &["a"])]);
        check(r#"a "b ;(c" "d""e" f"#, &[(1, false, &["a", "b ;(c", "d", "e", "f"])]);
        check(r#"alpn="h2 ;h3" """#, &[(1, false, &["alpn=h2 ;h3", ""])]);
        check(r#"a\;b\ c \"d "e\"f" \\"#, &[(1, false, &[r"a\;b\ c", r#"\"d"#, r#"e\"f"#, r"\\"])]);
        check("\u{feff}a", &[(1, false, &["a"])]);
        check("\"a\tb\" ä", &[(1, false, &["a\tb", "ä"])]);
    }

    #[test]
    fn quoted_fields_are_told_from_words() {
        let entry = Entries::new(br#"a "b" c="d" "" \# "#).next().expect("there is one");
        let is_quoted: Vec<_> = entry.fields.iter().map(|field| field.is_quoted).collect();
        assert_eq!(is_quoted, [false, true, false, true, false]);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_next_entry_read() {
        fn check(text: &[u8], expected: &[(u32, &'static str)]) {
            let entries: Vec<_> = Entries::new(text).collect();
            let problems: Vec<_> = entries.iter().flat_map(|entry| entry.problems.clone()).collect();
            assert_eq!(problems, expected, "{:?}", String::from_utf8_lossy(text));
        }
        check(b"a\nb (\nc", &[(2, OPEN)]);
        check(b"a ( b (\n\nc )", &[(1, OPEN)]);
        check(b"a )\nb", &[(1, CLOSED)]);
        check(b"a \"b\nc \"d", &[(1, QUOTES), (2, QUOTES)]);
        check(b"a \"b ;c", &[(1, QUOTES)]);
        check(b"a \"b\r\nc \"d\"", &[(1, QUOTES)]);
        check(b"a (\n\"b\nc)\nd", &[(2, QUOTES)]);
        check(b"a b=\"c\nd", &[(1, QUOTES)]);
        check(b"a b\\\nc\\", &[(1, BACKSLASH), (2, BACKSLASH)]);
        check(b"a b\\\r\nc", &[(1, BACKSLASH)]);
        check(b"a\rb\nc\0d", &[(1, CONTROL), (2, CONTROL)]);
        check(b"a\0\0\0 \0 )))", &[(1, CONTROL), (1, CLOSED)]);
        check("a ".repeat(FIELDS_MAX + 2).as_bytes(), &[(1, FIELDS)]);
        check(b"a\n\xe4b\n", &[(2, ENCODING)]);
        check(b"a ; \xe4\0 in a comment\nb", &[]);
    }
}
